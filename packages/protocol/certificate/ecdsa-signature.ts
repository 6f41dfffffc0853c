import { DerError, DerReader } from '../der/der-reader.ts'
import { compareBytes, integer, sequence } from '../der/der-writer.ts'
import { decodeHex } from '../encoding/hex.ts'

const coordinateLength = 32
/** Order of the group of P-256. */
const order = decodeHex('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551')

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
    if (magnitude.length === 0 || order === undefined || compareBytes(value, order) >= 0) {
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
