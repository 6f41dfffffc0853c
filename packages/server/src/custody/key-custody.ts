import {
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto'
import { promisify } from 'node:util'
import { derFromRaw } from '@countersign/protocol/certificate/ecdsa-signature.ts'
import { importEcPublicKey } from '@countersign/protocol/message/es256.ts'
import { calculateJwkThumbprint, exportJWK } from 'jose'
import { RecentKeys } from './recent-keys.ts'
import type { NewSigningKey, StoredSigningKey } from './signer.ts'
import type { Place, Vault } from './vault.ts'

const generate = promisify(generateKeyPair)
const keptKeysMax = 1_000
const rsaBits = 2_048

/** Keys that the custody makes: ES256 for certificates, RS256 for customers' tokens. */
export type KeyAlgorithm = 'ES256' | 'RS256'

/** A key pair as a driver made it. */
export interface DriverKey {
  /** SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array
  /** What the driver needs to find the private key again; sealed before it is stored. */
  readonly handle: Uint8Array
}

/**
 * Where private keys live. Keys in software have the key itself for a handle; those in a hardware module would have
 * their name there, and never leave it.
 */
export interface KeyDriver {
  generate(algorithm: KeyAlgorithm): Promise<DriverKey>
  /** Makes a handle usable; called once while the key is kept. */
  open(handle: Uint8Array, algorithm: KeyAlgorithm): Promise<OpenKey>
}

/** A private key ready to sign. */
export interface OpenKey {
  /** ECDSA signatures in DER. */
  sign(bytes: Uint8Array): Promise<Uint8Array>
}

/** Keys as node:crypto has them, on its thread pool. */
export const softwareKeys: KeyDriver = {
  async generate(algorithm) {
    const { privateKey, publicKey } =
      algorithm === 'ES256'
        ? await generate('ec', { namedCurve: 'P-256' })
        : await generate('rsa', { modulusLength: rsaBits })
    return {
      publicKey: publicKey.export({ format: 'der', type: 'spki' }),
      handle: privateKey.export({ format: 'der', type: 'pkcs8' }),
    }
  },
  async open(handle) {
    const key = createPrivateKey({ key: Buffer.from(handle), format: 'der', type: 'pkcs8' })
    return { sign: (bytes) => signOnPool(bytes, key) }
  },
}

function signOnPool(bytes: Uint8Array, key: KeyObject): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    sign('sha256', bytes, key, (error, signature) => {
      if (error === null) resolve(signature)
      else reject(error)
    })
  })
}

/** A new key pair: to be stored like every signing key, see {@link NewSigningKey}. */
export interface NewCustodyKey extends NewSigningKey {
  /** SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array
  /** Signs before the key is stored. */
  sign(bytes: Uint8Array): Promise<Uint8Array>
}

/** Makes and uses the keys of certificate authorities and customers. Nothing else sees a private one. */
export class KeyCustody {
  readonly #vault: Vault
  readonly #driver: KeyDriver
  readonly #kept = new Map<string, OpenKey>()

  constructor(vault: Vault, driver: KeyDriver = softwareKeys) {
    this.#vault = vault
    this.#driver = driver
  }

  async createKey(algorithm: KeyAlgorithm): Promise<NewCustodyKey> {
    const { publicKey, handle } = await this.#driver.generate(algorithm)
    const imported = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' })
    const bare = await exportJWK(imported)
    const kid = await calculateJwkThumbprint(bare, 'sha256')
    const opened = await this.#driver.open(handle, algorithm)
    return {
      kid,
      publicJwk: { ...bare, use: 'sig', alg: algorithm, kid },
      publicKey,
      sign: (bytes) => opened.sign(bytes),
      seal: async (tenantId, newKey) => {
        const place = placeOf(tenantId, kid)
        return newKey === undefined
          ? this.#vault.seal(place, handle)
          : this.#vault.sealWithNewKey(newKey, place, handle)
      },
    }
  }

  /**
   * Signs with SHA-256 off the event loop: ECDSA in DER, RSA as PKCS#1 v1.5.
   *
   * @throws SealError when the key does not open.
   */
  async sign(tenantId: string, key: StoredSigningKey, bytes: Uint8Array): Promise<Uint8Array> {
    const name = `${tenantId}\n${key.kid}`
    const kept = this.#kept.get(name)
    if (kept !== undefined) return kept.sign(bytes)
    const handle = await this.#vault.open(placeOf(tenantId, key.kid), key.sealedPrivate)
    const algorithm = key.publicJwk.kty === 'RSA' ? 'RS256' : 'ES256'
    const opened = await this.#driver.open(handle, algorithm)
    if (this.#kept.size >= keptKeysMax) this.#kept.clear()
    this.#kept.set(name, opened)
    return opened.sign(bytes)
  }

  /** A key that is gone for good is not kept for its users. */
  forget(tenantId: string, kid: string): void {
    this.#kept.delete(`${tenantId}\n${kid}`)
  }
}

function placeOf(tenantId: string, kid: string): Place {
  return { tenantId, table: 'signing_key', row: kid, column: 'sealed_private' }
}

/** Checks ECDSA signatures over P-256 on the thread pool; a key is imported once while it is in use. */
export class EcdsaVerifier {
  readonly #kept = new RecentKeys()

  /**
   * @param spki SubjectPublicKeyInfo. @param signature r and s, 32 bytes each.
   * @returns false also for a key that is none.
   */
  readonly verify = (
    spki: Uint8Array,
    bytes: Uint8Array,
    signature: Uint8Array,
  ): Promise<boolean> => {
    const key = this.#import(spki)
    if (key === undefined) return Promise.resolve(false)
    return new Promise((resolve) => {
      // In DER, because node:crypto would convert r and s on the event loop, which takes as long as the check itself.
      verify('sha256', bytes, key, derFromRaw(signature), (error, holds) =>
        resolve(error === null && holds),
      )
    })
  }

  #import(spki: Uint8Array): KeyObject | undefined {
    return this.#kept.get(Buffer.from(spki).toString('latin1'), () => importEcPublicKey(spki))
  }
}
