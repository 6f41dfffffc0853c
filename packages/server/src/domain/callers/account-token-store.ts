import type { Queries } from '#storage/queries.ts'
import { type Builder, dynamicStatement, statement } from '#storage/statement.ts'
import { platformTenantId } from './caller.ts'
import type { Scope } from './scopes.ts'

/** A tenant's account as one sees it who only knows its token. */
export interface AccountToken {
  /** Id of the account. */
  readonly accountId: string
  readonly ulid: string
  readonly tenantId: string
  readonly description: string
  readonly scopes: readonly Scope[]
  readonly createdAtMs: number
  readonly expiresAtMs: number | null
  /** When the account was changed last, if it is disabled; null while it is not. */
  readonly revokedAtMs: number | null
}

/** What is looked for: accounts of one tenant, or of every one, that have one of the scopes. */
export interface AccountTokenFilter {
  readonly tenantId: string | undefined
  readonly scopes: readonly Scope[]
}

interface AccountTokenRow {
  readonly id: string
  readonly ulid: string
  readonly tenant_id: string
  readonly description: string
  readonly scopes: string
  readonly enabled: number
  readonly created_at: number
  readonly updated_at: number
  readonly expires_at: number | null
}

const columns = [
  'id',
  'ulid',
  'tenant_id',
  'description',
  'scopes',
  'enabled',
  'created_at',
  'updated_at',
  'expires_at',
] as const

const find = statement((db, p: { ulid: string }) =>
  db
    .selectFrom('service_account')
    .select(columns)
    .where('ulid', '=', p.ulid)
    .where('tenant_id', '<>', platformTenantId),
)

/** Accounts of tenants as lists of tokens that are paged by number. */
export class AccountTokenStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** Of any tenant. */
  async find(ulid: string): Promise<AccountToken | undefined> {
    const row = await this.#queries.first(find, { ulid })
    return row && asToken(row)
  }

  /** In order of creation. */
  async list(
    filter: AccountTokenFilter,
    { offset, limit }: { offset: number; limit: number },
  ): Promise<AccountToken[]> {
    const query = dynamicStatement((db) =>
      fitting(db, filter).select(columns).orderBy('ulid').limit(limit).offset(offset),
    )
    return (await this.#queries.all(query, {})).map(asToken)
  }

  async count(filter: AccountTokenFilter): Promise<number> {
    const query = dynamicStatement((db) =>
      fitting(db, filter).select((eb) => eb.fn.countAll<number>().as('count')),
    )
    return Number((await this.#queries.first(query, {}))?.count ?? 0)
  }
}

function fitting(db: Builder, { tenantId, scopes }: AccountTokenFilter) {
  const accounts = db
    .selectFrom('service_account')
    // Has planners go through the index in the order of the list.
    .where('ulid', '>', '')
    .where((eb) => eb.or(scopes.map((scope) => eb('scopes', 'like', `%"${scope}"%`))))
  return tenantId === undefined
    ? accounts.where('tenant_id', '<>', platformTenantId)
    : accounts.where('tenant_id', '=', tenantId)
}

function asToken(row: AccountTokenRow): AccountToken {
  return {
    accountId: row.id,
    ulid: row.ulid,
    tenantId: row.tenant_id,
    description: row.description,
    scopes: JSON.parse(row.scopes) as Scope[],
    createdAtMs: row.created_at,
    expiresAtMs: row.expires_at,
    revokedAtMs: row.enabled === 1 ? null : row.updated_at,
  }
}
