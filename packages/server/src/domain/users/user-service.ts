import type { PinHasher } from '#custody/pin-hasher.ts'
import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError, type Fault } from '../errors.ts'
import { recordRemoved } from '../otp-lists/associating.ts'
import { tokenTarget } from '../otp-tokens/otp-token.ts'
import { inPinQueue } from '../otp-tokens/pin.ts'
import { tellOfToken } from '../otp-tokens/token-document.ts'
import { decodeCursor, type Page, pageOf } from '../paging.ts'
import { type Storage, type Stores, takenKey } from '../storage.ts'
import type { IdSource } from '../ulid.ts'
import type { Identifier } from './identifier.ts'
import {
  checkUserChanges,
  checkUserDraft,
  type User,
  type UserChanges,
  type UserDraft,
} from './user.ts'
import { tellOfUser } from './user-events.ts'
import { lockUser } from './user-lock.ts'
import { asFilter, requireWholePair, type UserQuery } from './user-query.ts'
import type { UserReference } from './user-resolver.ts'
import { requireUserReader, requireUserWriter } from './user-rights.ts'
import { type NewUser, newUser, type UserUpdate } from './user-store.ts'

const tokensPerStep = 100

/** What ends on devices with a user. */
export interface DevicesOfUsers {
  /** In the running transaction. @returns the devices to wake after it. */
  endOfUser(
    stores: Stores,
    caller: Caller,
    user: { readonly tenantId: string; readonly userId: string },
  ): Promise<readonly string[]>
  wake(tenantId: string, deviceIds: readonly string[]): void
}

/** Users: what may be asked of them. Their identifiers and locks have services of their own. */
export class UserService {
  readonly #storage: Storage
  readonly #pins: PinHasher
  readonly #clock: Clock
  readonly #nextId: IdSource
  readonly #devices: DevicesOfUsers

  constructor(dependencies: {
    storage: Storage
    pins: PinHasher
    clock: Clock
    nextId: IdSource
    devices: DevicesOfUsers
  }) {
    this.#storage = dependencies.storage
    this.#pins = dependencies.pins
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
    this.#devices = dependencies.devices
  }

