import { createPublicKey, hash, type KeyObject, verify } from 'node:crypto'
import type { EcPublicJwk } from './device-jws.ts'

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
