import { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { workInSteps } from '../stepwise-work.ts'
import type { Storage } from '../storage.ts'
import { recordRemoved } from './associating.ts'
import { reportIfRenewalDue } from './list-events.ts'

const batchLists = 100

/** Takes away the rows of lists whose time is over. Nobody waits for it: an expired list is unknown from its instant. */
export class OtpListExpiry {
  readonly #storage: Storage
  readonly #clock: Clock

  constructor({ storage, clock }: { storage: Storage; clock: Clock }) {
    this.#storage = storage
    this.#clock = clock
  }

  /** To be called by one timer of the installation. */
  async removeExpired(): Promise<void> {
    await workInSteps(async () => {
      const nowMs = this.#clock()
      const expired = await this.#storage.read.otpLists.listExpired(nowMs, batchLists)
      if (expired.length === 0) return false
      await this.#storage.transaction(async (stores) => {
        for (const { tenantId, id } of expired) {
          const list = await stores.otpLists.removeExpired(tenantId, id, nowMs)
          // A tenant that is being deleted gets no more records.
          if (list === undefined || (await stores.tenants.find(tenantId)) === undefined) continue
          await recordRemoved(stores, Caller.system(), tenantId, [list], 'EXPIRED')
          await reportIfRenewalDue(stores, tenantId, list, nowMs)
        }
      })
      return true
    })
  }
}