  /**
   * @throws DomainError `forbidden`, `tenant_not_found`, `invalid_request`; `domain_not_found` with its pointer;
   * `already_exists` whose faults name the members that are taken; `too_many_requests` while too many passwords wait.
   */
  async create(caller: Caller, tenantId: string, draft: UserDraft): Promise<User> {
    requireUserWriter(caller, tenantId)
    const { loginName = draft.loginName, identifiers } = checkUserDraft(draft)
    const passwordHash = await this.#hash(draft.password)
    return this.#storage.transaction(async (stores) => {
      await stores.tenants.requireFor(caller, tenantId)
      const home = await holdDomain(stores, tenantId, draft.domain)
      const nowMs = this.#clock()
      const ulid = this.#nextId()
      const user = newUser(tenantId, draft, {
        id: draft.id ?? ulid,
        ulid,
        domainKey: home.key,
        loginName,
        passwordHash: passwordHash ?? null,
        createdAtMs: nowMs,
      })
      if (!(await stores.users.insert(user))) throw taken(await takenNames(stores, user))
      // An id may have been somebody's before.
      if (draft.id !== undefined) await stores.userCredentials.clearLockout(tenantId, user.id)

      const faults = await giveIdentifiers(stores, user, identifiers)
      if (faults.length > 0) throw taken(faults)

      await stores.journal.append(caller, tenantId, {
        action: 'user.created',
        target: { type: 'user', id: user.id },
        userId: user.id,
        detail: { domain: home.name, loginName },
      })
      if (draft.lock === true) {
        await lockUser(stores, caller, { tenantId, userId: user.id, nowMs })
      }
      const made = await getUser(stores, tenantId, user.id, nowMs)
      await tellOfUser(stores, 'user.created', made)
      return made
    })
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`, `user_not_found`. */
  async get(caller: Caller, tenantId: string, id: string): Promise<User> {
    requireUserReader(caller, tenantId)
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    return getUser(this.#storage.read, tenantId, id, this.#clock())
  }

  /**
   * In order of creation.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `cursor_invalid`; `invalid_request` for a scheme without a
   * value or the other way round.
   */
  async list(caller: Caller, tenantId: string, query: UserQuery): Promise<Page<User>> {
    requireUserReader(caller, tenantId)
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    const { limit, cursor, ...filters } = query
    requireWholePair(query)
    const nowMs = this.#clock()
    const scope = { list: 'users', tenantId, filters, nowMs }
    const [afterUlid = ''] = decodeCursor(cursor, ['text'], scope) ?? []
    const filter = asFilter(query)
    const users =
      filter === undefined
        ? []
        : await this.#storage.read.userViews.list(tenantId, filter, {
            afterUlid,
            limit: limit + 1,
            nowMs,
          })
    return pageOf(
      users,
      limit,
      scope,
      ({ ulid }) => [ulid],
      (user) => user,
    )
  }

  /**
   * @throws DomainError `forbidden`, `tenant_not_found`, `user_not_found`, `invalid_request`; `domain_not_found` with its
   * pointer; `already_exists` when the login name is taken in the domain; `too_many_requests`.
   */
  async update(caller: Caller, tenantId: string, id: string, changes: UserChanges): Promise<User> {
    requireUserWriter(caller, tenantId)
    const { tenants, users } = this.#storage.read
    await tenants.requireFor(caller, tenantId)
    if (!(await users.exists(tenantId, id))) throw userNotFound()
    const { loginName } = checkUserChanges(changes)
    const passwordHash = await this.#hash(changes.password)
    const {
      domain,
      password: _password,
      clearFailures,
      lock,
      loginName: _given,
      ...others
    } = changes
    try {
      return await this.#storage.transaction(async (stores) => {
        const nowMs = this.#clock()
        const home = domain === undefined ? undefined : await holdDomain(stores, tenantId, domain)
        const update: UserUpdate = {
          ...others,
          ...(home === undefined ? {} : { domainKey: home.key }),
          ...(loginName === undefined ? {} : { loginName }),
          ...(passwordHash === undefined ? {} : { passwordHash }),
        }
        if (!(await stores.users.update(tenantId, id, update, nowMs))) throw userNotFound()
        if (clearFailures === true) await stores.userCredentials.clearLockout(tenantId, id)
        if (lock === true) await lockUser(stores, caller, { tenantId, userId: id, nowMs })
        const user = await getUser(stores, tenantId, id, nowMs)
        await stores.journal.append(caller, tenantId, {
          action: 'user.updated',
          target: { type: 'user', id },
          userId: id,
          detail: {
            domain: user.domain,
            loginName: user.loginName,
            changed: Object.keys(changes).sort(),
            ...(changes.status === undefined ? {} : { status: changes.status }),
          },
        })
        await tellOfUser(stores, 'user.updated', user)
        return user
      })
    } catch (error) {
      // Of what an update writes, only the login name has to be unique.
      if (takenKey(error) === undefined) throw error
      throw taken([notUnique(changes.loginName === undefined ? '/domain' : '/loginName')], error)
    }
  }

  /**
   * Deletes the user with everything that is the user's alone: assignments (the tokens stay), failures, links to devices
   * with PIN and certificates, identifiers. Open approvals are cancelled. Devices without another user go; of the identifiers only those that name once
   * stay taken.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `user_not_found`.
   */
  async delete(caller: Caller, tenantId: string, id: string): Promise<void> {
    requireUserWriter(caller, tenantId)
    const deviceIds = await this.#storage.transaction(async (stores) => {
      await stores.tenants.requireFor(caller, tenantId)
      const nowMs = this.#clock()
      const user = await getUser(stores, tenantId, id, nowMs)
      // First: from here on nobody can give this user anything.
      if (!(await stores.users.remove(tenantId, id))) throw userNotFound()
      await unassignTokens(stores, caller, { tenantId, userId: id, nowMs })
      const lists = await stores.otpLists.removeOfUser(tenantId, id)
      await recordRemoved(stores, caller, tenantId, lists, 'USER_DELETED')
      const ended = await this.#devices.endOfUser(stores, caller, { tenantId, userId: id })
      await stores.userCredentials.clearLockout(tenantId, id)
      await stores.userIdentifiers.removeAll(tenantId, id)
      await stores.journal.append(caller, tenantId, {
        action: 'user.deleted',
        target: { type: 'user', id },
        userId: id,
        detail: { domain: user.domain, loginName: user.loginName },
      })
      await tellOfUser(stores, 'user.deleted', user)
      return ended
    })
    this.#devices.wake(tenantId, deviceIds)
  }

  /**
   * The same for a user who is named in another way.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `user_not_found`.
   */
  async deleteNamed(caller: Caller, tenantId: string, named: UserReference): Promise<void> {
    requireUserWriter(caller, tenantId)
    const { tenants, userResolver } = this.#storage.read
    await tenants.requireFor(caller, tenantId)
    await this.delete(caller, tenantId, await userResolver.getUserId(tenantId, named))
  }

  /** Takes tens of milliseconds, so it comes before the transaction. */
  async #hash(password: string | undefined): Promise<string | undefined> {
    return password === undefined ? undefined : inPinQueue(() => this.#pins.hash(password))
  }
}

/** @throws DomainError `user_not_found`. */
export async function getUser(
  stores: Stores,
  tenantId: string,
  id: string,
  nowMs: number,
): Promise<User> {
  const user = await stores.userViews.find(tenantId, id, nowMs)
  if (user === undefined) throw userNotFound()
  return user
}

export function userNotFound(): DomainError {
  return new DomainError('user_not_found', 'No such user.')
}

/**
 * The domain that a user is to live in, kept from being deleted until the transaction ends.
 *
 * @throws DomainError `domain_not_found` with its pointer; `tenant_not_found`.
 */
async function holdDomain(
  { userDomains }: Stores,
  tenantId: string,
  name: string | undefined,
): Promise<{ key: string; name: string }> {
  if (name !== undefined) {
    const found = await userDomains.find(tenantId, name)
    if (found !== undefined && (await userDomains.hold(tenantId, found.key))) return found
  }
  const home = await userDomains.holdDefault(tenantId)
  if (home === undefined) throw new DomainError('tenant_not_found', 'No such tenant.')
  if (name === undefined) return home
  throw new DomainError('domain_not_found', 'No such domain.', { pointer: '/domain' })
}

/** Gives a new user its identifiers. @returns a fault for each that is somebody else's. */
async function giveIdentifiers(
  { userIdentifiers }: Stores,
  { tenantId, id }: NewUser,
  identifiers: readonly Identifier[],
): Promise<Fault[]> {
  const faults: Fault[] = []
  for (const [index, identifier] of identifiers.entries()) {
    const isNew = await userIdentifiers.insert(tenantId, id, identifier)
    if (!isNew && !(await userIdentifiers.isHeldBy(tenantId, id, identifier))) {
      faults.push(notUnique(`/identifiers/${index}`))
    }
  }
  return faults
}

async function unassignTokens(
  stores: Stores,
  caller: Caller,
  { tenantId, userId, nowMs }: { tenantId: string; userId: string; nowMs: number },
): Promise<void> {
  for (;;) {
    const tokens = await stores.userCredentials.unassignTokens(tenantId, userId, tokensPerStep)
    for (const { id, serial } of tokens) {
      await stores.journal.append(caller, tenantId, {
        action: 'otp-token.unassigned',
        target: tokenTarget(id),
        userId,
        detail: { serial, reason: 'USER_DELETED' },
      })
      await tellOfToken(stores, 'otp-token.unassigned', { tenantId, tokenId: id, userId }, nowMs)
    }
    if (tokens.length < tokensPerStep) return
  }
}

async function takenNames({ users }: Stores, user: NewUser): Promise<Fault[]> {
  const faults: Fault[] = []
  if (await users.exists(user.tenantId, user.id)) faults.push(notUnique('/id'))
  if (await users.hasLogin(user.tenantId, user.domainKey, user.loginName)) {
    faults.push(notUnique('/loginName'))
  }
  return faults
}

function notUnique(pointer: string): Fault {
  return { pointer, code: 'not_unique', message: 'is taken' }
}

function taken(faults: readonly Fault[], cause?: unknown): DomainError {
  return new DomainError('already_exists', 'The id, name or value is taken.', { faults, cause })
}
