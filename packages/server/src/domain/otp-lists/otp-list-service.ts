import type { Randomness } from '#custody/randomness.ts'
import type { Vault } from '#custody/vault.ts'
import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { decodeCursor, encodeCursor, type Page, type PageRequest } from '../paging.ts'
import type { Storage } from '../storage.ts'
import type { IdSource } from '../ulid.ts'
import type { UserReference } from '../users/user-resolver.ts'
import { associateList, keepNewLists, recordRemoved } from './associating.ts'
import { makeLists } from './list-creation.ts'
import { reportIfRenewalDue } from './list-events.ts'
import { expiryOf, type NewOtpLists, requireCount } from './list-order.ts'
import { requireListReader, requireListWriter, requireUserInfoReader } from './list-rights.ts'
import { listNotFound, methodNotFound, type OtpList, type OtpListWithCodes } from './otp-list.ts'
import { methodKeyPlace } from './otp-list-method.ts'
import type { ListConditions, ListPosition } from './otp-list-query-store.ts'

/** A list of another method than this one does not exist. */
export interface OfMethod {
  readonly method?: string | undefined
}

/** What a query may ask for; all that are given must hold. */
export interface OtpListQuery extends Omit<ListConditions, 'userId'> {
  /** One that names nobody gives an empty page. */
  readonly user?: UserReference | undefined
}

/** A user with the lists of one method. */
export interface ListUserInfo {
  readonly userId: string
  /** The identifier of scheme `uniqueID`, else the id. */
  readonly userUniqueId: string
  readonly active: OtpList | undefined
  readonly associated: OtpList | undefined
}

const beginning: ListPosition = [Number.MIN_SAFE_INTEGER, '']

/** Printed lists and whose they are. Checking their codes is `VerificationService`'s. */
export class OtpListService {
  readonly #storage: Storage
  readonly #vault: Vault
  readonly #randomness: Randomness
  readonly #clock: Clock
  readonly #nextId: IdSource

  constructor(dependencies: {
    storage: Storage
    vault: Vault
    randomness: Randomness
    clock: Clock
    nextId: IdSource
  }) {
    this.#storage = dependencies.storage
    this.#vault = dependencies.vault
    this.#randomness = dependencies.randomness
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
  }

