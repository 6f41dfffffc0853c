import type { Queries } from '#storage/queries.ts'
import type { UserDomainTable } from '#storage/schema.ts'
import { type Builder, dynamicStatement, nothing, statement } from '#storage/statement.ts'
import { DomainError } from '../errors.ts'
import type { IdSource } from '../ulid.ts'
import { foldText } from './name-text.ts'
import {
  domainKey,
  firstDomainName,
  type UserDomain,
  type UserDomainChanges,
} from './user-domain.ts'

interface Key {
  readonly tenantId: string
  readonly key: string
}

const insert = statement((db, row: UserDomainTable) =>
  db
    .insertInto('user_domain')
    .values({
      tenant_id: row.tenant_id,
      folded_name: row.folded_name,
      ulid: row.ulid,
      name: row.name,
      dns_name: row.dns_name,
      folded_dns: row.folded_dns,
      netbios_name: row.netbios_name,
      folded_netbios: row.folded_netbios,
      description: row.description,
      is_default: row.is_default,
      repository_id: row.repository_id,
      created_at: row.created_at,
      updated_at: row.updated_at,
    })
    .onConflict((conflict) => conflict.columns(['tenant_id', 'folded_name']).doNothing()),
)

const find = statement((db, p: Key) =>
  db
    .selectFrom('user_domain')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('folded_name', '=', p.key),
)

const findDefault = statement((db, p: { tenantId: string }) =>
  db
    .selectFrom('user_domain')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('is_default', '=', 1),
)

const list = statement((db, p: { tenantId: string; afterUlid: string; limit: number }) =>
  db
    .selectFrom('user_domain')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('ulid', '>', p.afterUlid)
    .orderBy('ulid')
    .limit(p.limit),
)

/** Changes nothing, but takes the row's lock, which both engines keep until the transaction ends. */
function held(db: Builder) {
  return db.updateTable('user_domain').set((eb) => ({ updated_at: eb.ref('updated_at') }))
}

const hold = statement((db, p: Key) =>
  held(db).where('tenant_id', '=', p.tenantId).where('folded_name', '=', p.key),
)

const holdDefault = statement((db, p: { tenantId: string }) =>
  held(db)
    .where('tenant_id', '=', p.tenantId)
    .where('is_default', '=', 1)
    .returning(['folded_name', 'name']),
)

const clearDefault = statement((db, p: { tenantId: string }) =>
  db
    .updateTable('user_domain')
    .set({ is_default: 0 })
    .where('tenant_id', '=', p.tenantId)
    .where('is_default', '=', 1),
)

const setDefault = statement((db, p: Key) =>
  db
    .updateTable('user_domain')
    .set({ is_default: 1 })
    .where('tenant_id', '=', p.tenantId)
    .where('folded_name', '=', p.key),
)

const removeEmpty = statement((db, p: Key) =>
  db
    .deleteFrom('user_domain')
    .where('tenant_id', '=', p.tenantId)
    .where('folded_name', '=', p.key)
    .where('is_default', '=', 0)
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('app_user')
            .select('id')
            .where('tenant_id', '=', p.tenantId)
            .where('domain', '=', p.key),
        ),
      ),
    ),
)

const unbindRepositories = statement((db, p: Key) =>
  db
    .updateTable('token_repository')
    .set({ domain: null })
    .where('tenant_id', '=', p.tenantId)
    .where('domain', '=', p.key),
)

/** How often the mark may be gone when its place is reached, before the caller is sent away for a moment. */
const markAttemptsMax = 10

