import { decodeBase64url } from '@countersign/protocol/encoding/base64.ts'
import type { Fault } from '../errors.ts'

/** A public key as a trusted issuer publishes it (RFC 7517, RFC 7518 section 6, RFC 8037). */
export interface PublicJwk {
  readonly kty: 'EC' | 'RSA' | 'OKP'
  readonly crv?: string
  readonly x?: string
  readonly y?: string
  readonly n?: string
  readonly e?: string
  readonly use?: 'sig'
  readonly alg?: string
  readonly kid?: string
}

const rsaBytesMin = 256
const rsaBytesMax = 1024
/** Bytes of each coordinate. */
const curves: Readonly<Record<string, { readonly kty: string; readonly length: number }>> = {
  'P-256': { kty: 'EC', length: 32 },
  'P-384': { kty: 'EC', length: 48 },
  Ed25519: { kty: 'OKP', length: 32 },
}

/** What keeps a key from being used with one of the algorithms that issuers may have. */
export function faultOfJwk(jwk: PublicJwk, pointer: string): Fault | undefined {
  const problem = jwk.kty === 'RSA' ? problemOfRsa(jwk) : problemOfCurve(jwk)
  return problem === undefined ? undefined : { pointer, code: 'bad_format', message: problem }
}

function problemOfRsa({ n, e }: PublicJwk): string | undefined {
  const length = lengthOf(n)
  if (length === undefined || lengthOf(e) === undefined) return 'must have n and e in base64url'
  return length < rsaBytesMin || length > rsaBytesMax
    ? 'must have a modulus of 2048 to 8192 bits'
    : undefined
}

function problemOfCurve({ kty, crv, x, y }: PublicJwk): string | undefined {
  const curve = curves[crv ?? '']
  if (curve?.kty !== kty) return 'must be on P-256, P-384 or Ed25519'
  const coordinates = kty === 'EC' ? [x, y] : [x]
  return coordinates.every((text) => lengthOf(text) === curve.length)
    ? undefined
    : 'must have coordinates of the length of its curve in base64url'
}

/** Of the bytes; undefined for an absent or empty text, and for any spelling but the canonical one. */
function lengthOf(text: string | undefined): number | undefined {
  return decodeBase64url(text ?? '')?.length || undefined
}
