import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import type { Storage } from '../storage.ts'
import { type Identifier, normalIdentifierValue, userIdentifiersMax } from './identifier.ts'
import { checkIdentifier } from './user.ts'
import { tellOfUserId } from './user-events.ts'
import { requireUserWriter } from './user-rights.ts'
import { userNotFound } from './user-service.ts'

/** What names users to other systems. */
export class UserIdentifierService {
  readonly #storage: Storage
  readonly #clock: Clock

  constructor(dependencies: { storage: Storage; clock: Clock }) {
    this.#storage = dependencies.storage
    this.#clock = dependencies.clock
  }

  /**
   * Gives the user one more identifier; one that the user has already is no error.
   *
   * @returns the identifier in normal form.
   * @throws DomainError `forbidden`, `tenant_not_found`, `user_not_found`, `invalid_request`; `already_exists` when the
   * pair is somebody else's, or was once and names once only; `limit_reached` beyond 200.
   */
  async add(
    caller: Caller,
    tenantId: string,
    userId: string,
    given: Identifier,
  ): Promise<Identifier> {
    requireUserWriter(caller, tenantId)
    return this.#storage.transaction(async (stores) => {
      const { tenants, users, userIdentifiers, journal } = stores
      await tenants.requireFor(caller, tenantId)
      if (!(await users.hold(tenantId, userId))) throw userNotFound()
      const identifier = checkIdentifier(given)
      if (await userIdentifiers.isHeldBy(tenantId, userId, identifier)) return identifier
      const count = (await userIdentifiers.listOf(tenantId, userId)).length
      if (count >= userIdentifiersMax) {
        throw new DomainError(
          'limit_reached',
          `A user has at most ${userIdentifiersMax} identifiers.`,
        )
      }
      if (!(await userIdentifiers.insert(tenantId, userId, identifier))) {
        throw new DomainError('already_exists', 'The identifier is taken.', {
          faults: [{ pointer: '/value', code: 'not_unique', message: 'is taken' }],
        })
      }
      const nowMs = this.#clock()
      await users.update(tenantId, userId, {}, nowMs)
      await journal.append(caller, tenantId, {
        action: 'user-identifier.added',
        target: { type: 'user', id: userId },
        userId,
        detail: { scheme: identifier.scheme },
      })
      await tellOfUserId(stores, 'user.updated', { tenantId, userId, nowMs })
      return identifier
    })
  }

  /**
   * @param given in any notation of its scheme.
   * @throws DomainError `forbidden`, `tenant_not_found`, `user_not_found`, `identifier_not_found`.
   */
  async remove(caller: Caller, tenantId: string, userId: string, given: Identifier): Promise<void> {
    requireUserWriter(caller, tenantId)
    const { scheme } = given
    const value = normalIdentifierValue(given)
    await this.#storage.transaction(async (stores) => {
      const { tenants, users, userIdentifiers, journal } = stores
      await tenants.requireFor(caller, tenantId)
      if (!(await users.hold(tenantId, userId))) throw userNotFound()
      if (
        value === undefined ||
        !(await userIdentifiers.remove(tenantId, userId, { scheme, value }))
      ) {
        throw new DomainError('identifier_not_found', 'The user has no such identifier.')
      }
      const nowMs = this.#clock()
      await users.update(tenantId, userId, {}, nowMs)
      await journal.append(caller, tenantId, {
        action: 'user-identifier.removed',
        target: { type: 'user', id: userId },
        userId,
        detail: { scheme },
      })
      await tellOfUserId(stores, 'user.updated', { tenantId, userId, nowMs })
    })
  }
}
