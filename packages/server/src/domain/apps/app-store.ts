import type { Queries } from '#storage/queries.ts'
import type { AppTable } from '#storage/schema/apps.ts'
import { statement } from '#storage/statement.ts'
import type { App, PushCategory, PushConfiguration, PushService } from './app.ts'

/** An app with its sealed credentials; null: it has none. */
export interface StoredApp {
  readonly app: App
  readonly sealedCredentials: Uint8Array | null
}

interface Key {
  readonly tenantId: string
  readonly name: string
}

const insert = statement((db, row: AppTable) =>
  db.insertInto('app').values({
    tenant_id: row.tenant_id,
    name: row.name,
    revision: row.revision,
    categories: row.categories,
    services: row.services,
    unusable_services: row.unusable_services,
    configuration: row.configuration,
    sealed_credentials: row.sealed_credentials,
    created_at: row.created_at,
    updated_at: row.updated_at,
  }),
)

const replace = statement((db, row: AppTable) =>
  db
    .updateTable('app')
    .set({
      revision: row.revision,
      categories: row.categories,
      services: row.services,
      unusable_services: row.unusable_services,
      configuration: row.configuration,
      sealed_credentials: row.sealed_credentials,
      updated_at: row.updated_at,
    })
    .where('tenant_id', '=', row.tenant_id)
    .where('name', '=', row.name),
)

const find = statement((db, p: Key) =>
  db.selectFrom('app').selectAll().where('tenant_id', '=', p.tenantId).where('name', '=', p.name),
)

const findPushFacts = statement((db, p: Key) =>
  db
    .selectFrom('app')
    .select(['revision', 'categories', 'services', 'unusable_services'])
    .where('tenant_id', '=', p.tenantId)
    .where('name', '=', p.name),
)

const list = statement((db, p: { tenantId: string; offset: number; limit: number }) =>
  db
    .selectFrom('app')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('name', '>', '')
    .orderBy('name')
    .limit(p.limit)
    .offset(p.offset),
)

const count = statement((db, p: { tenantId: string }) =>
  db
    .selectFrom('app')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('tenant_id', '=', p.tenantId)
    .where('name', '>', ''),
)

const hold = statement((db, p: Key) =>
  db
    .updateTable('app')
    .set(({ ref }) => ({ updated_at: ref('updated_at') }))
    .where('tenant_id', '=', p.tenantId)
    .where('name', '=', p.name),
)

const remove = statement((db, p: Key) =>
  db.deleteFrom('app').where('tenant_id', '=', p.tenantId).where('name', '=', p.name),
)

/** Apps; a tenant has a bounded number of them. */
export class AppStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** @throws StorageError `taken` when the tenant has an app of that name. */
  async insert(stored: StoredApp): Promise<void> {
    await this.#queries.run(insert, toRow(stored))
  }

  /** Everything but the time of creation. False when there is no such app. */
  async replace(stored: StoredApp): Promise<boolean> {
    return (await this.#queries.run(replace, toRow(stored))) === 1
  }

  async find(tenantId: string, name: string): Promise<StoredApp | undefined> {
    const row = await this.#queries.first(find, { tenantId, name })
    return row && asStoredApp(row)
  }

  /** For whom there is something to push, without the credentials. */
  async findPushFacts(
    tenantId: string,
    name: string,
  ): Promise<Pick<App, 'revision' | 'categories' | 'services' | 'unusable'> | undefined> {
    const row = await this.#queries.first(findPushFacts, { tenantId, name })
    return (
      row && {
        revision: row.revision,
        categories: JSON.parse(row.categories) as PushCategory[],
        services: JSON.parse(row.services) as PushService[],
        unusable: JSON.parse(row.unusable_services) as PushService[],
      }
    )
  }

  /** By name. */
  async list(
    tenantId: string,
    { offset, limit }: { offset: number; limit: number },
  ): Promise<StoredApp[]> {
    return (await this.#queries.all(list, { tenantId, offset, limit })).map(asStoredApp)
  }

  async count(tenantId: string): Promise<number> {
    return Number((await this.#queries.first(count, { tenantId }))?.count ?? 0)
  }

  /**
   * Keeps an app from being deleted until the transaction ends, or waits until it is.
   *
   * @returns false when there is none.
   */
  async hold(tenantId: string, name: string): Promise<boolean> {
    return (await this.#queries.run(hold, { tenantId, name })) === 1
  }

  /** False when there is no such app. */
  async remove(tenantId: string, name: string): Promise<boolean> {
    return (await this.#queries.run(remove, { tenantId, name })) === 1
  }
}

function toRow({ app, sealedCredentials }: StoredApp): AppTable {
  return {
    tenant_id: app.tenantId,
    name: app.name,
    revision: app.revision,
    categories: JSON.stringify(app.categories),
    services: JSON.stringify(app.services),
    unusable_services: JSON.stringify(app.unusable),
    configuration: JSON.stringify(app.configuration),
    sealed_credentials: sealedCredentials,
    created_at: app.createdAtMs,
    updated_at: app.updatedAtMs,
  }
}

function asStoredApp(row: AppTable): StoredApp {
  return {
    app: {
      tenantId: row.tenant_id,
      name: row.name,
      revision: row.revision,
      categories: JSON.parse(row.categories) as PushCategory[],
      services: JSON.parse(row.services) as PushService[],
      unusable: JSON.parse(row.unusable_services) as PushService[],
      configuration: JSON.parse(row.configuration) as PushConfiguration,
      createdAtMs: row.created_at,
      updatedAtMs: row.updated_at,
    },
    sealedCredentials: row.sealed_credentials,
  }
}
