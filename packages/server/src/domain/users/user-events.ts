import type { Stores } from '../storage.ts'
import type { User } from './user.ts'
import { userDocument } from './user-document.ts'

type UserEventType = `user.${'created' | 'updated' | 'deleted' | 'locked' | 'unlocked'}`

/** Tells webhooks of a user, in the running transaction. */
export async function tellOfUser(
  { events }: Stores,
  type: UserEventType,
  user: User,
): Promise<void> {
  await events.append(user.tenantId, { type, data: { user: userDocument(user) } })
}

/** The same for a user who is not at hand: read only if somebody wants to hear of it. */
export async function tellOfUserId(
  { events, userViews }: Stores,
  type: UserEventType,
  { tenantId, userId, nowMs }: { tenantId: string; userId: string; nowMs: number },
): Promise<void> {
  const data = async () => {
    const user = await userViews.find(tenantId, userId, nowMs)
    return user === undefined ? {} : { user: userDocument(user) }
  }
  await events.append(tenantId, { type, data })
}
