import type { Clock } from '../clock.ts'
import type { DeviceSession } from '../devices/device-gate.ts'
import { DeviceRefusal } from '../devices/device-refusal.ts'
import { requireUser } from '../devices/own-device-service.ts'
import { DomainError } from '../errors.ts'
import { type Storage, type Stores, takenKey } from '../storage.ts'
import type { IdSource } from '../ulid.ts'
import {
  isPropertyName,
  isVisibleTo,
  type Property,
  type PropertyOwner,
  plainTraits,
  type StoredProperty,
} from './property.ts'
import type { PropertyContents } from './property-contents.ts'
import type { PropertyNews } from './property-news.ts'
import { hasRoom, recordChange } from './property-records.ts'
import { isValue, type PropertyType } from './property-value.ts'

/** The user on all devices, or on this one. */
export type OwnerKind = 'user' | 'device'

export interface PropertyAddress {
  readonly owner: OwnerKind
  readonly name: string
}

export interface PropertyWrite {
  readonly type: PropertyType
  readonly value: string
  /** What the change is based on; undefined: whatever is there. */
  readonly ifVersion: number | undefined
}

export interface WrittenProperty {
  readonly property: Property
  readonly isNew: boolean
}

/** `maxItems` of the contract; devices make no more than they can list. */
const listedMax = 500
/** Values may be long. */
const readAtOnce = 100
/** Others changed the property each time. */
const attemptsMax = 5
/** As the contract's list says it: by owner, then by name. */
const ownerKinds: readonly OwnerKind[] = ['device', 'user']

/** Properties as a device deals with them: those of its session's user, as far as devices may see them. */
export class DevicePropertyService {
  readonly #storage: Storage
  readonly #contents: PropertyContents
  readonly #news: PropertyNews
  readonly #clock: Clock
  readonly #nextId: IdSource

  constructor(dependencies: {
    storage: Storage
    contents: PropertyContents
    news: PropertyNews
    clock: Clock
    nextId: IdSource
  }) {
    this.#storage = dependencies.storage
    this.#contents = dependencies.contents
    this.#news = dependencies.news
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
  }

