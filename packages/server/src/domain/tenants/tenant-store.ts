import type { Queries } from '#storage/queries.ts'
import { dynamicStatement, statement } from '#storage/statement.ts'
import { type Caller, platformTenantId } from '../callers/caller.ts'
import { DomainError } from '../errors.ts'
import { foldTenantId, type Tenant, type TenantStatus } from './tenant.ts'

/** The tenant's settings as stored: what differs from the defaults, and how often it was changed. */
export interface StoredSettings {
  readonly json: string
  readonly version: number
  readonly updatedAtMs: number
}

interface TenantRow {
  readonly tenant_id: string
  readonly number: number
  readonly name: string
  readonly status: string
  readonly created_at: number
  readonly updated_at: number
}

const columns = ['tenant_id', 'number', 'name', 'status', 'created_at', 'updated_at'] as const

const find = statement((db, p: { id: string }) =>
  db
    .selectFrom('tenant')
    .select(columns)
    .where('tenant_id', '=', p.id)
    .where('status', '<>', 'DELETED'),
)

const findSettings = statement((db, p: { id: string }) =>
  db
    .selectFrom('tenant')
    .select(['settings', 'settings_version', 'settings_updated_at'])
    .where('tenant_id', '=', p.id)
    .where('status', '<>', 'DELETED'),
)

const insert = statement(
  (
    db,
    p: {
      id: string
      foldedId: string
      number: number
      name: string
      status: string
      nowMs: number
    },
  ) =>
    db.insertInto('tenant').values({
      tenant_id: p.id,
      folded_id: p.foldedId,
      number: p.number,
      name: p.name,
      status: p.status,
      settings: '{}',
      settings_version: 1,
      settings_updated_at: p.nowMs,
      created_at: p.nowMs,
      updated_at: p.nowMs,
    }),
)

const update = statement((db, p: { id: string; name: string; status: string; nowMs: number }) =>
  db
    .updateTable('tenant')
    .set({ name: p.name, status: p.status, updated_at: p.nowMs })
    .where('tenant_id', '=', p.id)
    .where('status', '<>', 'DELETED'),
)

const replaceSettings = statement(
  (db, p: { id: string; json: string; seenVersion: number; version: number; nowMs: number }) =>
    db
      .updateTable('tenant')
      .set({ settings: p.json, settings_version: p.version, settings_updated_at: p.nowMs })
      .where('tenant_id', '=', p.id)
      .where('settings_version', '=', p.seenVersion)
      .where('status', '<>', 'DELETED'),
)

const hold = statement((db, p: { id: string }) =>
  db
    .updateTable('tenant')
    .set((eb) => ({ updated_at: eb.ref('updated_at') }))
    .where('tenant_id', '=', p.id)
    .where('status', '<>', 'DELETED'),
)

const markDeleted = statement((db, p: { id: string; nowMs: number }) =>
  db
    .updateTable('tenant')
    .set({ status: 'DELETED', name: '', settings: '{}', updated_at: p.nowMs })
    .where('tenant_id', '=', p.id)
    .where('status', '=', 'DISABLED'),
)

/** Tenants and their settings. What is DELETED is not there for anybody. */
export class TenantStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  async find(id: string): Promise<Tenant | undefined> {
    const row = await this.#queries.first(find, { id })
    return row && asTenant(row)
  }

  /** @throws DomainError `tenant_not_found`. */
  async get(id: string): Promise<Tenant> {
    const tenant = await this.find(id)
    if (tenant === undefined) throw new DomainError('tenant_not_found', 'No such tenant.')
    return tenant
  }

  /**
   * Makes sure that the tenant a request names is there. Costs nothing for the tenant's own callers, whose tenant was
   * looked at when they authenticated. A DISABLED tenant is there for callers of the platform, and for nobody else.
   *
   * @throws DomainError `tenant_not_found`, also for another tenant's caller.
   */
  async requireFor(caller: Caller, id: string): Promise<void> {
    if (caller.tenantId === id) return
    const isThere =
      caller.isPlatform && (id === platformTenantId || (await this.find(id)) !== undefined)
    if (!isThere) throw new DomainError('tenant_not_found', 'No such tenant.')
  }

  /**
   * As {@link requireFor}, and holds the tenant until the transaction ends: it is not deleted meanwhile, and who counts
   * its objects before adding one does so after whoever else holds it.
   *
   * @throws DomainError `tenant_not_found`.
   */
  async holdFor(caller: Caller, id: string): Promise<void> {
    const isTheirs = caller.tenantId === id || caller.isPlatform
    if (!isTheirs || (await this.#queries.run(hold, { id })) !== 1) {
      throw new DomainError('tenant_not_found', 'No such tenant.')
    }
  }

  /** @throws StorageError `taken` when the id is or was in use, whatever its case. */
  async insert(tenant: { id: string; number: number; name: string; nowMs: number }): Promise<void> {
    await this.#queries.run(insert, {
      ...tenant,
      foldedId: foldTenantId(tenant.id),
      status: 'ACTIVE',
    })
  }

  /** In order of creation, behind the tenant with the number `afterNumber`. */
  async list(filter: {
    afterNumber: number
    limit: number
    status?: TenantStatus | undefined
  }): Promise<Tenant[]> {
    const query = dynamicStatement((db) => {
      const base = db
        .selectFrom('tenant')
        .select(columns)
        .where('number', '>', filter.afterNumber)
        .orderBy('number')
        .limit(filter.limit)
      return filter.status === undefined
        ? base.where('status', '<>', 'DELETED')
        : base.where('status', '=', filter.status)
    })
    return (await this.#queries.all(query, {})).map(asTenant)
  }

  /** False when the tenant is gone. */
  async update(tenant: {
    id: string
    name: string
    status: TenantStatus
    nowMs: number
  }): Promise<boolean> {
    return (await this.#queries.run(update, tenant)) === 1
  }

  async findSettings(id: string): Promise<StoredSettings | undefined> {
    const row = await this.#queries.first(findSettings, { id })
    if (row === undefined) return undefined
    return {
      json: row.settings,
      version: row.settings_version,
      updatedAtMs: row.settings_updated_at,
    }
  }

  /** False when somebody else changed them since `seenVersion`. */
  async replaceSettings(
    id: string,
    settings: { json: string; seenVersion: number; nowMs: number },
  ): Promise<boolean> {
    const version = settings.seenVersion + 1
    return (await this.#queries.run(replaceSettings, { id, version, ...settings })) === 1
  }

  /** True for whoever deletes a DISABLED tenant, once. */
  async markDeleted(id: string, nowMs: number): Promise<boolean> {
    return (await this.#queries.run(markDeleted, { id, nowMs })) === 1
  }
}

function asTenant(row: TenantRow): Tenant {
  return {
    id: row.tenant_id,
    number: row.number,
    name: row.name,
    status: row.status as TenantStatus,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
  }
}
