import type { JsonValue } from '@countersign/protocol/encoding/jcs.ts'
import type { Stores } from '../storage.ts'
import type { EventData } from '../webhooks/event-store.ts'
import { isRenewalDue, type OtpList } from './otp-list.ts'
import type { RemovedList } from './otp-list-store.ts'

/** Counts what happened to a list and reports it to webhooks, in the running transaction; the list is read only if somebody wants to hear of it. */
export async function reportList(
  stores: Stores,
  type: 'otp-list.activated' | 'otp-list.renew-due',
  { tenantId }: { tenantId: string },
  listId: string,
  nowMs: number,
): Promise<void> {
  stores.otpListChanges.count(type === 'otp-list.activated' ? 'activated' : 'renew_due')
  await stores.events.append(tenantId, {
    type,
    async data(): Promise<EventData> {
      const list = await stores.otpLists.find(tenantId, listId, nowMs)
      return { list: list === undefined ? { id: listId } : nativeForm(list) }
    },
  })
}

/** A list that waited is gone: was the one in use relying on it? */
export async function reportIfRenewalDue(
  stores: Stores,
  tenantId: string,
  removed: RemovedList,
  nowMs: number,
): Promise<void> {
  const { userId, method: name, status } = removed
  if (status !== 'ASSOCIATED' || userId === null) return
  const lists = await stores.otpLists.listOfUser({ tenantId, userId, method: name }, nowMs)
  const active = lists.find((list) => list.status === 'ACTIVE')
  const method = await stores.otpListMethods.find(tenantId, name)
  if (active === undefined || method === undefined) return
  const hasWaiting = lists.some((list) => list.status === 'ASSOCIATED')
  if (!isRenewalDue(active.remaining, hasWaiting, method)) return
  await reportList(stores, 'otp-list.renew-due', { tenantId }, active.id, nowMs)
}

/** As the platform API answers it. */
function nativeForm(list: OtpList): JsonValue {
  return {
    id: list.id,
    method: list.method,
    status: list.status,
    userId: list.userId,
    size: list.size,
    remaining: list.remaining,
    nextIndex: list.nextIndex,
    expiresAt: instant(list.expiresAtMs),
    createdAt: instant(list.createdAtMs),
    updatedAt: instant(list.updatedAtMs),
  }
}

function instant(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString()
}
