import { DerError, DerReader } from '../der/der-reader.ts'
import { compareBytes, integer, sequence } from '../der/der-writer.ts'

const coordinateLength = 32
/** Order of the group of P-256. */
const order = Uint8Array.from(
  [
    0xffffffff, 0x00000000, 0xffffffff, 0xffffffff, 0xbce6faad, 0xa7179e84, 0xf3b9cac2, 0xfc632551,
  ].flatMap((word) => [word >>> 24, (word >>> 16) & 0xff, (word >>> 8) & 0xff, word & 0xff]),
)

/**
 * ECDSA-Sig-Value (RFC 3279) as r and s of 32 bytes each. There is one DER form of a pair, so none other is taken.
 *
 * @throws DerError; also for r or s out of range.
 */
export function rawFromDer(signature: Uint8Array): Uint8Array {
  const outer = new DerReader(signature)
  const pair = outer.sequence()
  outer.finish()
  const raw = new Uint8Array(2 * coordinateLength)
  for (const end of [coordinateLength, 2 * coordinateLength]) {
    const magnitude = pair.unsigned(coordinateLength)
    raw.set(magnitude, end - magnitude.length)
    const value = raw.subarray(end - coordinateLength, end)
    if (magnitude.length === 0 || compareBytes(value, order) >= 0) {
      throw new DerError('A signature is out of range.')
    }
  }
  pair.finish()
  return raw
}

/** @param raw r and s, 32 bytes each, as JWS has them. */
export function derFromRaw(raw: Uint8Array): Uint8Array {
  if (raw.length !== 2 * coordinateLength) throw new RangeError('r and s have 32 bytes each.')
  return sequence(
    integer(raw.subarray(0, coordinateLength)),
    integer(raw.subarray(coordinateLength)),
  )
}
