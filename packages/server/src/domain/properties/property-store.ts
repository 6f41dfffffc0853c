import type { Queries } from '#storage/queries.ts'
import type { PropertyTable } from '#storage/schema/properties.ts'
import { type Builder, constantWord, statement } from '#storage/statement.ts'
import type {
  CpFlags,
  PropertyOwner,
  PropertyViewer,
  StoredProperty,
  StoredValue,
} from './property.ts'
import type { PropertyType } from './property-value.ts'

interface Key {
  readonly tenantId: string
  readonly id: string
}

interface OwnerKey {
  readonly tenantId: string
  readonly userId: string
  /** Empty: on all devices. */
  readonly deviceId: string
}

const viewers = ['CLIENT', 'INTERNAL', 'EXTERNAL'] as const satisfies readonly PropertyViewer[]

/** What the column has where a viewer may see a property: named there, or nobody is. */
export function visibilitiesFor(viewer: PropertyViewer): number[] {
  const bit = viewerBits([viewer])
  return Array.from({ length: 2 ** viewers.length }, (_, bits) => bits).filter(
    (bits) => bits === 0 || (bits & bit) !== 0,
  )
}

const insert = statement((db, row: PropertyTable) =>
  db.insertInto('property').values({
    tenant_id: row.tenant_id,
    id: row.id,
    user_id: row.user_id,
    device_id: row.device_id,
    name: row.name,
    type: row.type,
    visibility: row.visibility,
    read_only: row.read_only,
    notify: row.notify,
    in_keystorage: row.in_keystorage,
    cp_flags: row.cp_flags,
    version: row.version,
    created_at: row.created_at,
    updated_at: row.updated_at,
    order_key: row.order_key,
    value: row.value,
    sealed_value: row.sealed_value,
  }),
)

const update = statement((db, row: Omit<PropertyTable, 'user_id' | 'device_id' | 'created_at'>) =>
  db
    .updateTable('property')
    .set((eb) => ({
      name: row.name,
      type: row.type,
      visibility: row.visibility,
      read_only: row.read_only,
      notify: row.notify,
      in_keystorage: row.in_keystorage,
      cp_flags: row.cp_flags,
      version: eb('version', '+', 1),
      updated_at: row.updated_at,
      order_key: row.order_key,
      value: row.value,
      sealed_value: row.sealed_value,
    }))
    .where('tenant_id', '=', row.tenant_id)
    .where('id', '=', row.id)
    .where('version', '=', row.version),
)

const find = statement((db, p: Key) =>
  properties(db).where('tenant_id', '=', p.tenantId).where('id', '=', p.id),
)

const findByName = statement((db, p: OwnerKey & { name: string }) =>
  ofOwner(db, p).where('name', '=', p.name),
)

const listForDevice = statement((db, p: OwnerKey & { afterName: string; limit: number }) =>
  ofOwner(db, p)
    .where('visibility', 'in', visibilitiesFor('CLIENT'))
    .where('name', '>', p.afterName)
    .orderBy('name')
    .limit(p.limit),
)

/** Read off the index alone. */
const findLater = statement((db, p: { tenantId: string; userId: string; offset: number }) =>
  db
    .selectFrom('property')
    .select('name')
    .where('tenant_id', '=', p.tenantId)
    .where('user_id', '=', p.userId)
    .limit(1)
    .offset(p.offset),
)

const remove = statement((db, p: Key) =>
  db.deleteFrom('property').where('tenant_id', '=', p.tenantId).where('id', '=', p.id),
)

const removeOfUser = statement((db, p: { tenantId: string; userId: string }) =>
  db.deleteFrom('property').where('tenant_id', '=', p.tenantId).where('user_id', '=', p.userId),
)

const removeOfLink = statement((db, p: { tenantId: string; userId: string; deviceId: string }) =>
  db
    .deleteFrom('property')
    .where('tenant_id', '=', p.tenantId)
    .where('user_id', '=', p.userId)
    .where('device_id', '=', p.deviceId),
)

const removeOfDevice = statement((db, p: { tenantId: string; deviceId: string }) =>
  db
    .deleteFrom('property')
    .where('tenant_id', '=', p.tenantId)
    .where('device_id', '=', p.deviceId)
    // The index has those only.
    .where('device_id', '<>', constantWord('')),
)

