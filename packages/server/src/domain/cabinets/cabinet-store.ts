import type { Queries } from '#storage/queries.ts'
import type { CabinetTable } from '#storage/schema/cabinets.ts'
import { statement } from '#storage/statement.ts'
import { platformTenantId } from '../callers/caller.ts'
import { type Cabinet, type CabinetConfig, foldSerial, type JsonObject } from './cabinet.ts'

const insert = statement((db, row: CabinetTable) =>
  db.insertInto('cabinet').values({
    tenant_id: row.tenant_id,
    id: row.id,
    ulid: row.ulid,
    serial: row.serial,
    folded_serial: row.folded_serial,
    config: row.config,
    active: row.active,
    online: row.online,
    user_data: row.user_data,
    subscribe_urls: row.subscribe_urls,
    created_at: row.created_at,
    updated_at: row.updated_at,
  }),
)

const insertUnclaimed = statement((db, row: CabinetTable) =>
  db
    .insertInto('cabinet')
    .values({
      tenant_id: row.tenant_id,
      id: row.id,
      ulid: row.ulid,
      serial: row.serial,
      folded_serial: row.folded_serial,
      config: row.config,
      active: row.active,
      online: row.online,
      user_data: row.user_data,
      subscribe_urls: row.subscribe_urls,
      created_at: row.created_at,
      updated_at: row.updated_at,
    })
    .onConflict((conflict) => conflict.column('folded_serial').doNothing()),
)

const update = statement(
  (
    db,
    p: {
      tenantId: string
      id: string
      serial: string
      foldedSerial: string
      config: string
      active: number
      online: number
      userData: string
      subscribeUrls: string
      nowMs: number
    },
  ) =>
    db
      .updateTable('cabinet')
      .set({
        serial: p.serial,
        folded_serial: p.foldedSerial,
        config: p.config,
        active: p.active,
        online: p.online,
        user_data: p.userData,
        subscribe_urls: p.subscribeUrls,
        updated_at: p.nowMs,
      })
      .where('tenant_id', '=', p.tenantId)
      .where('id', '=', p.id),
)

const remove = statement((db, p: { tenantId: string; id: string }) =>
  db.deleteFrom('cabinet').where('tenant_id', '=', p.tenantId).where('id', '=', p.id),
)

const columns = [
  'cabinet.tenant_id',
  'cabinet.id',
  'cabinet.serial',
  'cabinet.config',
  'cabinet.active',
  'cabinet.online',
  'cabinet.user_data',
  'cabinet.subscribe_urls',
  'cabinet.created_at',
  'cabinet.updated_at',
  'contact.last_sync_at',
  'contact.firmware_version',
] as const

const find = statement((db, p: { tenantId: string; id: string }) =>
  db
    .selectFrom('cabinet')
    .innerJoin('cabinet_contact as contact', (join) =>
      join
        .onRef('contact.tenant_id', '=', 'cabinet.tenant_id')
        .onRef('contact.cabinet_id', '=', 'cabinet.id'),
    )
    .select(columns)
    .where('cabinet.tenant_id', '=', p.tenantId)
    .where('cabinet.id', '=', p.id),
)

const findId = statement((db, p: { tenantId: string; id: string }) =>
  db.selectFrom('cabinet').select('id').where('tenant_id', '=', p.tenantId).where('id', '=', p.id),
)

const findOwner = statement((db, p: { foldedSerial: string }) =>
  db.selectFrom('cabinet').select(['tenant_id', 'id']).where('folded_serial', '=', p.foldedSerial),
)

const listIds = statement((db, p: { tenantId: string; offset: number; limit: number }) =>
  db
    .selectFrom('cabinet')
    .select('id')
    .where('tenant_id', '=', p.tenantId)
    .orderBy('id')
    .limit(p.limit)
    .offset(p.offset),
)

/** A page of so few rows is read as it is. */
const unmeasuredRowsMax = 100
const pageCharactersMax = 20_000_000

/** Of a page: how long its texts are that customers write. */
const measureFrom = statement((db, p: { tenantId: string; firstId: string; limit: number }) =>
  db
    .selectFrom(
      db
        .selectFrom('cabinet')
        .select((eb) => [
          eb.fn<number>('length', ['config']).as('config_length'),
          eb.fn<number>('length', ['user_data']).as('user_data_length'),
          eb.fn<number>('length', ['subscribe_urls']).as('urls_length'),
        ])
        .where('tenant_id', '=', p.tenantId)
        .where('id', '>=', p.firstId)
        .orderBy('id')
        .limit(p.limit)
        .as('page'),
    )
    .select((eb) => [
      eb.fn.sum<number>('config_length').as('config'),
      eb.fn.sum<number>('user_data_length').as('user_data'),
      eb.fn.sum<number>('urls_length').as('urls'),
    ]),
)