  /** By owner and name, at most 500. @throws DeviceRefusal `not_linked` for a device without users. */
  async list(session: DeviceSession, owner?: OwnerKind): Promise<Property[]> {
    const found: Property[] = []
    for (const kind of owner === undefined ? ownerKinds : [owner]) {
      found.push(...(await this.#listOf(ownerOf(session, kind), listedMax - found.length)))
    }
    return found
  }

  /** @throws DeviceRefusal `not_found`, also for one that devices may not see; `not_linked`. */
  async get(session: DeviceSession, { owner, name }: PropertyAddress): Promise<Property> {
    const property = await this.#find(ownerOf(session, owner), name)
    if (property === undefined) throw new DeviceRefusal('not_found')
    return this.#contents.open(property)
  }

  /**
   * Creates a property, or changes its value. What is there already changes nothing. Of several changes that are based on
   * one version, one is made.
   *
   * @throws DeviceRefusal `value_invalid`, also for another type than the property has; `not_found` for one that devices
   *   may not see; `property_read_only`, `version_conflict`, `limit_reached`, `not_linked`.
   */
  async put(
    session: DeviceSession,
    { owner: kind, name }: PropertyAddress,
    write: PropertyWrite,
  ): Promise<WrittenProperty> {
    const owner = ownerOf(session, kind)
    if (!isPropertyName(name)) throw new DeviceRefusal('not_found')
    if (!isValue(write.type, write.value)) throw new DeviceRefusal('value_invalid')
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const found = await this.#find(owner, name)
      const written =
        found === undefined
          ? await this.#create(session, owner, name, write)
          : await this.#change(session, found, write)
      if (written !== undefined) return written
    }
    throw new DomainError('unavailable', 'The property changes all the time.')
  }

  async #listOf(owner: PropertyOwner, max: number): Promise<Property[]> {
    const found: Property[] = []
    for (let afterName = ''; found.length < max; afterName = found.at(-1)?.name ?? '') {
      const limit = Math.min(readAtOnce, max - found.length)
      const page = await this.#storage.read.properties.listForDevice(owner, { afterName, limit })
      found.push(...(await this.#contents.openAll(page)))
      if (page.length < limit) break
    }
    return found
  }

  /** @throws DeviceRefusal `not_found` for one that is there, but not for devices. */
  async #find(owner: PropertyOwner, name: string): Promise<StoredProperty | undefined> {
    if (!isPropertyName(name)) return undefined
    const property = await this.#storage.read.properties.findByName(owner, name)
    if (property !== undefined && !isVisibleTo('CLIENT', property)) {
      throw new DeviceRefusal('not_found')
    }
    return property
  }

  /** @returns undefined when somebody made it in the same moment. */
  async #create(
    session: DeviceSession,
    owner: PropertyOwner,
    name: string,
    { type, value, ifVersion }: PropertyWrite,
  ): Promise<WrittenProperty | undefined> {
    // What it was based on is gone.
    if (ifVersion !== undefined) throw new DeviceRefusal('version_conflict')
    const id = this.#nextId()
    const nowMs = this.#clock()
    const traits = { ...plainTraits, notify: owner.deviceId === null }
    const times = { createdAtMs: nowMs, updatedAtMs: nowMs }
    const head = { ...owner, ...traits, ...times, id, name, type, version: 1 }
    const { encryption } = traits
    const stored = await this.#contents.store({ ...owner, id }, { type, value, encryption })
    const property = { ...head, stored }
    const byDeviceId = session.deviceId
    try {
      const wakened = await this.#storage.transaction(async (stores) => {
        await holdLink(stores, session)
        if (!(await hasRoom(stores, owner, listedMax))) throw new DeviceRefusal('limit_reached')
        await stores.properties.insert(property)
        await recordChange(stores, session.caller, 'property.created', property)
        return this.#news.tell(stores, { before: undefined, after: property, byDeviceId })
      })
      this.#news.wake(owner.tenantId, wakened)
    } catch (error) {
      if (takenKey(error) === undefined) throw error
      return undefined
    }
    return { property: { ...head, value }, isNew: true }
  }

  /** @returns undefined when somebody changed it in the same moment. */
  async #change(
    session: DeviceSession,
    before: StoredProperty,
    { type, value, ifVersion }: PropertyWrite,
  ): Promise<WrittenProperty | undefined> {
    if (before.readOnly) throw new DeviceRefusal('property_read_only')
    requireVersion(before, ifVersion)
    if (before.type !== type) throw new DeviceRefusal('value_invalid')
    const former = await this.#contents.open(before)
    if (former.value === value) return { property: former, isNew: false }
    const { tenantId, encryption } = before
    const stored = await this.#contents.store(before, { type, value, encryption })
    const updated = { ...before, stored, updatedAtMs: this.#clock() }
    const version = before.version + 1
    const byDeviceId = session.deviceId
    const wakened = await this.#storage.transaction(async (stores) => {
      await holdLink(stores, session)
      if (!(await stores.properties.update(updated))) return undefined
      const after = { ...updated, version }
      await recordChange(stores, session.caller, 'property.updated', after, ['value'])
      return this.#news.tell(stores, { before, after, byDeviceId })
    })
    if (wakened === undefined) return undefined
    this.#news.wake(tenantId, wakened)
    const { updatedAtMs } = updated
    return { property: { ...former, value, version, updatedAtMs }, isNew: false }
  }
}

/** @throws DeviceRefusal `version_conflict`. Where the device wins, no version counts; where the server does, one must be named. */
function requireVersion({ cpFlags, version }: StoredProperty, ifVersion: number | undefined): void {
  if (cpFlags === 512 || version === ifVersion) return
  if (cpFlags === 768 || ifVersion !== undefined) throw new DeviceRefusal('version_conflict')
}

function ownerOf(session: DeviceSession, kind: OwnerKind): PropertyOwner {
  const { tenantId, deviceId } = session
  return { tenantId, userId: requireUser(session), deviceId: kind === 'user' ? null : deviceId }
}

/** The link stands until the transaction ends. @throws DeviceRefusal `not_linked` */
async function holdLink(stores: Stores, session: DeviceSession): Promise<void> {
  const { tenantId, deviceId, linkEpoch } = session
  const link = { tenantId, deviceId, userId: requireUser(session) }
  if (linkEpoch === null || !(await stores.deviceLinks.hold(link, linkEpoch))) {
    throw new DeviceRefusal('not_linked')
  }
}
