import { keyedHashHex } from '#custody/secrets.ts'
import type { Vault } from '#custody/vault.ts'
import { platformTenantId } from '../callers/caller.ts'
import type { Storage } from '../storage.ts'
import { platformValueNames, platformValuePlace } from '../tenants/platform-bootstrap.ts'

/** Sets these hashes apart from everything else that is made with the key of the platform. */
const purpose = 'countersign portal nonces v1'

/** Makes what is stored of a nonce: short ones would be found by trying, if the hash needed no key. */
export class NonceHasher {
  readonly #storage: Storage
  readonly #vault: Vault
  #key: Uint8Array | undefined

  constructor(dependencies: { storage: Storage; vault: Vault }) {
    this.#storage = dependencies.storage
    this.#vault = dependencies.vault
  }

  /** @param nonce in its canonical spelling. @returns HMAC-SHA-256 over tenant and nonce, hex. */
  async hash(tenantId: string, nonce: string): Promise<string> {
    this.#key ??= await this.#derive()
    return keyedHashHex(this.#key, `${tenantId}\n${nonce}`)
  }

  async #derive(): Promise<Uint8Array> {
    const name = platformValueNames.deviceNonceKey
    const of = { tenantId: platformTenantId, name }
    const sealed = await this.#storage.read.platformValues.find(of)
    if (sealed === undefined) throw new Error('The platform has no key for nonces.')
    const key = await this.#vault.open(platformValuePlace(name), Buffer.from(sealed, 'base64'))
    return Buffer.from(keyedHashHex(key, purpose), 'hex')
  }
}
