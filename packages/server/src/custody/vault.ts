import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto'
import type { MasterKey } from './master-key.ts'
import type { Randomness } from './randomness.ts'

const formatVersion = 1
const headerLength = 5
const nonceLength = 12
const tagLength = 16
const keyringsMax = 10_000

/**
 * How long a process may go on sealing with a data key that was the newest when it looked. Whoever removes an old key
 * waits longer than this.
 */
export const newestKeyMsMax = 30_000

/** Where a sealed value lives. A value moved to another place does not open. */
export interface Place {
  readonly tenantId: string
  readonly table: string
  readonly row: string
  readonly column: string
}

/** A tenant's data key as stored: wrapped, once for each master key that may open it. */
export interface WrappedKey {
  readonly version: number
  readonly masterKeyId: string
  readonly wrapped: Uint8Array
}

/** Where wrapped keys are read; the stores of the tenants implement it. */
export interface WrappedKeySource {
  listWrappedKeys(tenantId: string): Promise<readonly WrappedKey[]>
}

/** A sealed value cannot be opened: other key, other place, or changed. Never shown to a caller. */
export class SealError extends Error {
  override readonly name = 'SealError'
}

interface Keyring {
  readonly newest: number
  readonly keys: ReadonlyMap<number, KeyObject>
  /** Of the monotonic clock. */
  readonly readAtMs: number
}

/** Where a wrapped key is bound to. */
export function wrapPlace(tenantId: string, version: number): string {
  return `${tenantId}\n${version}`
}

/**
 * Seals and opens secrets with the data key of their tenant (AES-256-GCM). The sealed form: format, key version (32 bits),
 * nonce, ciphertext, tag; tenant, table, row and column are authenticated with it.
 */
export class Vault {
  readonly #masterKey: MasterKey
  readonly #source: WrappedKeySource
  readonly #randomness: Randomness
  readonly #keyrings = new Map<string, Keyring>()

  constructor(masterKey: MasterKey, source: WrappedKeySource, randomness: Randomness) {
    this.#masterKey = masterKey
    this.#source = source
    this.#randomness = randomness
  }

  get masterKeyId(): string {
    return this.#masterKey.id
  }

  /** A fresh data key in wrapped form, to be stored with the tenant in the same transaction. */
  createWrappedKey(tenantId: string, version: number): WrappedKey {
    const dataKey = this.#randomness(32)
    return {
      version,
      masterKeyId: this.#masterKey.id,
      wrapped: this.#masterKey.wrap(dataKey, wrapPlace(tenantId, version), this.#randomness),
    }
  }

  /** Seals with the newest data key of the place's tenant. @throws SealError when the master key opens none. */
  async seal(place: Place, plain: Uint8Array): Promise<Uint8Array> {
    return this.#sealWith(await this.#keyring(place.tenantId), place, plain)
  }

  /** As `seal`, with a key that was made in the transaction that is still running. */
  sealWithNewKey(wrapped: WrappedKey, place: Place, plain: Uint8Array): Uint8Array {
    return this.#sealWith(this.#unwrap(place.tenantId, [wrapped]), place, plain)
  }

  /** @throws SealError */
  async open(place: Place, sealed: Uint8Array): Promise<Uint8Array> {
    const version = readVersion(sealed)
    const known = this.#keyrings.get(place.tenantId)?.keys.get(version)
    return openWith(known ?? (await this.#find(place.tenantId, version)), place, sealed)
  }

  /** The data key's version a value was sealed with. */
  keyVersion(sealed: Uint8Array): number {
    return readVersion(sealed)
  }

  /** Reads the tenant's keys again at next use: they were rotated, or the tenant is gone. */
  forget(tenantId: string): void {
    this.#keyrings.delete(tenantId)
  }

  async #find(tenantId: string, version: number): Promise<KeyObject> {
    this.forget(tenantId)
    const key = (await this.#keyring(tenantId)).keys.get(version)
    if (key === undefined) throw new SealError('The value was sealed with a key that is not here.')
    return key
  }

  async #keyring(tenantId: string): Promise<Keyring> {
    const kept = this.#keyrings.get(tenantId)
    if (kept !== undefined && performance.now() - kept.readAtMs < newestKeyMsMax) return kept
    const keyring = this.#unwrap(tenantId, await this.#source.listWrappedKeys(tenantId))
    if (this.#keyrings.size >= keyringsMax) this.#keyrings.clear()
    this.#keyrings.set(tenantId, keyring)
    return keyring
  }

  #unwrap(tenantId: string, wrappedKeys: readonly WrappedKey[]): Keyring {
    const keys = new Map<number, KeyObject>()
    for (const { version, masterKeyId, wrapped } of wrappedKeys) {
      if (masterKeyId !== this.#masterKey.id) continue
      const dataKey = this.#masterKey.unwrap(wrapped, wrapPlace(tenantId, version))
      if (dataKey !== undefined) keys.set(version, createSecretKey(dataKey))
    }
    if (keys.size === 0) throw new SealError('The master key opens no data key of this tenant.')
    return { newest: Math.max(...keys.keys()), keys, readAtMs: performance.now() }
  }

  #sealWith({ newest, keys }: Keyring, place: Place, plain: Uint8Array): Uint8Array {
    const key = keys.get(newest)
    if (key === undefined) throw new SealError('There is no data key.')
    const header = Buffer.alloc(headerLength)
    header.writeUInt8(formatVersion, 0)
    header.writeUInt32BE(newest, 1)
    const nonce = this.#randomness(nonceLength)
    const cipher = createCipheriv('aes-256-gcm', key, nonce)
    cipher.setAAD(boundTo(place))
    return Buffer.concat([header, nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  }
}

function readVersion(sealed: Uint8Array): number {
  if (sealed.length < headerLength + nonceLength + tagLength || sealed[0] !== formatVersion) {
    throw new SealError('The value has no known sealed form.')
  }
  return new DataView(sealed.buffer, sealed.byteOffset).getUint32(1)
}

function openWith(key: KeyObject, place: Place, sealed: Uint8Array): Uint8Array {
  const bodyStart = headerLength + nonceLength
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(headerLength, bodyStart))
  decipher.setAAD(boundTo(place))
  decipher.setAuthTag(sealed.subarray(-tagLength))
  const plain = decipher.update(sealed.subarray(bodyStart, -tagLength))
  try {
    decipher.final()
  } catch {
    throw new SealError('The value was changed, or moved to another place.')
  }
  return plain
}

function boundTo({ tenantId, table, row, column }: Place): Buffer {
  return Buffer.from(`countersign-seal-v1\n${tenantId}\n${table}\n${row}\n${column}`)
}