/** Rows of `user_domain`. */
export class UserDomainStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** What a new tenant starts with; to be called in the transaction that makes the tenant. */
  async insertFirst(tenantId: string, nowMs: number, nextId: IdSource): Promise<void> {
    await this.insert({
      tenantId,
      key: firstDomainName,
      ulid: nextId(),
      name: firstDomainName,
      dnsName: null,
      netbiosName: null,
      description: null,
      isDefault: true,
      repositoryId: null,
      createdAtMs: nowMs,
      updatedAtMs: nowMs,
    })
  }

  /** @returns false when the name is taken. */
  async insert(domain: UserDomain): Promise<boolean> {
    return (await this.#queries.run(insert, asRow(domain))) === 1
  }

  /** @param name in any case. */
  async find(tenantId: string, name: string): Promise<UserDomain | undefined> {
    const key = domainKey(name)
    if (key === undefined) return undefined
    const row = await this.#queries.first(find, { tenantId, key })
    return row && asDomain(row)
  }

  /** Undefined only for a tenant that does not exist. */
  async findDefault(tenantId: string): Promise<UserDomain | undefined> {
    const row = await this.#queries.first(findDefault, { tenantId })
    return row && asDomain(row)
  }

  /** In order of creation, beginning behind `afterUlid` (empty: at the first). */
  async list(
    tenantId: string,
    { afterUlid, limit }: { afterUlid: string; limit: number },
  ): Promise<UserDomain[]> {
    return (await this.#queries.all(list, { tenantId, afterUlid, limit })).map(asDomain)
  }

  /**
   * Keeps the domain from being deleted until the transaction ends; false when there is none. Two transactions that
   * hold one domain run one after the other.
   */
  async hold(tenantId: string, key: string): Promise<boolean> {
    return (await this.#queries.run(hold, { tenantId, key })) === 1
  }

  /**
   * As {@link hold}, for whichever domain is the default. Undefined only for a tenant that does not exist.
   *
   * @throws DomainError `unavailable` when the mark never stands still.
   */
  async holdDefault(tenantId: string): Promise<{ key: string; name: string } | undefined> {
    for (let attempt = 1; attempt <= markAttemptsMax; attempt++) {
      const row = await this.#queries.first(holdDefault, { tenantId })
      if (row !== undefined) return { key: row.folded_name, name: row.name }
      // On PostgreSQL: the mark was moving while this waited for it, and is seen in its new place the next time.
      if ((await this.#queries.first(findDefault, { tenantId })) === undefined) return undefined
    }
    throw new DomainError('unavailable', 'The default domain is being changed.', {
      retryAfterSeconds: 1,
    })
  }

  /** Makes the domain the default one, and no other; false when it is not there. The transaction must hold the tenant, so that marks move one after the other. */
  async takeMark(tenantId: string, key: string): Promise<boolean> {
    await this.#queries.run(clearDefault, { tenantId })
    return (await this.#queries.run(setDefault, { tenantId, key })) === 1
  }

  /** @returns false when there is no such domain. */
  async update(
    tenantId: string,
    key: string,
    changes: UserDomainChanges,
    nowMs: number,
  ): Promise<boolean> {
    const { dnsName, netbiosName, description, repositoryId } = changes
    const changed = await this.#queries.run(
      dynamicStatement((db) =>
        db
          .updateTable('user_domain')
          .set({
            updated_at: nowMs,
            ...(dnsName === undefined ? {} : { dns_name: dnsName, folded_dns: folded(dnsName) }),
            ...(netbiosName === undefined
              ? {}
              : { netbios_name: netbiosName, folded_netbios: folded(netbiosName) }),
            ...(description === undefined ? {} : { description }),
            ...(repositoryId === undefined ? {} : { repository_id: repositoryId }),
          })
          .where('tenant_id', '=', tenantId)
          .where('folded_name', '=', key),
      ),
      nothing,
    )
    return changed === 1
  }

  /**
   * Removes a domain without users that is not the default; false otherwise. The transaction must hold the domain: then
   * nobody can move in between the look and the removal.
   */
  async removeEmpty(tenantId: string, key: string): Promise<boolean> {
    if ((await this.#queries.run(removeEmpty, { tenantId, key })) === 0) return false
    await this.#queries.run(unbindRepositories, { tenantId, key })
    return true
  }
}

function folded(name: string | null): string | null {
  return name === null ? null : foldText(name)
}

function asRow(domain: UserDomain): UserDomainTable {
  return {
    tenant_id: domain.tenantId,
    folded_name: domain.key,
    ulid: domain.ulid,
    name: domain.name,
    dns_name: domain.dnsName,
    folded_dns: folded(domain.dnsName),
    netbios_name: domain.netbiosName,
    folded_netbios: folded(domain.netbiosName),
    description: domain.description,
    is_default: domain.isDefault ? 1 : 0,
    repository_id: domain.repositoryId,
    created_at: domain.createdAtMs,
    updated_at: domain.updatedAtMs,
  }
}

function asDomain(row: UserDomainTable): UserDomain {
  return {
    tenantId: row.tenant_id,
    key: row.folded_name,
    ulid: row.ulid,
    name: row.name,
    dnsName: row.dns_name,
    netbiosName: row.netbios_name,
    description: row.description,
    isDefault: row.is_default === 1,
    repositoryId: row.repository_id,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
  }
}