  /**
   * Makes lists, all or none. The answer is the only place where their codes ever appear.
   *
   * @returns in order of creation.
   * @throws DomainError `forbidden`, `tenant_not_found`, `method_not_found`, `user_not_found`; `invalid_request` for an
   *   expiry in the past or beyond the method's limit, and for more codes than one answer may hold.
   */
  async create(caller: Caller, tenantId: string, order: NewOtpLists): Promise<OtpListWithCodes[]> {
    requireListWriter(caller, tenantId)
    const { read } = this.#storage
    await read.tenants.requireFor(caller, tenantId)
    const keyed = await read.otpListMethods.findKeyed(tenantId, order.method)
    if (keyed === undefined) throw methodNotFound('/method')
    const { method, sealedKey } = keyed
    const count = requireCount(order, method)
    const nowMs = this.#clock()
    const expiresAtMs = expiryOf(order, method, nowMs)
    const key = await this.#vault.open(methodKeyPlace(tenantId, method.name), sealedKey)
    const source = { randomness: this.#randomness, nextId: this.#nextId }
    const lists = await makeLists(method, { count, expiresAtMs, nowMs, key }, source)
    return this.#storage.transaction((stores) =>
      keepNewLists(stores, caller, { method, lists, user: order.user, nowMs }),
    )
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`, `list_not_found`. */
  async get(caller: Caller, tenantId: string, listId: string, of: OfMethod = {}): Promise<OtpList> {
    requireListReader(caller, tenantId)
    const list = await this.#storage.read.otpLists.find(tenantId, listId, this.#clock())
    if (list === undefined || !isOf(list, of)) throw listNotFound()
    return list
  }

  /**
   * Gives a free list to a user. Whatever list of the method was waiting for the user's first code goes; the one in use
   * stays.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`; in this order `list_not_found`, `user_not_found`,
   *   `list_not_free`.
   */
  async associate(
    caller: Caller,
    tenantId: string,
    listId: string,
    user: UserReference,
    of: OfMethod = {},
  ): Promise<OtpList> {
    requireListWriter(caller, tenantId)
    return this.#storage.transaction(async (stores) => {
      const nowMs = this.#clock()
      const list = await stores.otpLists.find(tenantId, listId, nowMs)
      if (list === undefined || !isOf(list, of)) throw listNotFound()
      return associateList(stores, caller, { list, user, nowMs })
    })
  }

  /** Removes a list in any state. @throws DomainError `forbidden`, `tenant_not_found`, `list_not_found`. */
  async delete(caller: Caller, tenantId: string, listId: string, of: OfMethod = {}): Promise<void> {
    requireListWriter(caller, tenantId)
    await this.#storage.transaction(async (stores) => {
      const { otpLists } = stores
      const nowMs = this.#clock()
      const list = await otpLists.find(tenantId, listId, nowMs)
      if (list === undefined || !isOf(list, of)) throw listNotFound()
      const removed = await otpLists.remove(tenantId, listId, nowMs)
      if (removed === undefined) throw listNotFound()
      await recordRemoved(stores, caller, tenantId, [removed], 'REQUESTED')
      await reportIfRenewalDue(stores, tenantId, removed, nowMs)
    })
  }

  /**
   * In order of creation, then of id. A page may be short while `nextCursor` is there: conditions without an index are
   * looked for in bounded steps.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `cursor_invalid`.
   */
  async query(
    caller: Caller,
    tenantId: string,
    query: OtpListQuery,
    request: PageRequest,
  ): Promise<Page<OtpList>> {
    requireListReader(caller, tenantId)
    const { read } = this.#storage
    await read.tenants.requireFor(caller, tenantId)
    const { user, ...conditions } = query
    const nowMs = this.#clock()
    const filters = {
      ...conditions,
      statuses: query.statuses?.toSorted(),
      user: user && JSON.stringify(user),
    }
    const scope = { list: 'otp-lists', tenantId, filters, nowMs }
    const after = decodeCursor(request.cursor, ['integer', 'text'], scope) ?? beginning
    const userId =
      user === undefined ? undefined : await read.userResolver.findUserId(tenantId, user)
    if (user !== undefined && userId === undefined) return { items: [] }
    const { lists, nextAfter } = await read.otpListQueries.list(
      tenantId,
      { ...conditions, userId },
      { after, limit: request.limit, nowMs },
    )
    if (nextAfter === undefined) return { items: lists }
    return { items: lists, nextCursor: encodeCursor(nextAfter, scope) }
  }

  /**
   * The lists that a user has of a method. Undefined for a reference that names nobody, and for a user without a list.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `method_not_found`.
   */
  async userInfo(
    caller: Caller,
    tenantId: string,
    { method, user }: { method: string; user: UserReference },
  ): Promise<ListUserInfo | undefined> {
    requireUserInfoReader(caller, tenantId)
    const { read } = this.#storage
    if ((await read.otpListMethods.find(tenantId, method)) === undefined) throw methodNotFound()
    const userId = await read.userResolver.findUserId(tenantId, user)
    if (userId === undefined) return undefined
    const lists = await read.otpLists.listOfUser({ tenantId, userId, method }, this.#clock())
    const [any] = lists
    if (any === undefined) return undefined
    return {
      userId,
      userUniqueId: any.userUniqueId ?? userId,
      active: lists.find(({ status }) => status === 'ACTIVE'),
      associated: lists.find(({ status }) => status === 'ASSOCIATED'),
    }
  }
}

function isOf(list: OtpList, { method }: OfMethod): boolean {
  return method === undefined || list.method === method
}
