import type { Caller } from '../callers/caller.ts'
import { DomainError } from '../errors.ts'
import { type Storage, type Stores, takenKey } from '../storage.ts'

const triesMax = 5

/**
 * A transaction that gives a device a push token which another one may have. Of devices that come with one token at the same
 * moment each gets it in its turn: the last one keeps it. Who finds it taken while it moved stands in line from then on.
 *
 * @throws DomainError `unavailable` when others kept coming between.
 */
export async function movePushToken<T>(
  storage: Storage,
  { caller, tenantId }: { readonly caller: Caller; readonly tenantId: string },
  work: (stores: Stores) => Promise<T>,
): Promise<T> {
  for (let tries = 1; tries <= triesMax; tries++) {
    try {
      return await storage.transaction(async (stores) => {
        if (tries > 1) await stores.tenants.holdFor(caller, tenantId)
        return work(stores)
      })
    } catch (error) {
      if (takenKey(error) === undefined) throw error
    }
  }
  throw new DomainError('unavailable', 'The push token is being moved.', { retryAfterSeconds: 1 })
}
