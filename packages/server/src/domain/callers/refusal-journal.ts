import type { Clock } from '../clock.ts'
import type { Storage } from '../storage.ts'
import { Caller, type SurfaceName } from './caller.ts'
import type { TokenFlaw } from './issuer-token.ts'

/** Why a credential of an account or issuer that exists is refused. Told to the journal only. */
export type RefusalReason =
  | 'wrong_secret'
  | 'secret_replaced'
  | 'disabled'
  | 'expired'
  | 'address_not_allowed'
  | 'tenant_disabled'
  | 'credentials_conflict'
  | TokenFlaw

/** Where a request came from. */
export interface Origin {
  /** Client address as text, null when there is none. */
  readonly address: string | null
  readonly surface: SurfaceName
  /** ULID of the request. */
  readonly requestId: string | null
}

interface Refusal {
  /** Where it is recorded; `_platform` for the platform's. */
  readonly homeId: string
  /** Whose credential it was, or was said to be. */
  readonly target: { readonly type: 'service-account' | 'trusted-issuer'; readonly id: string }
  readonly reason: RefusalReason
  readonly origin: Origin
}

interface Entry {
  readonly recordedAtMs: number
  /** The latest of the refusals that were not recorded one by one. */
  latest: Refusal | undefined
  waitingCount: number
}

const intervalMs = 60_000
const targetsMax = 10_000

/**
 * Records refused credentials of accounts and issuers that exist. Each gets one record a minute at most, with the number
 * of refusals since the last one, so that whoever guesses cannot fill the journal.
 */
export class RefusalJournal {
  readonly #storage: Storage
  readonly #clock: Clock
  readonly #entries = new Map<string, Entry>()

  constructor({ storage, clock }: { storage: Storage; clock: Clock }) {
    this.#storage = storage
    this.#clock = clock
  }

  /** Records now, or counts for the next record. */
  async report(refusal: Refusal): Promise<void> {
    const { homeId, target } = refusal
    const name = `${homeId}\n${target.type}\n${target.id}`
    const entry = this.#entries.get(name)
    if (entry !== undefined && this.#clock() < entry.recordedAtMs + intervalMs) {
      entry.latest = refusal
      entry.waitingCount++
      return
    }
    const count = 1 + (entry?.waitingCount ?? 0)
    // Noted first: refusals that come meanwhile are counted, not recorded.
    if (this.#entries.size >= targetsMax) this.#entries.clear()
    this.#entries.set(name, { recordedAtMs: this.#clock(), latest: undefined, waitingCount: 0 })
    await this.#record(refusal, count)
  }

  /** Records what was only counted; to be called by a timer, and before the process ends. */
  async flush({ final = false }: { final?: boolean } = {}): Promise<void> {
    const nowMs = this.#clock()
    for (const [name, { recordedAtMs, latest, waitingCount }] of [...this.#entries]) {
      if (!final && nowMs < recordedAtMs + intervalMs) continue
      this.#entries.delete(name)
      if (latest !== undefined) await this.#record(latest, waitingCount)
    }
  }

  async #record({ homeId, target, reason, origin }: Refusal, count: number): Promise<void> {
    const caller = Caller.anonymous(origin)
    await this.#storage.transaction(
      async ({ journal }) => {
        await journal.append(caller, homeId, {
          action: 'caller.refused',
          outcome: 'FAILURE',
          target,
          detail: { reason, count },
        })
      },
      { grouped: true },
    )
  }
}
