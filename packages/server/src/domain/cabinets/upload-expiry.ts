import type { Clock } from '../clock.ts'
import type { Storage } from '../storage.ts'

const dayMs = 86_400_000
const rowsAtOnce = 500
const roundsMax = 20

/** Removes audit records and marks of repeats whose time is over. */
export class UploadExpiry {
  readonly #storage: Storage
  readonly #clock: Clock

  constructor({ storage, clock }: { storage: Storage; clock: Clock }) {
    this.#storage = storage
    this.#clock = clock
  }

  /** Some thousand marks at most; to be called by a timer every minute. */
  async removeSeen(): Promise<void> {
    const nowMs = this.#clock()
    await this.#inBatches(({ uploads }, limit) => uploads.removeSeen(nowMs, limit))
  }

  /** Some thousand uploads of one tenant at most. @param keptDays `webhookDeliveryDays` of its settings. */
  async removeUploads(tenantId: string, keptDays: number): Promise<void> {
    // A day more than is promised: what is still to be forwarded is not older than one.
    const beforeMs = this.#clock() - (keptDays + 1) * dayMs
    await this.#inBatches(({ uploads }, limit) => uploads.removeBefore(tenantId, beforeMs, limit))
  }

  async #inBatches(
    remove: (cabinets: Storage['read']['cabinets'], limit: number) => Promise<number>,
  ): Promise<void> {
    for (let round = 0; round < roundsMax; round++) {
      const removed = await this.#storage.transaction(({ cabinets }) =>
        remove(cabinets, rowsAtOnce),
      )
      if (removed < rowsAtOnce) return
    }
  }
}
