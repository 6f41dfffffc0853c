import type { Caller } from '../callers/caller.ts'
import type { Stores } from '../storage.ts'
import { tellOfUserId } from './user-events.ts'

/**
 * Locks all credentials of a user whom the transaction holds, until unlocked. A user who is locked so already stays as is.
 *
 * @param reason the administrator's words, for the journal.
 */
export async function lockUser(
  stores: Stores,
  caller: Caller,
  { tenantId, userId, nowMs }: { tenantId: string; userId: string; nowMs: number },
  reason?: string,
): Promise<void> {
  if (!(await stores.userLocks.lock(tenantId, userId, nowMs))) return
  await stores.journal.append(caller, tenantId, {
    action: 'user.locked',
    target: { type: 'user', id: userId },
    userId,
    detail: { reason: 'ADMINISTRATOR', lockedUntil: null, words: reason ?? null },
  })
  await tellOfUserId(stores, 'user.locked', { tenantId, userId, nowMs })
}
