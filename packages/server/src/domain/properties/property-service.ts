import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import type { Condition } from '../conditions/condition.ts'
import { deviceNotFound } from '../devices/device-ending.ts'
import { DomainError } from '../errors.ts'
import { type Storage, type Stores, takenKey } from '../storage.ts'
import type { IdSource } from '../ulid.ts'
import type { UserSchemeService } from '../users/user-scheme-service.ts'
import { userNotFound } from '../users/user-service.ts'
import {
  changedMembers,
  checkDraft,
  isPropertyName,
  isVisibleTo,
  type Property,
  type PropertyDraft,
  type PropertyOwner,
  propertiesPerUserMax,
  propertyNotFound,
  type StoredProperty,
} from './property.ts'
import type { PropertyContents } from './property-contents.ts'
import type { PropertyNews } from './property-news.ts'
import { hasRoom, recordChange } from './property-records.ts'

/** Whose properties, by the user's name among AST callers. */
export interface NamedOwner {
  readonly userName: string
  /** Null: the user's on all devices. */
  readonly deviceId: string | null
}

/** A property, and its user's name among AST callers. */
export type NamedProperty = Property & { readonly userName: string }

/** Somebody else changed the property each time. */
const attemptsMax = 5

/** Properties as the portal deals with them: what it may not see is not there. */
export class PropertyService {
  readonly #storage: Storage
  readonly #users: UserSchemeService
  readonly #contents: PropertyContents
  readonly #news: PropertyNews
  readonly #clock: Clock
  readonly #nextId: IdSource

  constructor(dependencies: {
    storage: Storage
    userSchemes: UserSchemeService
    contents: PropertyContents
    news: PropertyNews
    clock: Clock
    nextId: IdSource
  }) {
    this.#storage = dependencies.storage
    this.#users = dependencies.userSchemes
    this.#contents = dependencies.contents
    this.#news = dependencies.news
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
  }

