import type { Queries } from '#storage/queries.ts'
import { dynamicStatement, statement } from '#storage/statement.ts'
import { platformTenantId } from '../callers/caller.ts'
import { type Firmware, type FirmwareType, versionRank } from './firmware.ts'

interface Row {
  readonly id: string
  readonly type: string
  readonly version: string
  readonly url: string
}

const insert = statement((db, p: Firmware & { rank: string; nowMs: number }) =>
  db.insertInto('cabinet_firmware').values({
    tenant_id: platformTenantId,
    id: p.id,
    type: p.type,
    version: p.version,
    version_rank: p.rank,
    url: p.url,
    created_at: p.nowMs,
    updated_at: p.nowMs,
  }),
)

const replace = statement((db, p: Firmware & { rank: string; nowMs: number }) =>
  db
    .updateTable('cabinet_firmware')
    .set({
      type: p.type,
      version: p.version,
      version_rank: p.rank,
      url: p.url,
      updated_at: p.nowMs,
    })
    .where('tenant_id', '=', platformTenantId)
    .where('id', '=', p.id),
)

const columns = ['id', 'type', 'version', 'url'] as const

const find = statement((db, p: { id: string }) =>
  db
    .selectFrom('cabinet_firmware')
    .select(columns)
    .where('tenant_id', '=', platformTenantId)
    .where('id', '=', p.id),
)

const findNewest = statement((db, p: { type: string }) =>
  db
    .selectFrom('cabinet_firmware')
    .select(columns)
    .where('tenant_id', '=', platformTenantId)
    .where('type', '=', p.type)
    .orderBy('version_rank', 'desc')
    .limit(1),
)

const remove = statement((db, p: { id: string }) =>
  db
    .deleteFrom('cabinet_firmware')
    .where('tenant_id', '=', platformTenantId)
    .where('id', '=', p.id),
)

/** Firmware entries of the whole service. */
export class FirmwareStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** @throws StorageError `taken` when the type has this version. */
  async insert(firmware: Firmware, nowMs: number): Promise<void> {
    await this.#queries.run(insert, { ...firmware, rank: versionRank(firmware.version), nowMs })
  }

  /** False when the entry is gone. @throws StorageError `taken` when the type has this version. */
  async replace(firmware: Firmware, nowMs: number): Promise<boolean> {
    const rank = versionRank(firmware.version)
    return (await this.#queries.run(replace, { ...firmware, rank, nowMs })) === 1
  }

  async find(id: string): Promise<Firmware | undefined> {
    const row = await this.#queries.first(find, { id })
    return row && asFirmware(row)
  }

  async findNewest(type: FirmwareType): Promise<Firmware | undefined> {
    const row = await this.#queries.first(findNewest, { type })
    return row && asFirmware(row)
  }

  /** In order of type, then the newest first. */
  async list({
    type,
    offset,
    limit,
  }: {
    type: FirmwareType | undefined
    offset: number
    limit: number
  }): Promise<Firmware[]> {
    const query = dynamicStatement((db) => {
      const all = db
        .selectFrom('cabinet_firmware')
        .select(columns)
        .where('tenant_id', '=', platformTenantId)
      const some = type === undefined ? all : all.where('type', '=', type)
      return some.orderBy('type').orderBy('version_rank', 'desc').limit(limit).offset(offset)
    })
    return (await this.#queries.all(query, {})).map(asFirmware)
  }

  /** False when it was gone. */
  async remove(id: string): Promise<boolean> {
    return (await this.#queries.run(remove, { id })) === 1
  }
}

function asFirmware(row: Row): Firmware {
  return { ...row, type: row.type as FirmwareType }
}
