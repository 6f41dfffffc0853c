import { createPublicKey, type JsonWebKey, verify } from 'node:crypto'
import { readCompactJws } from '@countersign/protocol/message/compact-jws.ts'

/** Why a JWT is not one of the customer's, or not any more; in the order in which it is looked at. */
export type JwtFlaw =
  | 'unsupported_algorithm'
  | 'unknown_key'
  | 'bad_signature'
  | 'wrong_issuer'
  | 'expired'

/** What a JWT must be: signed by one of the keys, for this issuer, and in time. */
export interface JwtRule {
  /** Public RSA keys by `kid`. */
  readonly keys: ReadonlyMap<string, JsonWebKey>
  readonly issuer: string
  readonly nowMs: number
  /** True: `exp` is not looked at. */
  readonly ignoresExpiry: boolean
}

const rs256SignatureBytesMin = 256

/**
 * Checks a JWT by RS256 alone: what it says of algorithms and keys chooses nothing but which of the given keys is tried.
 *
 * @returns the first flaw, undefined for a good one; `malformed` for a text that is no compact JWS with JSON objects for
 *   header and payload, each part in its one canonical base64url spelling.
 */
export function findJwtFlaw(jwt: string, rule: JwtRule): JwtFlaw | 'malformed' | undefined {
  const jws = readCompactJws(jwt)
  if (jws === undefined || jws.signature.length === 0) return 'malformed'
  const { header, claims, signingInput, signature } = jws
  const { alg, typ, kid, crit, b64 } = header
  // Extensions that must be understood are understood by nobody here; other types are other messages.
  if (alg !== 'RS256' || typ !== 'JWT' || crit !== undefined || b64 !== undefined) {
    return 'unsupported_algorithm'
  }
  const key = typeof kid === 'string' ? rule.keys.get(kid) : undefined
  if (key === undefined) return 'unknown_key'
  if (!isSignedBy(key, signingInput, signature)) return 'bad_signature'
  if (claims.iss !== rule.issuer) return 'wrong_issuer'
  const { exp } = claims
  const isInTime = typeof exp === 'number' && rule.nowMs < exp * 1000
  return isInTime || rule.ignoresExpiry ? undefined : 'expired'
}

function isSignedBy(jwk: JsonWebKey, signingInput: string, signature: Uint8Array): boolean {
  if (jwk.kty !== 'RSA' || signature.length < rs256SignatureBytesMin) return false
  const { n = '', e = '' } = jwk
  const key = createPublicKey({ key: { kty: 'RSA', n, e }, format: 'jwk' })
  return verify('sha256', Buffer.from(signingInput), key, signature)
}
