import type { Randomness } from '#custody/randomness.ts'
import type { Place, Vault } from '#custody/vault.ts'
import { platformTenantId } from '../callers/caller.ts'
import { type Storage, takenKey } from '../storage.ts'

const secretBytes = 32

/** Random bytes of the platform: made when they are first asked for, sealed in the database, the same for every process. */
export class PlatformSecret {
  readonly #storage: Storage
  readonly #vault: Vault
  readonly #randomness: Randomness
  readonly #name: string
  #bytes: Uint8Array | undefined

  constructor(
    dependencies: { storage: Storage; vault: Vault; randomness: Randomness },
    name: string,
  ) {
    this.#storage = dependencies.storage
    this.#vault = dependencies.vault
    this.#randomness = dependencies.randomness
    this.#name = name
  }

  /** Not inside a transaction. */
  async get(): Promise<Uint8Array> {
    this.#bytes ??= (await this.#find()) ?? (await this.#make())
    return this.#bytes
  }

  async #find(): Promise<Uint8Array | undefined> {
    const key = { tenantId: platformTenantId, name: this.#name }
    const stored = await this.#storage.read.platformValues.find(key)
    return stored === undefined
      ? undefined
      : this.#vault.open(this.#place, Buffer.from(stored, 'base64'))
  }

  async #make(): Promise<Uint8Array> {
    const key = { tenantId: platformTenantId, name: this.#name }
    const sealed = await this.#vault.seal(this.#place, this.#randomness(secretBytes))
    try {
      await this.#storage.transaction(({ platformValues }) =>
        platformValues.insert(key, Buffer.from(sealed).toString('base64')),
      )
    } catch (error) {
      // Another process was faster: its bytes are the ones.
      if (takenKey(error) === undefined) throw error
    }
    const kept = await this.#find()
    if (kept === undefined) throw new Error(`${this.#name} was made and is not there.`)
    return kept
  }

  get #place(): Place {
    return {
      tenantId: platformTenantId,
      table: 'platform_value',
      row: this.#name,
      column: 'value',
    }
  }
}
