import { createPublicKey, hash, type KeyObject, verify } from 'node:crypto'
import { DerReader } from '../der/der-reader.ts'
import type { EcPublicJwk } from './device-jws.ts'

const integerBytes = 32

/** RFC 7638 thumbprint with SHA-256, base64url. */
export function jwkThumbprint({ crv, kty, x, y }: EcPublicJwk): string {
  return hash('sha256', JSON.stringify({ crv, kty, x, y }), 'base64url')
}

/** @returns undefined for a point that is not on the curve. */
export function importEcPublicJwk({ kty, crv, x, y }: EcPublicJwk): KeyObject | undefined {
  try {
    return createPublicKey({ key: { kty, crv, x, y }, format: 'jwk' })
  } catch {
    return undefined
  }
}

/** ES256 (RFC 7518, section 3.4) over the text of a JWS, about 50 microseconds. */
export function verifyEs256(key: KeyObject, signingInput: string, signature: Uint8Array): boolean {
  return verify('sha256', Buffer.from(signingInput), { key, dsaEncoding: 'ieee-p1363' }, signature)
}

/**
 * The signature of a JWS, of one in DER: r and s, 32 bytes each.
 *
 * @throws DerError
 */
export function rawSignature(der: Uint8Array): Uint8Array {
  const reader = new DerReader(der)
  const pair = reader.sequence()
  const integers = [pair.unsigned(integerBytes), pair.unsigned(integerBytes)]
  pair.finish()
  reader.finish()
  const raw = new Uint8Array(2 * integerBytes)
  for (const [index, integer] of integers.entries()) {
    raw.set(integer, (index + 1) * integerBytes - integer.length)
  }
  return raw
}
