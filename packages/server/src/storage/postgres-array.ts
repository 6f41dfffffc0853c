/** Types of which arrays are sent. */
export type ElementType = 'text' | 'bigint'

/** `pg_type.oid`, the same on every server. */
const elementOids: Record<ElementType, number> = { text: 25, bigint: 20 }
const headBytes = 20
const lengthBytes = 4
const bigintBytes = 8
/** UTF-8 of one UTF-16 code unit. */
const unitBytesMax = 3

/**
 * Writes an array as PostgreSQL sends and takes it in binary form. As text, every quote in it would have to be found and
 * escaped here, and be found again there.
 *
 * @param values of one type, or null.
 */
export function encodeArray(type: ElementType, values: readonly unknown[]): Buffer {
  const bytes = Buffer.allocUnsafe(bytesMax(values))
  bytes.writeInt32BE(1, 0)
  bytes.writeInt32BE(values.includes(null) ? 1 : 0, 4)
  bytes.writeInt32BE(elementOids[type], 8)
  bytes.writeInt32BE(values.length, 12)
  bytes.writeInt32BE(1, 16)
  let end = headBytes
  for (const value of values) {
    const start = end + lengthBytes
    if (value === null) {
      bytes.writeInt32BE(-1, end)
      end = start
    } else if (typeof value === 'string') {
      const written = bytes.write(value, start)
      bytes.writeInt32BE(written, end)
      end = start + written
    } else {
      bytes.writeInt32BE(bigintBytes, end)
      writeInteger(bytes, value as number, start)
      end = start + bigintBytes
    }
  }
  return bytes.subarray(0, end)
}

function bytesMax(values: readonly unknown[]): number {
  let count = headBytes
  for (const value of values) {
    count += lengthBytes + (typeof value === 'string' ? value.length * unitBytesMax : bigintBytes)
  }
  return count
}

/** A safe integer in 64 bits. */
function writeInteger(bytes: Buffer, value: number, offset: number): void {
  const high = Math.floor(value / 0x1_0000_0000)
  bytes.writeInt32BE(high, offset)
  bytes.writeUInt32BE(value - high * 0x1_0000_0000, offset + 4)
}
