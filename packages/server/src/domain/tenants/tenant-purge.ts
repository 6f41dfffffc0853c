import { platformTenantId } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { workInSteps } from '../stepwise-work.ts'
import type { Storage, Stores } from '../storage.ts'

const markPrefix = 'tenant-purge:'
const batchRowsMax = 500
const tenantsPerRunMax = 20
/** Longer than any transaction may run: what one wrote beside the deletion is found by then. */
const finalLookMs = 60_000

/**
 * Removes the rows of deleted tenants in small transactions. A mark in the database remembers what is left to do, so a
 * restart continues; it stays for a minute, for rows that a request wrote while its tenant was being deleted.
 */
export class TenantPurge {
  readonly #storage: Storage
  readonly #clock: Clock

  constructor({ storage, clock }: { storage: Storage; clock: Clock }) {
    this.#storage = storage
    this.#clock = clock
  }

  /** In the transaction that deletes the tenant. Its keys go now: whatever is left is unreadable. */
  async begin(stores: Stores, tenantId: string, nowMs: number): Promise<void> {
    await stores.tenantKeys.removeAll(tenantId)
    await stores.signingKeys.removeAll(tenantId)
    await stores.platformValues.put(markOf(tenantId), String(nowMs))
  }

  /** Removes what there is to remove of one tenant, for a few seconds at most. True when nothing is left. */
  continueOne(tenantId: string): Promise<boolean> {
    return workInSteps(async () => {
      const removed = await this.#storage.transaction(({ tenantPurge }) =>
        tenantPurge.removeSome(tenantId, batchRowsMax),
      )
      return removed >= batchRowsMax
    })
  }

  /** Goes on with every deletion that is not finished. To be called every few seconds by one timer of the process. */
  async continueAll(): Promise<void> {
    const marks = await this.#storage.read.platformValues.listByPrefix(
      platformTenantId,
      markPrefix,
      tenantsPerRunMax,
    )
    for (const { name, value } of marks) {
      const tenantId = name.slice(markPrefix.length)
      const isOld = this.#clock() - Number(value) > finalLookMs
      if (!(await this.continueOne(tenantId)) || !isOld) continue
      await this.#storage.transaction(({ platformValues }) =>
        platformValues.remove(markOf(tenantId)),
      )
    }
  }
}

function markOf(tenantId: string): { tenantId: string; name: string } {
  return { tenantId: platformTenantId, name: markPrefix + tenantId }
}
