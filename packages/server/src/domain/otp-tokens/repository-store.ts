import type { Queries } from '#storage/queries.ts'
import type { TokenRepositoryTable } from '#storage/schema.ts'
import { statement } from '#storage/statement.ts'
import type { IdSource } from '../ulid.ts'
import { defaultRepositoryName, type TokenRepository } from './repository.ts'

const insert = statement((db, row: TokenRepositoryTable) =>
  db.insertInto('token_repository').values({
    tenant_id: row.tenant_id,
    id: row.id,
    name: row.name,
    description: row.description,
    parent_id: row.parent_id,
    domain: row.domain,
    created_at: row.created_at,
  }),
)

const find = statement((db, p: { tenantId: string; id: string }) =>
  db
    .selectFrom('token_repository')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id),
)

const findRoot = statement((db, p: { tenantId: string; name: string }) =>
  db
    .selectFrom('token_repository')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('name', '=', p.name)
    .where('parent_id', 'is', null),
)

const list = statement((db, p: { tenantId: string; afterId: string; limit: number }) =>
  db
    .selectFrom('token_repository')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('id', '>', p.afterId)
    .orderBy('id')
    .limit(p.limit),
)

/** Containers of tokens. */
export class RepositoryStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** What a new tenant starts with; to be called in the transaction that makes the tenant. */
  async insertDefaults(tenantId: string, nowMs: number, nextId: IdSource): Promise<void> {
    await this.insert({
      tenantId,
      id: nextId(),
      name: defaultRepositoryName,
      description: null,
      parentId: null,
      domain: null,
      createdAtMs: nowMs,
    })
  }

  /** @throws StorageError `taken` when the parent has a child of that name. */
  async insert(repository: TokenRepository): Promise<void> {
    await this.#queries.run(insert, {
      tenant_id: repository.tenantId,
      id: repository.id,
      name: repository.name,
      description: repository.description,
      parent_id: repository.parentId,
      domain: repository.domain,
      created_at: repository.createdAtMs,
    })
  }

  async find(tenantId: string, id: string): Promise<TokenRepository | undefined> {
    const row = await this.#queries.first(find, { tenantId, id })
    return row && asRepository(row)
  }

  /** The repository that tokens go into when none is named. */
  async findDefault(tenantId: string): Promise<TokenRepository | undefined> {
    const row = await this.#queries.first(findRoot, { tenantId, name: defaultRepositoryName })
    return row && asRepository(row)
  }

  /** In order of id, beginning behind `afterId` (empty: at the first). */
  async list(
    tenantId: string,
    { afterId, limit }: { afterId: string; limit: number },
  ): Promise<TokenRepository[]> {
    return (await this.#queries.all(list, { tenantId, afterId, limit })).map(asRepository)
  }
}

function asRepository(row: TokenRepositoryTable): TokenRepository {
  return {
    tenantId: row.tenant_id,
    id: row.id,
    name: row.name,
    description: row.description,
    parentId: row.parent_id,
    domain: row.domain,
    createdAtMs: row.created_at,
  }
}
