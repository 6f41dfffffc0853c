import type { KeyCustody } from '#custody/key-custody.ts'
import { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import { type Storage, takenKey } from '../storage.ts'
import type { SigningKey } from '../tenants/signing-key-store.ts'

const purpose = 'keyless'

/** The RSA key with which the server vouches for a Keyless customer's operations; made when it is first needed. */
export class CustomerKeys {
  readonly #storage: Storage
  readonly #custody: KeyCustody
  readonly #clock: Clock

  constructor(dependencies: { storage: Storage; custody: KeyCustody; clock: Clock }) {
    this.#storage = dependencies.storage
    this.#custody = dependencies.custody
    this.#clock = dependencies.clock
  }

  /**
   * The key that signs now; of processes that make it at the same time one does. The right to it is asked for by the
   * feature that signs.
   *
   * @throws DomainError `tenant_not_found`.
   */
  async active(tenantId: string): Promise<SigningKey> {
    const found = await this.#storage.read.signingKeys.findActive(tenantId, purpose)
    if (found !== undefined) return found
    await this.#storage.read.tenants.get(tenantId)
    const key = await this.#custody.createKey('RS256')
    const sealedPrivate = await key.seal(tenantId)
    try {
      await this.#storage.transaction(async (stores) => {
        await stores.tenants.get(tenantId)
        await stores.signingKeys.insert({
          tenantId,
          kid: key.kid,
          purpose,
          publicJwk: key.publicJwk,
          sealedPrivate,
          createdAtMs: this.#clock(),
          retiredAtMs: null,
        })
        const target = { type: 'signing-key', id: key.kid }
        await stores.journal.append(Caller.system(), tenantId, {
          action: 'customer-key.created',
          target,
        })
      })
    } catch (error) {
      if (takenKey(error) === undefined) throw error
    }
    const made = await this.#storage.read.signingKeys.findActive(tenantId, purpose)
    if (made === undefined) throw new DomainError('tenant_not_found', 'No such tenant.')
    return made
  }

  /** Retired ones too, newest first. */
  async list(tenantId: string): Promise<SigningKey[]> {
    return this.#storage.read.signingKeys.list(tenantId, purpose)
  }

  /** RS256 over these bytes: header and payload of a JWT, as text. */
  async sign(tenantId: string, key: SigningKey, bytes: Uint8Array): Promise<Uint8Array> {
    return this.#custody.sign(tenantId, key, bytes)
  }
}
