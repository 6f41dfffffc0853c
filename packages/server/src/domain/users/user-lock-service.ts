import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import type { Storage } from '../storage.ts'
import { MemberCheck } from './name-text.ts'
import type { User } from './user.ts'
import { tellOfUser } from './user-events.ts'
import { lockUser } from './user-lock.ts'
import { requireUserWriter } from './user-rights.ts'
import { getUser, userNotFound } from './user-service.ts'

/** Locks over all credentials of a user. */
export class UserLockService {
  readonly #storage: Storage
  readonly #clock: Clock

  constructor(dependencies: { storage: Storage; clock: Clock }) {
    this.#storage = dependencies.storage
    this.#clock = dependencies.clock
  }

  /**
   * Locks all credentials of the user until unlocked, also when a lock that would have ended by itself is running. A user
   * who is locked so already stays as is.
   *
   * @param reason the administrator's words, for the journal.
   * @throws DomainError `forbidden`, `tenant_not_found`, `user_not_found`; `invalid_request` for a reason that is too long.
   */
  async lock(caller: Caller, tenantId: string, userId: string, reason?: string): Promise<User> {
    requireUserWriter(caller, tenantId)
    const check = new MemberCheck()
    check.text('/reason', reason)
    check.finish()
    return this.#storage.transaction(async (stores) => {
      await stores.tenants.requireFor(caller, tenantId)
      if (!(await stores.users.hold(tenantId, userId))) throw userNotFound()
      const nowMs = this.#clock()
      await lockUser(stores, caller, { tenantId, userId, nowMs }, reason)
      return getUser(stores, tenantId, userId, nowMs)
    })
  }

  /**
   * Lifts every lock of the user, of the user's token assignments and printed lists, and forgets all failures. What an
   * administrator has locked on a single assignment stays locked.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `user_not_found`.
   */
  async unlock(caller: Caller, tenantId: string, userId: string): Promise<User> {
    requireUserWriter(caller, tenantId)
    return this.#storage.transaction(async (stores) => {
      await stores.tenants.requireFor(caller, tenantId)
      if (!(await stores.users.hold(tenantId, userId))) throw userNotFound()
      const nowMs = this.#clock()
      await stores.userCredentials.clearLockout(tenantId, userId)
      await stores.otpLists.forgetFailures(tenantId, userId)
      const unlockedTokenCount = await stores.userCredentials.unlockAssignments(
        tenantId,
        userId,
        nowMs,
      )
      await stores.journal.append(caller, tenantId, {
        action: 'user.unlocked',
        target: { type: 'user', id: userId },
        userId,
        detail: { unlockedTokenCount },
      })
      const user = await getUser(stores, tenantId, userId, nowMs)
      await tellOfUser(stores, 'user.unlocked', user)
      return user
    })
  }
}
