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
const exponentBytesMax = 4
const memberLengthMax = 1_400
const lengthsMax: Readonly<Record<string, number>> = { alg: 32, kid: 255 }
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']
const keyMembers = { RSA: ['n', 'e'], EC: ['crv', 'x', 'y'], OKP: ['crv', 'x'] } as const
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

/**
 * Reads a key that an issuer publishes, with the members that count.
 *
 * @returns undefined for one that is for something else than signatures, is not public, or cannot be used.
 */
export function readPublishedJwk(published: unknown): PublicJwk | undefined {
  if (typeof published !== 'object' || published === null) return undefined
  const members = published as Readonly<Record<string, unknown>>
  const { kty, use = 'sig', key_ops: operations = ['verify'] } = members
  if (kty !== 'EC' && kty !== 'RSA' && kty !== 'OKP') return undefined
  if (use !== 'sig' || !Array.isArray(operations) || !operations.includes('verify'))
    return undefined
  // Whoever publishes the private half has given the key away.
  if (privateMembers.some((name) => Object.hasOwn(members, name))) return undefined
  const key: Record<string, string> = {}
  for (const name of [...keyMembers[kty], 'alg', 'kid']) {
    const value = members[name]
    if (value === undefined) continue
    if (typeof value !== 'string' || value.length > (lengthsMax[name] ?? memberLengthMax))
      return undefined
    key[name] = value
  }
  const jwk: PublicJwk = { kty, ...key }
  return faultOfJwk(jwk, '') === undefined ? jwk : undefined
}

function problemOfRsa({ n, e }: PublicJwk): string | undefined {
  const length = lengthOf(n)
  const exponent = decodeBase64url(e ?? '')
  if (length === undefined || !exponent?.length) return 'must have n and e in base64url'
  // Others make each check as expensive as their owner likes.
  const isPlain = exponent.length <= exponentBytesMax && Number(exponent.at(-1)) % 2 === 1
  if (!isPlain || e === 'AQ') return 'must have an odd exponent from 3, of 32 bits at most'
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
