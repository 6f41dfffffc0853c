import type { Queries } from '#storage/queries.ts'
import { type Builder, dynamicStatement, nothing, statement } from '#storage/statement.ts'
import type { Identifier } from './identifier.ts'
import { foldText } from './name-text.ts'
import { lockoutAt, shownName, type User, type UserStatus } from './user.ts'
import { UserIdentifierStore } from './user-identifier-store.ts'

/** Conditions on a list; all of them together. */
export interface UserFilter {
  readonly domainKey?: string | undefined
  readonly loginName?: string | undefined
  /** In normal form. */
  readonly identifier?: Identifier | undefined
  readonly keylessExternalId?: string | undefined
  readonly status?: UserStatus | undefined
}

/**
 * A user with domain, lock and latest authentication: the user's own mark, or the last use by this user of a token that
 * is still assigned, or of a list that is still there.
 */
function viewed(db: Builder) {
  return db
    .selectFrom('app_user as u')
    .innerJoin('user_domain as d', (join) =>
      join.onRef('d.tenant_id', '=', 'u.tenant_id').onRef('d.folded_name', '=', 'u.domain'),
    )
    .leftJoin('user_lockout as l', (join) =>
      join.onRef('l.tenant_id', '=', 'u.tenant_id').onRef('l.user_id', '=', 'u.id'),
    )
    .select([
      'u.tenant_id',
      'u.id',
      'u.ulid',
      'd.name as domain_name',
      'u.login_name',
      'u.display_name',
      'u.email',
      'u.status',
      'u.first_name',
      'u.last_name',
      'u.mobile',
      'u.telephone',
      'u.canonical_name',
      'u.principal_name',
      'u.description',
      'u.keyless_external_id',
      'u.last_login_at',
      'u.last_authenticated_at',
      'u.created_at',
      'u.updated_at',
      'l.failure_count',
      'l.locked_at',
      'l.locked_until',
      'l.lock_reason',
    ])
    .select(({ selectFrom }) =>
      selectFrom('otp_assignment as a')
        .innerJoin('otp_factor as f', (join) =>
          join.onRef('f.tenant_id', '=', 'a.tenant_id').onRef('f.token_id', '=', 'a.token_id'),
        )
        .select(({ fn }) => fn.max('f.last_used_at').as('used_at'))
        .whereRef('a.tenant_id', '=', 'u.tenant_id')
        .whereRef('a.user_id', '=', 'u.id')
        .whereRef('f.last_used_by', '=', 'u.id')
        .as('factor_used_at'),
    )
    .select(({ selectFrom }) =>
      selectFrom('otp_list as o')
        .select(({ fn }) => fn.max('o.last_used_at').as('used_at'))
        .whereRef('o.tenant_id', '=', 'u.tenant_id')
        .whereRef('o.user_id', '=', 'u.id')
        .as('list_used_at'),
    )
}

type ViewRow = Awaited<ReturnType<ReturnType<typeof viewed>['executeTakeFirstOrThrow']>>

const find = statement((db, p: { tenantId: string; id: string }) =>
  viewed(db).where('u.tenant_id', '=', p.tenantId).where('u.id', '=', p.id),
)

const findWithUlid = statement((db, p: { tenantId: string; ulid: string }) =>
  viewed(db).where('u.tenant_id', '=', p.tenantId).where('u.ulid', '=', p.ulid),
)

/** Users as they are shown: with domain, lock, identifiers and latest authentication. */
export class UserViewStore {
  readonly #queries: Queries
  readonly #identifiers: UserIdentifierStore

  constructor(queries: Queries) {
    this.#queries = queries
    this.#identifiers = new UserIdentifierStore(queries)
  }

  async find(tenantId: string, id: string, nowMs: number): Promise<User | undefined> {
    return this.#withIdentifiers(await this.#queries.first(find, { tenantId, id }), nowMs)
  }

  async findWithUlid(tenantId: string, ulid: string, nowMs: number): Promise<User | undefined> {
    return this.#withIdentifiers(await this.#queries.first(findWithUlid, { tenantId, ulid }), nowMs)
  }

  /** In order of creation, beginning behind `afterUlid` (empty: at the first). Two statements, whatever the length. */
  async list(
    tenantId: string,
    filter: UserFilter,
    { afterUlid, limit, nowMs }: { afterUlid: string; limit: number; nowMs: number },
  ): Promise<User[]> {
    const rows = await this.#queries.all(listOf(tenantId, filter, afterUlid, limit), nothing)
    const identifiers = await this.#identifiers.listOfUsers(
      tenantId,
      rows.map(({ id }) => id),
    )
    return rows.map((row) => asUser(row, identifiers.get(row.id) ?? [], nowMs))
  }

  async #withIdentifiers(row: ViewRow | undefined, nowMs: number): Promise<User | undefined> {
    if (row === undefined) return undefined
    return asUser(row, await this.#identifiers.listOf(row.tenant_id, row.id), nowMs)
  }
}

function listOf(tenantId: string, filter: UserFilter, afterUlid: string, limit: number) {
  const { domainKey, loginName, identifier, keylessExternalId, status } = filter
  return dynamicStatement((db) => {
    let query = viewed(db).where('u.tenant_id', '=', tenantId).where('u.ulid', '>', afterUlid)
    if (domainKey !== undefined) query = query.where('u.domain', '=', domainKey)
    if (loginName !== undefined) query = query.where('u.folded_login', '=', foldText(loginName))
    if (keylessExternalId !== undefined) {
      query = query.where('u.keyless_external_id', '=', keylessExternalId)
    }
    if (status !== undefined) query = query.where('u.status', '=', status)
    if (identifier !== undefined) {
      query = query.where('u.id', '=', ({ selectFrom }) =>
        selectFrom('user_identifier')
          .select('user_id')
          .where('tenant_id', '=', tenantId)
          .where('scheme', '=', identifier.scheme)
          .where('value', '=', identifier.value),
      )
    }
    return query.orderBy('u.ulid').limit(limit)
  })
}

function asUser(row: ViewRow, identifiers: readonly Identifier[], nowMs: number): User {
  const lockout = {
    failureCount: row.failure_count ?? 0,
    lockedAtMs: row.locked_at,
    untilMs: row.locked_until,
    reason: row.lock_reason,
  }
  return {
    tenantId: row.tenant_id,
    id: row.id,
    ulid: row.ulid,
    domain: row.domain_name,
    loginName: row.login_name,
    displayName: shownName({
      displayName: row.display_name,
      firstName: row.first_name,
      lastName: row.last_name,
    }),
    email: row.email,
    status: row.status === 'ACTIVE' ? 'ACTIVE' : 'DISABLED',
    ...lockoutAt(lockout, nowMs),
    identifiers,
    firstName: row.first_name,
    lastName: row.last_name,
    mobile: row.mobile,
    telephone: row.telephone,
    canonicalName: row.canonical_name,
    principalName: row.principal_name,
    description: row.description,
    keylessExternalId: row.keyless_external_id,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
    lastLoginAtMs: row.last_login_at,
    lastAuthenticatedAtMs: latest(
      latest(row.last_authenticated_at, row.factor_used_at),
      row.list_used_at,
    ),
  }
}

function latest(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : Math.max(one, other)
}
