import { createPrivateKey, generateKeyPair, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import { decodeBase64url } from '@countersign/protocol/encoding/base64.ts'
import {
  CompactSign,
  type CryptoKey,
  calculateJwkThumbprint,
  compactVerify,
  decodeProtectedHeader,
  exportJWK,
  importJWK,
  type JWK,
} from 'jose'
import type { Place, Vault, WrappedKey } from './vault.ts'

const generate = promisify(generateKeyPair)
const keptKeysMax = 1_000

/** A P-256 signing key as stored. */
export interface StoredSigningKey {
  /** RFC 7638 thumbprint of the public key. */
  readonly kid: string
  /** RFC 7517, with `use`, `alg` and `kid`. */
  readonly publicJwk: JWK
  readonly sealedPrivate: Uint8Array
}

/** A key pair that is not stored yet. */
export interface NewSigningKey {
  readonly kid: string
  readonly publicJwk: JWK
  /** Seals the private key; call it once the tenant's data key exists. */
  seal(tenantId: string, newKey?: WrappedKey): Promise<Uint8Array>
}

/** `typ` of a checkpoint of the journal. */
export const checkpointTyp = 'countersign-checkpoint+jws'

/** Makes and uses ES256 signing keys. The only code that sees a private one. */
export class Signer {
  readonly #vault: Vault
  readonly #kept = new Map<string, KeyObject>()

  constructor(vault: Vault) {
    this.#vault = vault
  }

  async createKey(): Promise<NewSigningKey> {
    const { privateKey, publicKey } = await generate('ec', { namedCurve: 'P-256' })
    const bare = await exportJWK(publicKey)
    const kid = await calculateJwkThumbprint(bare, 'sha256')
    const der = privateKey.export({ format: 'der', type: 'pkcs8' })
    return {
      kid,
      publicJwk: { ...bare, use: 'sig', alg: 'ES256', kid },
      seal: async (tenantId, newKey) => {
        const place = placeOf(tenantId, kid)
        return newKey === undefined
          ? this.#vault.seal(place, der)
          : this.#vault.sealWithNewKey(newKey, place, der)
      },
    }
  }

  /** A compact JWS over exactly these bytes, with `alg`, `kid` and `typ` in its header. */
  async signCompact(
    tenantId: string,
    key: StoredSigningKey,
    typ: string,
    payload: Uint8Array,
  ): Promise<string> {
    return new CompactSign(payload)
      .setProtectedHeader({ alg: 'ES256', kid: key.kid, typ })
      .sign(await this.#privateKey(tenantId, key))
  }

  async #privateKey(tenantId: string, key: StoredSigningKey): Promise<KeyObject> {
    const name = `${tenantId}\n${key.kid}`
    const kept = this.#kept.get(name)
    if (kept !== undefined) return kept
    const der = await this.#vault.open(placeOf(tenantId, key.kid), key.sealedPrivate)
    const privateKey = createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' })
    if (this.#kept.size >= keptKeysMax) this.#kept.clear()
    this.#kept.set(name, privateKey)
    return privateKey
  }
}

function placeOf(tenantId: string, kid: string): Place {
  return { tenantId, table: 'signing_key', row: kid, column: 'sealed_private' }
}

/** What a compact JWS says once its signature holds. */
export interface VerifiedJws {
  readonly header: Readonly<Record<string, unknown>>
  readonly payload: Uint8Array
}

/** Checks ES256 compact JWS; keeps imported keys, because importing costs as much as verifying. */
export class JwsVerifier {
  readonly #kept = new Map<string, Promise<CryptoKey | Uint8Array>>()

  /**
   * Checks a JWS against one of our public keys. Its header decides nothing but which of `keys` is used.
   *
   * @returns undefined when it is not ours, not canonical base64url, or its signature does not hold.
   */
  async verify(jws: string, typ: string, keys: readonly JWK[]): Promise<VerifiedJws | undefined> {
    const parts = jws.split('.')
    // The one spelling of its bytes in each part: the library takes others too (R16).
    if (
      parts.length !== 3 ||
      parts.some((part) => part === '' || decodeBase64url(part) === undefined)
    )
      return undefined
    try {
      const { kid } = decodeProtectedHeader(jws)
      const jwk = keys.find((candidate) => candidate.kid === kid)
      if (jwk === undefined) return undefined
      const key = await this.#import(jwk)
      const { payload, protectedHeader } = await compactVerify(jws, key, { algorithms: ['ES256'] })
      return protectedHeader.typ === typ ? { header: { ...protectedHeader }, payload } : undefined
    } catch {
      return undefined
    }
  }

  #import(jwk: JWK): Promise<CryptoKey | Uint8Array> {
    const name = `${jwk.x}.${jwk.y}`
    const kept = this.#kept.get(name)
    if (kept !== undefined) return kept
    if (this.#kept.size >= keptKeysMax) this.#kept.clear()
    const imported = importJWK(jwk, 'ES256')
    this.#kept.set(name, imported)
    return imported
  }
}
