import type { Clock } from '../clock.ts'
import { workInSteps } from '../stepwise-work.ts'
import type { Storage, Stores } from '../storage.ts'

const rowsPerStep = 1_000
/** How far back a device that was away is told what happened. */
const eventsKeptMs = 86_400_000

/** Takes away tokens, remembered proofs and events whose time is over. Nobody waits for it, and no tenant is visited. */
export class DeviceExpiry {
  readonly #storage: Storage
  readonly #clock: Clock

  constructor({ storage, clock }: { storage: Storage; clock: Clock }) {
    this.#storage = storage
    this.#clock = clock
  }

  /** To be called by one timer of the installation. */
  async removeExpired(): Promise<void> {
    const nowMs = this.#clock()
    await this.#repeat(({ deviceSessions }) => deviceSessions.removeExpired(nowMs, rowsPerStep))
    const beforeMs = nowMs - eventsKeptMs
    await this.#repeat(({ deviceEvents }) => deviceEvents.removeBefore(beforeMs, rowsPerStep))
  }

  async #repeat(step: (stores: Stores) => Promise<number>): Promise<void> {
    await workInSteps(async () => (await this.#storage.transaction(step)) > 0)
  }
}
