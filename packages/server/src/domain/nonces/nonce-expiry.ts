import type { Clock } from '../clock.ts'
import { workInSteps } from '../stepwise-work.ts'
import type { Storage, Stores } from '../storage.ts'

const rowsPerStep = 1_000
/** So long a nonce is remembered, for records of whoever comes too late. */
const keptMs = 600_000

/** Takes away nonces and counts of failures whose time is over. */
export class NonceExpiry {
  readonly #storage: Storage
  readonly #clock: Clock

  constructor({ storage, clock }: { storage: Storage; clock: Clock }) {
    this.#storage = storage
    this.#clock = clock
  }

  /** To be called by one timer of the installation. */
  async removeExpired(): Promise<void> {
    const nowMs = this.#clock()
    await this.#repeat(({ nonces }) => nonces.rows.removeExpired(nowMs - keptMs, rowsPerStep))
    await this.#repeat(({ nonces }) => nonces.attempts.removeOver(nowMs, rowsPerStep))
  }

  async #repeat(step: (stores: Stores) => Promise<number>): Promise<void> {
    await workInSteps(async () => (await this.#storage.transaction(step)) > 0)
  }
}
