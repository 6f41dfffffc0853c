import type { Caller } from '../callers/caller.ts'
import { DomainError } from '../errors.ts'
import type { Stores } from '../storage.ts'
import type { UserReference } from '../users/user-resolver.ts'
import type { NewList } from './list-creation.ts'
import {
  listNotFound,
  listNotFree,
  listTarget,
  methodNotFound,
  type OtpList,
  type OtpListWithCodes,
} from './otp-list.ts'
import type { OtpListMethod } from './otp-list-method.ts'
import type { RemovedList } from './otp-list-store.ts'

/** Statements that are sent before the first of them is waited for. */
const listsAtOnce = 50

/** Stores new lists in the running transaction, and gives the one of `user` to the user. */
export async function keepNewLists(
  stores: Stores,
  caller: Caller,
  order: {
    method: OtpListMethod
    lists: readonly NewList[]
    user: UserReference | undefined
    nowMs: number
  },
): Promise<OtpListWithCodes[]> {
  const { method, lists, user, nowMs } = order
  const { tenantId } = method
  const present = (await stores.otpListMethods.hold(tenantId, method.name))
    ? await stores.otpListMethods.find(tenantId, method.name)
    : undefined
  // One that was made anew under the same name has another key.
  if (present?.id !== method.id) throw methodNotFound('/method')
  for (let start = 0; start < lists.length; start += listsAtOnce) {
    const some = lists.slice(start, start + listsAtOnce)
    await Promise.all(some.map((list) => keepList(stores, caller, list)))
  }
  const printed = lists.map((list) => list.printed)
  const [only] = printed
  if (user === undefined || only === undefined) return printed
  const list = await associateList(stores, caller, { list: only.list, user, nowMs })
  return [{ ...only, list }]
}

async function keepList(
  { otpLists, otpListChanges, journal }: Stores,
  caller: Caller,
  { printed: { list }, kept }: NewList,
): Promise<void> {
  otpListChanges.count('created')
  await Promise.all([
    otpLists.insert(list, kept),
    journal.append(caller, list.tenantId, {
      action: 'otp-list.created',
      target: listTarget(list.id),
      detail: { method: list.method, size: list.size, expiresAt: list.expiresAtMs },
    }),
  ])
}

/**
 * Gives a free list to a user, in the running transaction, in place of the one that was waiting.
 *
 * @throws DomainError `user_not_found`; `list_not_free`, `list_not_found`.
 */
export async function associateList(
  stores: Stores,
  caller: Caller,
  { list, user, nowMs }: { list: OtpList; user: UserReference; nowMs: number },
): Promise<OtpList> {
  const { tenantId, id } = list
  const userId = await stores.userResolver.getUserId(tenantId, user, '/user')
  // Held: two lists for one user come one after the other, and nobody who is being deleted gets one.
  if (!(await stores.users.hold(tenantId, userId))) {
    throw new DomainError('user_not_found', 'No such user.', { pointer: '/user' })
  }
  // Read again behind the hold: it may have been given away meanwhile, and be what waits for this very user.
  const present = await stores.otpLists.find(tenantId, id, nowMs)
  if (present === undefined) throw listNotFound()
  if (present.status !== 'FREE') throw listNotFree()
  const method = await stores.otpListMethods.find(tenantId, list.method)
  if (method === undefined) throw listNotFound()
  const maxAgeSeconds = method.associatedListMaxAgeSeconds
  const expiresAtMs = maxAgeSeconds === 0 ? null : nowMs + maxAgeSeconds * 1_000
  const replaced = await stores.otpLists.removeWaiting({ tenantId, userId, method: list.method })
  if (!(await stores.otpLists.associate(list, { userId, expiresAtMs }, nowMs))) {
    const now = await stores.otpLists.find(tenantId, id, nowMs)
    throw now === undefined ? listNotFound() : listNotFree()
  }
  stores.otpListChanges.count('associated')
  await recordRemoved(stores, caller, tenantId, replaced, 'REPLACED')
  await stores.journal.append(caller, tenantId, {
    action: 'otp-list.associated',
    target: listTarget(id),
    userId,
    detail: { method: list.method, expiresAt: expiresAtMs },
  })
  const associated = await stores.otpLists.find(tenantId, id, nowMs)
  if (associated === undefined) throw listNotFound()
  return associated
}

/** REPLACED: by another list of the same user. USER_DELETED, EXPIRED: as they say. REQUESTED: by a call of its own. */
export type RemovalReason = 'REPLACED' | 'USER_DELETED' | 'EXPIRED' | 'REQUESTED'

export async function recordRemoved(
  { otpListChanges, journal }: Stores,
  caller: Caller,
  tenantId: string,
  lists: readonly RemovedList[],
  reason: RemovalReason,
): Promise<void> {
  for (const { id, method, userId, status } of lists) {
    otpListChanges.count('removed')
    await journal.append(caller, tenantId, {
      action: 'otp-list.deleted',
      target: listTarget(id),
      userId,
      detail: { method, status, reason },
    })
  }
}
