import { keyedHashHex, secretsEqual, sha256Hex } from '#custody/secrets.ts'
import type { Place, Vault } from '#custody/vault.ts'
import { type Caller, platformTenantId } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import type { Storage } from '../storage.ts'
import { platformValueNames, platformValuePlace } from '../tenants/platform-bootstrap.ts'
import type { Claim, KeptReply, KnownRequest, RequestKey } from './idempotency-store.ts'

/** How long a reply is kept. */
export const replyLifeMs = 86_400_000
/** How long a request may run; whatever has not ended by then has crashed. */
export const runningMsMax = 120_000

const removedAtOnceMax = 500
const batchesPerRunMax = 20

/** A request that its caller may send again. */
export interface KeyedRequest {
  /** Whose key it is: the same key of another one names another request. */
  readonly caller: Caller
  readonly method: string
  /** As sent, without query. */
  readonly path: string
  /** The caller's `Idempotency-Key`. */
  readonly key: string
  /** As sent: an equal object that is written in another way is another body. */
  readonly body: Uint8Array
  /** Members of the reply's body that appear in the first reply only. */
  readonly oneTimeMembers: readonly string[]
}

/** A reply whose body is an object that can be written as JSON. */
export interface JsonReply {
  readonly status: number
  readonly body?: object
  readonly headers?: Readonly<Record<string, string>>
}

/** The reply of the work that just ran, or that of an earlier run without its one-time members. */
export type IdempotentOutcome<R extends JsonReply> =
  | { readonly replayed: false; readonly reply: R }
  | { readonly replayed: true; readonly reply: JsonReply }

export interface IdempotencyObserver {
  /** The work is done and its caller has the answer, but the key could not be settled; it frees itself after a while. */
  settlingFailed(error: unknown): void
}

/**
 * Runs a request once, however often it is sent (platform.md, section 8). Bodies are compared by a hash under a key of the
 * platform, so that the database does not give away what was in them, and replies are sealed.
 */
export class IdempotencyService {
  readonly #storage: Storage
  readonly #vault: Vault
  readonly #clock: Clock
  readonly #observer: IdempotencyObserver
  #hashKey: Uint8Array | undefined

  constructor(dependencies: {
    storage: Storage
    vault: Vault
    clock: Clock
    observer: IdempotencyObserver
  }) {
    this.#storage = dependencies.storage
    this.#vault = dependencies.vault
    this.#clock = dependencies.clock
    this.#observer = dependencies.observer
  }

