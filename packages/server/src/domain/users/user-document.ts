import type { User } from './user.ts'

/** A user as the platform API shows one, in replies and in events: `User` of its contract. */
export function userDocument(user: User) {
  const { id, domain, loginName, displayName, email, status, lock, identifiers } = user
  const { keylessExternalId, createdAtMs, updatedAtMs, lastAuthenticatedAtMs } = user
  return {
    id,
    domain,
    loginName,
    displayName,
    email,
    status,
    lock: lock && {
      lockedAt: instant(lock.lockedAtMs),
      until: lock.untilMs === null ? null : instant(lock.untilMs),
      reason: lock.reason,
    },
    identifiers: identifiers.map(({ scheme, value }) => ({ scheme, value })),
    keylessExternalId,
    createdAt: instant(createdAtMs),
    updatedAt: instant(updatedAtMs),
    lastAuthenticatedAt: lastAuthenticatedAtMs === null ? null : instant(lastAuthenticatedAtMs),
  }
}

function instant(atMs: number): string {
  return new Date(atMs).toISOString()
}
