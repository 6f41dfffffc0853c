import { timingSafeEqual } from 'node:crypto'
import { decodeBase64url, encodeBase64url } from '@countersign/protocol/encoding/base64.ts'
import type { Randomness } from '#custody/randomness.ts'
import { keyedHashHex } from '#custody/secrets.ts'
import type { Vault } from '#custody/vault.ts'
import { platformTenantId } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import type { Storage } from '../storage.ts'
import { platformValueNames, platformValuePlace } from '../tenants/platform-bootstrap.ts'

/** How long a device may sign a nonce. */
export const serverNonceLifeMs = 300_000

const timeBytes = 6
const randomBytes = 10
const macBytes = 16
const nonceBytes = timeBytes + randomBytes + macBytes
/** The clocks of two nodes may differ by this much. */
const nodeSkewMs = 5_000

/**
 * Nonces that devices sign: the moment, randomness, and a MAC that every node of the installation can check. Nothing is
 * stored; that a signature is used once is the matter of its `jti`.
 */
export class ServerNonces {
  readonly #storage: Storage
  readonly #vault: Vault
  readonly #clock: Clock
  readonly #randomness: Randomness
  #key: Uint8Array | undefined
  #opening: Promise<void> | undefined

  constructor(dependencies: {
    storage: Storage
    vault: Vault
    clock: Clock
    randomness: Randomness
  }) {
    this.#storage = dependencies.storage
    this.#vault = dependencies.vault
    this.#clock = dependencies.clock
    this.#randomness = dependencies.randomness
  }

  /** To be awaited before anything else: the key is read once. */
  async ready(): Promise<void> {
    if (this.#key !== undefined) return
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined
    })
    await this.#opening
  }

  /** @returns 43 characters of base64url. */
  issue(): string {
    const body = Buffer.alloc(timeBytes + randomBytes)
    body.writeUIntBE(this.#clock(), 0, timeBytes)
    body.set(this.#randomness(randomBytes), timeBytes)
    return encodeBase64url(Buffer.concat([body, this.#mac(body)]))
  }

  /** True for one of ours that is at most 300 s old. */
  isCurrent(nonce: string): boolean {
    const bytes = decodeBase64url(nonce)
    if (bytes?.length !== nonceBytes) return false
    const body = Buffer.from(bytes.subarray(0, timeBytes + randomBytes))
    if (!timingSafeEqual(this.#mac(body), bytes.subarray(timeBytes + randomBytes))) return false
    const ageMs = this.#clock() - body.readUIntBE(0, timeBytes)
    return ageMs <= serverNonceLifeMs && ageMs >= -nodeSkewMs
  }

  #mac(body: Uint8Array): Buffer {
    if (this.#key === undefined) throw new Error('The key for nonces of devices was not read.')
    return Buffer.from(keyedHashHex(this.#key, body), 'hex').subarray(0, macBytes)
  }

  async #open(): Promise<void> {
    const name = platformValueNames.deviceNonceKey
    const sealed = await this.#storage.read.platformValues.find({
      tenantId: platformTenantId,
      name,
    })
    if (sealed === undefined) throw new Error('The platform has no key for nonces of devices.')
    this.#key = await this.#vault.open(platformValuePlace(name), Buffer.from(sealed, 'base64'))
  }
}