  /**
   * Those of one owner that fit the condition, by id; none for a user or device that nobody knows.
   *
   * @param search fields of the condition: id, name, value. `page` from 1.
   * @throws DomainError `forbidden`, `tenant_not_found`; `invalid_request` for a condition that cannot be asked.
   */
  async list(
    caller: Caller,
    tenantId: string,
    { userName, deviceId }: NamedOwner,
    search: {
      readonly condition: Condition | undefined
      readonly page: number
      readonly pageSize: number
    },
  ): Promise<{ readonly items: readonly NamedProperty[]; readonly totalCount: number }> {
    const userId = await this.#users.find(caller, tenantId, userName)
    const { condition, page, pageSize } = search
    // Asked for nobody too: a condition that cannot be asked is refused whoever is named.
    const found = await this.#storage.read.propertySearch.searchForPortal(
      { tenantId, userId: userId ?? '', deviceId },
      { condition, offset: (page - 1) * pageSize, limit: pageSize },
    )
    const items = await this.#contents.openAll(found.items)
    const name = items.length === 0 ? '' : await this.#nameOf(caller, tenantId, userId)
    return {
      items: items.map((item) => ({ ...item, userName: name })),
      totalCount: found.totalCount,
    }
  }

  /**
   * @throws DomainError `forbidden`, `tenant_not_found`, `invalid_request`; `user_not_found`; `device_not_found` also for
   *   one that the user is not linked to; `already_exists`, `limit_reached`.
   */
  async create(
    caller: Caller,
    tenantId: string,
    { userName, deviceId }: NamedOwner,
    draft: PropertyDraft,
  ): Promise<Property> {
    caller.requireIn(tenantId, 'ast:write')
    const userId = await this.#users.get(caller, tenantId, userName)
    checkDraft(draft)
    const id = this.#nextId()
    const nowMs = this.#clock()
    const { value, ...traits } = draft
    const head = { ...traits, tenantId, userId, deviceId, id, version: 1 }
    const times = { createdAtMs: nowMs, updatedAtMs: nowMs }
    const stored = await this.#contents.store({ tenantId, id }, draft)
    const property = { ...head, ...times, stored }
    const wakened = await unlessTaken(
      this.#storage.transaction(async (stores) => {
        await stores.tenants.requireFor(caller, tenantId)
        await holdOwner(stores, property)
        if (!(await hasRoom(stores, property, propertiesPerUserMax))) {
          const message = `A user has at most ${propertiesPerUserMax} properties.`
          throw new DomainError('limit_reached', message)
        }
        await stores.properties.insert(property)
        await recordChange(stores, caller, 'property.created', property)
        return this.#news.tell(stores, { before: undefined, after: property })
      }),
    )
    this.#news.wake(tenantId, wakened)
    return { ...head, ...times, value }
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`, `property_not_found`. */
  async get(caller: Caller, tenantId: string, id: string): Promise<NamedProperty> {
    caller.requireIn(tenantId, 'ast:read')
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    const property = await this.#contents.open(await getVisible(this.#storage.read, tenantId, id))
    const userName = await this.#users.nameOf(caller, tenantId, property.userId)
    return { ...property, userName }
  }

  /**
   * Replaces everything but the owner. What is the same already changes nothing.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `invalid_request`, `property_not_found`; `state_conflict` for a
   *   read-only one; `already_exists` when the owner has another one of the name.
   */
  async update(caller: Caller, tenantId: string, id: string, draft: PropertyDraft): Promise<void> {
    caller.requireIn(tenantId, 'ast:write')
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    checkDraft(draft)
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const before = await getVisible(this.#storage.read, tenantId, id)
      if (before.readOnly) throw new DomainError('state_conflict', 'The property is read-only.')
      const changed = changedMembers(await this.#contents.open(before), draft)
      if (changed.length === 0) return
      const { value: _value, ...traits } = draft
      const stored = await this.#contents.store({ tenantId, id }, draft)
      const updated = { ...before, ...traits, stored, updatedAtMs: this.#clock() }
      const wakened = await unlessTaken(
        this.#storage.transaction(async (stores) => {
          if (!(await stores.properties.update(updated))) return undefined
          const after = { ...updated, version: before.version + 1 }
          await recordChange(stores, caller, 'property.updated', after, changed)
          return this.#news.tell(stores, { before, after })
        }),
      )
      if (wakened === undefined) continue
      this.#news.wake(tenantId, wakened)
      return
    }
    throw new DomainError('unavailable', 'The property changes all the time.')
  }

  /** Also a read-only one. @throws DomainError `forbidden`, `tenant_not_found`, `property_not_found`. */
  async delete(caller: Caller, tenantId: string, id: string): Promise<void> {
    caller.requireIn(tenantId, 'ast:write')
    await this.#remove(caller, tenantId, (stores) => stores.properties.find(tenantId, id))
  }

  /** The same, by owner and name. @throws DomainError `forbidden`, `tenant_not_found`, `property_not_found`. */
  async deleteByName(
    caller: Caller,
    tenantId: string,
    { userName, deviceId }: NamedOwner,
    name: string,
  ): Promise<void> {
    caller.requireIn(tenantId, 'ast:write')
    const userId = await this.#users.find(caller, tenantId, userName)
    if (userId === undefined || !isPropertyName(name)) throw propertyNotFound()
    const owner: PropertyOwner = { tenantId, userId, deviceId }
    await this.#remove(caller, tenantId, (stores) => stores.properties.findByName(owner, name))
  }

  /**
   * Deletes all properties of a user, also those on single devices and those that the portal may not see. Nobody is told:
   * this is for a user whose devices are gone. A name that is nobody's has none.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`.
   */
  async removeAll(caller: Caller, tenantId: string, userName: string): Promise<void> {
    caller.requireIn(tenantId, 'ast:write')
    const userId = await this.#users.find(caller, tenantId, userName)
    if (userId === undefined) return
    await this.#storage.transaction(async (stores) => {
      await stores.tenants.requireFor(caller, tenantId)
      const count = await stores.properties.removeOfUser(tenantId, userId)
      if (count === 0) return
      await stores.journal.append(caller, tenantId, {
        action: 'properties.deleted',
        target: { type: 'user', id: userId },
        userId,
        detail: { count },
      })
    })
  }

  async #remove(
    caller: Caller,
    tenantId: string,
    find: (stores: Stores) => Promise<StoredProperty | undefined>,
  ): Promise<void> {
    const wakened = await this.#storage.transaction(async (stores) => {
      await stores.tenants.requireFor(caller, tenantId)
      const before = await find(stores)
      if (before === undefined || !isVisibleTo('EXTERNAL', before)) throw propertyNotFound()
      if (!(await stores.properties.remove(tenantId, before.id))) throw propertyNotFound()
      await recordChange(stores, caller, 'property.deleted', before)
      return this.#news.tell(stores, { before, after: undefined })
    })
    this.#news.wake(tenantId, wakened)
  }

  async #nameOf(caller: Caller, tenantId: string, userId: string | undefined): Promise<string> {
    return userId === undefined ? '' : this.#users.nameOf(caller, tenantId, userId)
  }
}

/** Neither the user nor the link to the device ends before the transaction does. */
async function holdOwner(stores: Stores, owner: PropertyOwner): Promise<void> {
  const { tenantId, userId, deviceId } = owner
  if (!(await stores.users.hold(tenantId, userId))) throw userNotFound()
  if (deviceId === null) return
  const link = { tenantId, deviceId, userId }
  const { epoch } = (await stores.deviceLinks.find(link)) ?? {}
  if (epoch === undefined || !(await stores.deviceLinks.hold(link, epoch))) throw deviceNotFound()
}

async function getVisible(stores: Stores, tenantId: string, id: string): Promise<StoredProperty> {
  const property = await stores.properties.find(tenantId, id)
  if (property === undefined || !isVisibleTo('EXTERNAL', property)) throw propertyNotFound()
  return property
}

/** @throws DomainError `already_exists` in the place of the database's error. */
async function unlessTaken<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (takenKey(error) === undefined) throw error
    const message = 'The owner has a property of this name.'
    const fault = { pointer: '/name', code: 'not_unique', message }
    throw new DomainError('already_exists', message, { faults: [fault], cause: error })
  }
}