/** Properties by id, and by owner and name. */
export class PropertyStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** @throws StorageError `taken` when the owner has a property of this name. */
  async insert(property: StoredProperty): Promise<void> {
    await this.#queries.run(insert, asRow(property))
  }

  /**
   * Writes everything but the owner, and counts the version up; false when the version is not the one that is there.
   *
   * @throws StorageError `taken` when the owner has another property of this name.
   */
  async update(property: StoredProperty): Promise<boolean> {
    const { user_id: _user, device_id: _device, created_at: _created, ...row } = asRow(property)
    return (await this.#queries.run(update, row)) === 1
  }

  async find(tenantId: string, id: string): Promise<StoredProperty | undefined> {
    const row = await this.#queries.first(find, { tenantId, id })
    return row && asProperty(row)
  }

  async findByName(owner: PropertyOwner, name: string): Promise<StoredProperty | undefined> {
    const row = await this.#queries.first(findByName, { ...keyOf(owner), name })
    return row && asProperty(row)
  }

  /** Those that devices may see, by name. */
  async listForDevice(
    owner: PropertyOwner,
    { afterName, limit }: { readonly afterName: string; readonly limit: number },
  ): Promise<StoredProperty[]> {
    const page = { ...keyOf(owner), afterName, limit }
    return (await this.#queries.all(listForDevice, page)).map(asProperty)
  }

  /** Whether the user has so many at least, on all devices and on single ones. */
  async hasAsMany(tenantId: string, userId: string, count: number): Promise<boolean> {
    const place = { tenantId, userId, offset: count - 1 }
    return (await this.#queries.first(findLater, place)) !== undefined
  }

  /** @returns false when there was none. */
  async remove(tenantId: string, id: string): Promise<boolean> {
    return (await this.#queries.run(remove, { tenantId, id })) === 1
  }

  /** Those of a user on one device. */
  async removeOfLink(link: {
    readonly tenantId: string
    readonly userId: string
    readonly deviceId: string
  }): Promise<void> {
    const { tenantId, userId, deviceId } = link
    await this.#queries.run(removeOfLink, { tenantId, userId, deviceId })
  }

  /** All of the user, also those on single devices. @returns how many went. */
  async removeOfUser(tenantId: string, userId: string): Promise<number> {
    return this.#queries.run(removeOfUser, { tenantId, userId })
  }

  /** Those of all users on this device. */
  async removeOfDevice(tenantId: string, deviceId: string): Promise<void> {
    await this.#queries.run(removeOfDevice, { tenantId, deviceId })
  }
}

function properties(db: Builder) {
  return db.selectFrom('property').selectAll()
}

function ofOwner(db: Builder, p: OwnerKey) {
  return properties(db)
    .where('tenant_id', '=', p.tenantId)
    .where('user_id', '=', p.userId)
    .where('device_id', '=', p.deviceId)
}

function keyOf({ tenantId, userId, deviceId }: PropertyOwner): OwnerKey {
  return { tenantId, userId, deviceId: deviceId ?? '' }
}

/** Viewers as the column has them. */
export function viewerBits(visibility: readonly PropertyViewer[]): number {
  return viewers.reduce(
    (bits, viewer, index) => bits + (visibility.includes(viewer) ? 2 ** index : 0),
    0,
  )
}

function viewersOf(bits: number): PropertyViewer[] {
  return viewers.filter((_, index) => (bits & (2 ** index)) !== 0)
}

function asRow(property: StoredProperty): PropertyTable {
  const { stored } = property
  const isSealed = 'sealed' in stored
  return {
    tenant_id: property.tenantId,
    id: property.id,
    user_id: property.userId,
    device_id: property.deviceId ?? '',
    name: property.name,
    type: property.type,
    visibility: viewerBits(property.visibility),
    read_only: Number(property.readOnly),
    notify: Number(property.notify),
    in_keystorage: Number(property.inKeystorage),
    cp_flags: property.cpFlags,
    version: property.version,
    created_at: property.createdAtMs,
    updated_at: property.updatedAtMs,
    order_key: isSealed ? null : stored.orderKey,
    value: isSealed ? null : stored.text,
    sealed_value: isSealed ? stored.sealed : null,
  }
}

/** A row as the property that it holds, sealed as it is. */
export function asProperty(row: PropertyTable): StoredProperty {
  return {
    tenantId: row.tenant_id,
    id: row.id,
    userId: row.user_id,
    deviceId: row.device_id === '' ? null : row.device_id,
    name: row.name,
    type: row.type as PropertyType,
    encryption: row.sealed_value === null ? 'NONE' : 'SERVER_SIDE_DB',
    readOnly: row.read_only === 1,
    notify: row.notify === 1,
    inKeystorage: row.in_keystorage === 1,
    cpFlags: row.cp_flags as CpFlags,
    visibility: viewersOf(row.visibility),
    version: row.version,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
    stored: storedOf(row),
  }
}

function storedOf({
  sealed_value: sealed,
  value,
  order_key: orderKey,
}: PropertyTable): StoredValue {
  return sealed === null ? { text: value ?? '', orderKey } : { sealed }
}