const listFrom = statement((db, p: { tenantId: string; firstId: string; limit: number }) =>
  db
    .selectFrom('cabinet')
    .innerJoin('cabinet_contact as contact', (join) =>
      join
        .onRef('contact.tenant_id', '=', 'cabinet.tenant_id')
        .onRef('contact.cabinet_id', '=', 'cabinet.id'),
    )
    .select(columns)
    .where('cabinet.tenant_id', '=', p.tenantId)
    .where('cabinet.id', '>=', p.firstId)
    .orderBy('cabinet.id')
    .limit(p.limit),
)

/** Where a cabinet is registered. */
export interface CabinetKey {
  readonly tenantId: string
  readonly id: string
}

/** Registered cabinets, and under `_platform` those that nobody has registered. */
export class CabinetStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** @throws StorageError `taken` for an id of the tenant, or a serial of anybody. */
  async insert(cabinet: Cabinet, ulid: string): Promise<void> {
    await this.#queries.run(insert, asRow(cabinet, ulid))
  }

  /** False when the serial is there already. */
  async insertUnclaimed(serial: string, ulid: string, nowMs: number): Promise<boolean> {
    const folded = foldSerial(serial)
    const row: CabinetTable = {
      tenant_id: platformTenantId,
      id: folded,
      ulid,
      serial,
      folded_serial: folded,
      config: '{}',
      active: 0,
      online: 0,
      user_data: '{}',
      subscribe_urls: '{}',
      created_at: nowMs,
      updated_at: nowMs,
    }
    return (await this.#queries.run(insertUnclaimed, row)) === 1
  }

  /** False when the cabinet is gone. @throws StorageError `taken` for a serial of anybody. */
  async replace(cabinet: Cabinet): Promise<boolean> {
    const { tenantId, id, serial, active, online, updatedAtMs: nowMs } = cabinet
    const changed = await this.#queries.run(update, {
      tenantId,
      id,
      serial,
      foldedSerial: foldSerial(serial),
      config: JSON.stringify(cabinet.config),
      active: active ? 1 : 0,
      online: online ? 1 : 0,
      userData: JSON.stringify(cabinet.userData),
      subscribeUrls: JSON.stringify(cabinet.subscribeUrls),
      nowMs,
    })
    return changed === 1
  }

  /** False when it was gone. */
  async remove(key: CabinetKey): Promise<boolean> {
    return (await this.#queries.run(remove, key)) === 1
  }

  async find(tenantId: string, id: string): Promise<Cabinet | undefined> {
    const row = await this.#queries.first(find, { tenantId, id })
    return row && asCabinet(row)
  }

  async exists(tenantId: string, id: string): Promise<boolean> {
    return (await this.#queries.first(findId, { tenantId, id })) !== undefined
  }

  /** Whose the serial is, over all tenants. */
  async findOwner(serial: string): Promise<CabinetKey | undefined> {
    const row = await this.#queries.first(findOwner, { foldedSerial: foldSerial(serial) })
    return row && { tenantId: row.tenant_id, id: row.id }
  }

  /** In order of id. The offset is found in the index alone. A long page is measured before it is read. */
  async list(
    tenantId: string,
    { offset, limit }: { offset: number; limit: number },
  ): Promise<Cabinet[] | 'too_large'> {
    const first = await this.#queries.first(listIds, { tenantId, offset, limit: 1 })
    if (first === undefined) return []
    const page = { tenantId, firstId: first.id, limit }
    if (limit > unmeasuredRowsMax) {
      const size = await this.#queries.first(measureFrom, page)
      const characters = Number(size?.config) + Number(size?.user_data) + Number(size?.urls)
      if (characters > pageCharactersMax) return 'too_large'
    }
    const rows = await this.#queries.all(listFrom, page)
    return rows.map(asCabinet)
  }
}

function asRow(cabinet: Cabinet, ulid: string): CabinetTable {
  return {
    tenant_id: cabinet.tenantId,
    id: cabinet.id,
    ulid,
    serial: cabinet.serial,
    folded_serial: foldSerial(cabinet.serial),
    config: JSON.stringify(cabinet.config),
    active: cabinet.active ? 1 : 0,
    online: cabinet.online ? 1 : 0,
    user_data: JSON.stringify(cabinet.userData),
    subscribe_urls: JSON.stringify(cabinet.subscribeUrls),
    created_at: cabinet.createdAtMs,
    updated_at: cabinet.updatedAtMs,
  }
}

interface CabinetRow {
  readonly tenant_id: string
  readonly id: string
  readonly serial: string
  readonly config: string
  readonly active: number
  readonly online: number
  readonly user_data: string
  readonly subscribe_urls: string
  readonly created_at: number
  readonly updated_at: number
  readonly last_sync_at: number | null
  readonly firmware_version: string | null
}

function asCabinet(row: CabinetRow): Cabinet {
  return {
    tenantId: row.tenant_id,
    id: row.id,
    serial: row.serial,
    config: JSON.parse(row.config) as CabinetConfig,
    active: row.active === 1,
    online: row.online === 1,
    userData: JSON.parse(row.user_data) as JsonObject,
    subscribeUrls: JSON.parse(row.subscribe_urls) as JsonObject,
    lastSyncAtMs: row.last_sync_at,
    firmwareVersion: row.firmware_version,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
  }
}
