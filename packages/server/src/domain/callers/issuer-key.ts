import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import { promisify } from 'node:util'
import { readJsonObject } from '@countersign/protocol/encoding/json.ts'
import type { IssuerToken, TokenFlaw } from './issuer-token.ts'
import { type PublicJwk, readPublishedJwk } from './public-jwk.ts'
import type { IssuerAlgorithm } from './trusted-issuer.ts'

const verifyOnThread = promisify(verify)

/** What is read of a published set, and how many keys of it are kept. */
const publishedKeysMax = 200
export const keptKeysMax = 50
const importedKeysMax = 1_000

interface Suite {
  readonly kty: PublicJwk['kty']
  readonly crv: string | undefined
  readonly digest: string | null
  readonly options: {
    readonly dsaEncoding?: 'ieee-p1363'
    readonly padding?: number
    readonly saltLength?: number
  }
}

/** RFC 7518 and RFC 8037. A key fits one kind alone, so an algorithm never meets a key that was made for another. */
const suites: Readonly<Record<IssuerAlgorithm, Suite>> = {
  ES256: { kty: 'EC', crv: 'P-256', digest: 'sha256', options: { dsaEncoding: 'ieee-p1363' } },
  ES384: { kty: 'EC', crv: 'P-384', digest: 'sha384', options: { dsaEncoding: 'ieee-p1363' } },
  EdDSA: { kty: 'OKP', crv: 'Ed25519', digest: null, options: {} },
  // 1 and 6: RSA_PKCS1_PADDING and RSA_PKCS1_PSS_PADDING; the salt is as long as the digest.
  RS256: { kty: 'RSA', crv: undefined, digest: 'sha256', options: { padding: 1 } },
  PS256: { kty: 'RSA', crv: undefined, digest: 'sha256', options: { padding: 6, saltLength: 32 } },
}

/**
 * Reads what an issuer publishes (RFC 7517). Keys that are for something else, of other kinds, too weak, or not public
 * are left out; the order does not matter.
 *
 * @returns undefined for what is no such set, or has too many keys.
 */
export function readKeySet(bytes: Uint8Array): readonly PublicJwk[] | undefined {
  const published = readJsonObject(bytes)?.keys
  if (!Array.isArray(published) || published.length > publishedKeysMax) return undefined
  const keys = published.map(readPublishedJwk).filter((key) => key !== undefined)
  if (keys.length > keptKeysMax) return undefined
  return keys.sort((one, other) => compare(JSON.stringify(one), JSON.stringify(other)))
}

/** The one key that a token can mean; undefined for none, and for several. */
export function findKey(
  keys: readonly PublicJwk[],
  algorithm: IssuerAlgorithm,
  kid: unknown,
): PublicJwk | undefined {
  const { kty, crv } = suites[algorithm]
  const [key, second] = keys.filter(
    (candidate) =>
      (kid === undefined || candidate.kid === kid) &&
      candidate.kty === kty &&
      candidate.crv === crv &&
      (candidate.alg === undefined || candidate.alg === algorithm),
  )
  return second === undefined ? key : undefined
}

/** Checks signatures on threads; keeps imported keys, because importing costs as much as verifying. */
export class IssuerSignatures {
  readonly #imported = new Map<string, KeyObject>()

  async findFlaw(
    { signingInput, signature }: IssuerToken,
    algorithm: IssuerAlgorithm,
    jwk: PublicJwk,
  ): Promise<TokenFlaw | undefined> {
    const { digest, options } = suites[algorithm]
    const key = this.#import(jwk)
    if (key === undefined) return 'unknown_key'
    const holds = await verifyOnThread(
      digest,
      Buffer.from(signingInput),
      { key, ...options },
      signature,
    )
    return holds ? undefined : 'bad_signature'
  }

  #import({ kty, crv = '', x = '', y = '', n = '', e = '' }: PublicJwk): KeyObject | undefined {
    const name = [kty, crv, x, y, n, e].join(' ')
    const known = this.#imported.get(name)
    if (known !== undefined) return known
    const members =
      kty === 'RSA' ? { kty, n, e } : kty === 'EC' ? { kty, crv, x, y } : { kty, crv, x }
    let key: KeyObject
    try {
      key = createPublicKey({ key: members, format: 'jwk' })
    } catch {
      // No point of its curve.
      return undefined
    }
    if (this.#imported.size >= importedKeysMax) this.#imported.clear()
    this.#imported.set(name, key)
    return key
  }
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0
}
