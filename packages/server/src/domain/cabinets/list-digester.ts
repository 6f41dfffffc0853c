import {
  type AccessList,
  lockListDigest,
  userListDigest,
} from '@countersign/protocol/cabinet/access-list.ts'
import type { Randomness } from '#custody/randomness.ts'
import { keyedHashHex } from '#custody/secrets.ts'
import type { Place, Vault } from '#custody/vault.ts'
import { platformTenantId } from '../callers/caller.ts'
import { type Storage, takenKey } from '../storage.ts'
import type { ListDigests } from './rights-store.ts'

const keyName = 'cabinet-digest-key'
const keyBytes = 32
const place: Place = {
  tenantId: platformTenantId,
  table: 'platform_value',
  row: keyName,
  column: 'value',
}

/**
 * Digests of lists in the form in which they are kept. Those of user lists are HMACs under a key of the platform: the
 * digest over a list of one user would let that user's PIN be found by trying, and the server only ever compares digests,
 * it never sends one.
 */
export class ListDigester {
  readonly #storage: Storage
  readonly #vault: Vault
  readonly #randomness: Randomness
  #key: Uint8Array | undefined

  constructor(dependencies: { storage: Storage; vault: Vault; randomness: Randomness }) {
    this.#storage = dependencies.storage
    this.#vault = dependencies.vault
    this.#randomness = dependencies.randomness
  }

  /** Not inside a transaction. */
  async digestsOf({ locks, users }: AccessList): Promise<ListDigests> {
    return {
      lockDigest: lockListDigest(locks),
      userDigestMac: await this.macOf(userListDigest(users)),
    }
  }

  /** Not inside a transaction. @param userDigest hex, in lower case. */
  async macOf(userDigest: string): Promise<string> {
    this.#key ??= await this.#load()
    return keyedHashHex(this.#key, userDigest)
  }

  async #load(): Promise<Uint8Array> {
    const key = { tenantId: platformTenantId, name: keyName }
    const stored = await this.#storage.read.platformValues.find(key)
    if (stored !== undefined) return this.#vault.open(place, Buffer.from(stored, 'base64'))
    const sealed = await this.#vault.seal(place, this.#randomness(keyBytes))
    try {
      await this.#storage.transaction(({ platformValues }) =>
        platformValues.insert(key, Buffer.from(sealed).toString('base64')),
      )
    } catch (error) {
      // Another process was faster: its key is the one.
      if (takenKey(error) === undefined) throw error
    }
    const kept = await this.#storage.read.platformValues.find(key)
    if (kept === undefined) throw new Error('The digest key was made and is not there.')
    return this.#vault.open(place, Buffer.from(kept, 'base64'))
  }
}