  /**
   * Runs the work, or answers what it answered before. Only a 2xx reply is kept, for 24 hours; any other reply and any
   * throw frees the key. The work checks the caller's rights; those of a repeat are checked before this is called.
   *
   * The reply is stored after the work has committed. A crash between the two leaves the effect without its reply:
   * repeats get `idempotency_in_progress` for two minutes, after that the work runs again and meets its own effect,
   * `already_exists` where the request names its object.
   *
   * @throws DomainError `idempotency_in_progress`; `idempotency_key_reused` for another body; and whatever the work throws.
   */
  async run<R extends JsonReply>(
    request: KeyedRequest,
    work: () => Promise<R>,
  ): Promise<IdempotentOutcome<R>> {
    const named = nameOf(request)
    const bodyHash = await this.#hashBody(named, request.body)
    const nowMs = this.#clock()
    const claim: Claim = { ...named, endsAtMs: nowMs + runningMsMax }
    const known = await this.#storage.transaction(async ({ idempotency }) => {
      if (await idempotency.claim({ ...claim, bodyHash, nowMs })) return 'claimed'
      return idempotency.find(named)
    })
    if (known !== 'claimed') {
      return { replayed: true, reply: await this.#replay(named, bodyHash, known) }
    }

    const reply = await this.#runClaimed(claim, work)
    if (isSuccess(reply)) await this.#keep(claim, reply, request.oneTimeMembers)
    else await this.#free(claim)
    return { replayed: false, reply }
  }

  /**
   * Removes what has expired, some thousand rows at most; to be called by a timer.
   *
   * @returns how many rows were removed.
   */
  async removeExpired(nowMs: number): Promise<number> {
    let removedCount = 0
    for (let batch = 0; batch < batchesPerRunMax; batch++) {
      const count = await this.#storage.transaction(({ idempotency }) =>
        idempotency.removeExpired({ nowMs, limit: removedAtOnceMax }),
      )
      removedCount += count
      if (count < removedAtOnceMax) break
    }
    return removedCount
  }

  async #replay(
    named: RequestKey,
    bodyHash: string,
    known: KnownRequest | undefined,
  ): Promise<JsonReply> {
    if (known !== undefined && !secretsEqual(known.bodyHash, bodyHash)) {
      throw new DomainError(
        'idempotency_key_reused',
        'The Idempotency-Key came with another body before.',
      )
    }
    // A row that is gone was freed this very moment.
    if (known?.reply === undefined) {
      throw new DomainError(
        'idempotency_in_progress',
        'The first request with this Idempotency-Key still runs.',
      )
    }
    return this.#open(named, known.reply)
  }

  async #open(named: RequestKey, kept: KeptReply): Promise<JsonReply> {
    const { status, sealedBody } = kept
    const headers = JSON.parse(kept.headers) as Readonly<Record<string, string>>
    if (sealedBody === null) return { status, headers }
    const plain = await this.#vault.open(bodyPlace(named), sealedBody)
    return { status, headers, body: JSON.parse(Buffer.from(plain).toString('utf8')) as object }
  }

  async #runClaimed<R>(claim: Claim, work: () => Promise<R>): Promise<R> {
    try {
      return await work()
    } catch (error) {
      await this.#free(claim)
      throw error
    }
  }

  /** The effect is there, so a failure here must not turn the answer into an error. */
  async #keep(
    claim: Claim,
    { status, headers = {}, body }: JsonReply,
    oneTimeMembers: readonly string[],
  ): Promise<void> {
    try {
      const sealedBody = body === undefined ? null : await this.#seal(claim, body, oneTimeMembers)
      const reply = {
        status,
        headers: JSON.stringify(headers),
        sealedBody,
        expiresAtMs: this.#clock() + replyLifeMs,
      }
      await this.#storage.transaction(({ idempotency }) => idempotency.keep(claim, reply))
    } catch (error) {
      this.#observer.settlingFailed(error)
    }
  }

  async #free(claim: Claim): Promise<void> {
    try {
      await this.#storage.transaction(({ idempotency }) => idempotency.free(claim))
    } catch (error) {
      this.#observer.settlingFailed(error)
    }
  }

  async #seal(
    named: RequestKey,
    body: object,
    oneTimeMembers: readonly string[],
  ): Promise<Uint8Array> {
    const members = Object.entries(body).filter(([name]) => !oneTimeMembers.includes(name))
    const text = JSON.stringify(Object.fromEntries(members))
    return this.#vault.seal(bodyPlace(named), Buffer.from(text, 'utf8'))
  }

  async #hashBody({ tenantId, requestKey }: RequestKey, body: Uint8Array): Promise<string> {
    this.#hashKey ??= await this.#readHashKey()
    return keyedHashHex(this.#hashKey, `${tenantId}\n${requestKey}\n${sha256Hex(body)}`)
  }

  async #readHashKey(): Promise<Uint8Array> {
    const name = platformValueNames.idempotencyKey
    const { platformValues } = this.#storage.read
    const sealed = await platformValues.find({ tenantId: platformTenantId, name })
    if (sealed === undefined) throw new Error('The platform has no key to compare bodies with.')
    return this.#vault.open(platformValuePlace(name), Buffer.from(sealed, 'base64'))
  }
}

/** Written as JSON, so that no part can be taken for another. */
function nameOf({ caller, method, path, key }: KeyedRequest): RequestKey {
  const { type, id, tenantId } = caller
  if (id === null) throw new Error('A caller without identity has no keys.')
  return {
    tenantId: tenantId ?? platformTenantId,
    requestKey: sha256Hex(JSON.stringify([type, id, method, path, key])),
  }
}

function bodyPlace({ tenantId, requestKey }: RequestKey): Place {
  return { tenantId, table: 'idempotent_reply', row: requestKey, column: 'sealed_body' }
}

function isSuccess({ status }: JsonReply): boolean {
  return status >= 200 && status < 300
}
