import { createHmac, type KeyObject } from 'node:crypto'

/** Bytes of a tag: the whole HMAC-SHA-256. */
export const tagBytes = 32
export const listKeyBytes = 32

/**
 * What is kept of a code: HMAC-SHA-256 under the method's key over list, position and code. Without the key a stolen
 * database does not let anybody try codes, and a tag that is moved fits nowhere else.
 */
export function codeTag(key: KeyObject, listId: string, position: number, code: string): Buffer {
  return createHmac('sha256', key)
    .update(`countersign-otp-list-v1\n${listId}\n${position}\n${code}`)
    .digest()
}

/** Positions as stored, 16 bits each. */
export function packPositions(positions: readonly number[]): Uint8Array {
  const bytes = Buffer.alloc(positions.length * 2)
  for (const [index, position] of positions.entries()) bytes.writeUInt16BE(position, index * 2)
  return bytes
}

/** The position of the code that is asked for as number `slot`, from 0. */
export function positionAt(positions: Uint8Array | null, slot: number): number {
  if (positions === null) return slot + 1
  return (positions[slot * 2] ?? 0) * 256 + (positions[slot * 2 + 1] ?? 0)
}
