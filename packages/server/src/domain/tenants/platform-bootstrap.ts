import type { Randomness } from '#custody/randomness.ts'
import type { NewSigningKey, Signer } from '#custody/signer.ts'
import { type Place, SealError, type Vault, type WrappedKey } from '#custody/vault.ts'
import { platformTenantId } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { type Storage, takenKey } from '../storage.ts'
import type { SigningPurpose } from './signing-key-store.ts'

/** Values of the platform that are made at first start and are there ever after. */
export const platformValueNames = {
  /** Opens with the right master key only. */
  masterKeyCheck: 'master-key-check',
  /** The number of the latest tenant. */
  tenantNumber: 'tenant-number',
  /** Held while the set of platform administrators is checked and changed. */
  administrators: 'administrators',
  /** Key of the hashes that compare bodies of repeated requests, sealed. */
  idempotencyKey: 'idempotency-key',
  /** Key of the nonces that devices sign, sealed. */
  deviceNonceKey: 'device-nonce-key',
} as const

type PlatformValueName = (typeof platformValueNames)[keyof typeof platformValueNames]

const checkText = 'countersign master key check v1'
const attemptsMax = 3
const hashKeyBytes = 32

/** The master key is not the one that this database was made or re-wrapped with. */
export class MasterKeyMismatchError extends Error {
  override readonly name = 'MasterKeyMismatchError'
}

/** Where a sealed value of the platform is bound to. */
export function platformValuePlace(name: PlatformValueName): Place {
  return { tenantId: platformTenantId, table: 'platform_value', row: name, column: 'value' }
}

/** Makes what the platform itself needs in a new database, and finds out whether the master key fits an old one. */
export class PlatformBootstrap {
  readonly #storage: Storage
  readonly #vault: Vault
  readonly #signer: Signer
  readonly #randomness: Randomness
  readonly #clock: Clock

  constructor(dependencies: {
    storage: Storage
    vault: Vault
    signer: Signer
    randomness: Randomness
    clock: Clock
  }) {
    this.#storage = dependencies.storage
    this.#vault = dependencies.vault
    this.#signer = dependencies.signer
    this.#randomness = dependencies.randomness
    this.#clock = dependencies.clock
  }

  /**
   * To be called once at every start, after the migrations. Several processes may do it at the same time: unique keys
   * let one of them make the platform, and the others find it made.
   *
   * @throws MasterKeyMismatchError
   */
  async ensurePlatform(): Promise<void> {
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      const name = platformValueNames.masterKeyCheck
      const check = await this.#storage.read.platformValues.find({
        tenantId: platformTenantId,
        name,
      })
      if (check !== undefined) return this.#requireRightKey(check)
      await this.#makePlatform()
    }
    throw new Error('The platform was made and is not there.')
  }

  async #requireRightKey(check: string): Promise<void> {
    try {
      const place = platformValuePlace(platformValueNames.masterKeyCheck)
      const text = await this.#vault.open(place, Buffer.from(check, 'base64'))
      if (Buffer.from(text).toString('utf8') === checkText) return
    } catch (error) {
      if (!(error instanceof SealError)) throw error
    }
    throw new MasterKeyMismatchError('The master key does not fit the database.')
  }

  async #makePlatform(): Promise<void> {
    const wrapped = this.#vault.createWrappedKey(platformTenantId, 1)
    const values: readonly [PlatformValueName, string][] = [
      // The first one decides which process makes the platform, and with which master key.
      [
        platformValueNames.masterKeyCheck,
        this.#seal(wrapped, platformValueNames.masterKeyCheck, Buffer.from(checkText)),
      ],
      this.#newHashKey(wrapped, platformValueNames.idempotencyKey),
      this.#newHashKey(wrapped, platformValueNames.deviceNonceKey),
      [platformValueNames.tenantNumber, '0'],
      [platformValueNames.administrators, ''],
    ]
    const signingKeys = await Promise.all([this.#newKey('audit'), this.#newKey('oauth')])
    const sealedKeys = await Promise.all(
      signingKeys.map(async ({ key, purpose }) => ({
        kid: key.kid,
        publicJwk: key.publicJwk,
        sealedPrivate: await key.seal(platformTenantId, wrapped),
        purpose,
      })),
    )
    try {
      await this.#storage.transaction(async ({ platformValues, tenantKeys, signingKeys }) => {
        const nowMs = this.#clock()
        for (const [name, value] of values) {
          await platformValues.insert({ tenantId: platformTenantId, name }, value)
        }
        await tenantKeys.insert(platformTenantId, wrapped, nowMs)
        for (const key of sealedKeys) {
          await signingKeys.insert({
            ...key,
            tenantId: platformTenantId,
            createdAtMs: nowMs,
            retiredAtMs: null,
          })
        }
      })
    } catch (error) {
      // Another process was faster.
      if (takenKey(error) === undefined) throw error
    }
  }

  #newHashKey(key: WrappedKey, name: PlatformValueName): [PlatformValueName, string] {
    return [name, this.#seal(key, name, this.#randomness(hashKeyBytes))]
  }

  #seal(key: WrappedKey, name: PlatformValueName, plain: Uint8Array): string {
    const sealed = this.#vault.sealWithNewKey(key, platformValuePlace(name), plain)
    return Buffer.from(sealed).toString('base64')
  }

  async #newKey(purpose: SigningPurpose): Promise<{ key: NewSigningKey; purpose: SigningPurpose }> {
    return { key: await this.#signer.createKey(), purpose }
  }
}
