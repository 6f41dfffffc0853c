import type { Queries } from '#storage/queries.ts'
import { dynamicStatement, statement } from '#storage/statement.ts'
import { platformTenantId } from './caller.ts'
import type { Scope } from './scopes.ts'
import type { ServiceAccount, ServiceAccountChanges } from './service-account.ts'

/** Stands where an account has no secret of its own; no hash looks like it. */
export const noSecretHash = 'none:'

/** What an account's credentials are compared with. */
export interface AccountSecret {
  readonly secretHash: string
  readonly previousSecretHash: string | null
  readonly previousValidUntilMs: number | null
}

/** Where an account lives: the platform's stand under `_platform`. */
interface AccountKey {
  readonly tenantId: string
  readonly id: string
}

const columns = [
  'tenant_id',
  'id',
  'ulid',
  'description',
  'scopes',
  'enabled',
  'expires_at',
  'allowed_addresses',
  'created_at',
  'updated_at',
  'secret_rotated_at',
  'last_used_at',
] as const

interface AccountRow {
  readonly tenant_id: string
  readonly id: string
  readonly ulid: string
  readonly description: string
  readonly scopes: string
  readonly enabled: number
  readonly expires_at: number | null
  readonly allowed_addresses: string
  readonly created_at: number
  readonly updated_at: number
  readonly secret_rotated_at: number
  readonly last_used_at: number | null
}

const find = statement((db, p: { id: string }) =>
  db.selectFrom('service_account').select(columns).where('id', '=', p.id),
)

const findSecretHash = statement((db, p: AccountKey) =>
  db
    .selectFrom('service_account')
    .select('secret_hash')
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id),
)

interface NewAccount {
  readonly tenantId: string
  readonly id: string
  readonly ulid: string
  readonly description: string
  readonly scopes: string
  readonly enabled: number
  readonly expiresAtMs: number | null
  readonly allowedAddresses: string
  readonly secretHash: string
  readonly nowMs: number
}

const insert = statement((db, p: NewAccount) =>
  db.insertInto('service_account').values({
    tenant_id: p.tenantId,
    id: p.id,
    ulid: p.ulid,
    description: p.description,
    scopes: p.scopes,
    enabled: p.enabled,
    expires_at: p.expiresAtMs,
    allowed_addresses: p.allowedAddresses,
    secret_hash: p.secretHash,
    created_at: p.nowMs,
    updated_at: p.nowMs,
    secret_rotated_at: p.nowMs,
  }),
)

const remove = statement((db, p: AccountKey) =>
  db.deleteFrom('service_account').where('tenant_id', '=', p.tenantId).where('id', '=', p.id),
)

const insertCertificate = statement((db, p: AccountKey & { thumbprint: string }) =>
  db
    .insertInto('service_account_certificate')
    .values({ tenant_id: p.tenantId, account_id: p.id, thumbprint: p.thumbprint }),
)

const removeCertificates = statement((db, p: AccountKey) =>
  db
    .deleteFrom('service_account_certificate')
    .where('tenant_id', '=', p.tenantId)
    .where('account_id', '=', p.id),
)

interface Rotation extends AccountKey {
  readonly seenHash: string
  readonly secretHash: string
  readonly previousHash: string | null
  readonly previousValidUntilMs: number | null
  readonly nowMs: number
}

const rotate = statement((db, p: Rotation) =>
  db
    .updateTable('service_account')
    .set({
      secret_hash: p.secretHash,
      previous_secret_hash: p.previousHash,
      previous_valid_until: p.previousValidUntilMs,
      secret_rotated_at: p.nowMs,
      updated_at: p.nowMs,
    })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id)
    .where('secret_hash', '=', p.seenHash),
)

const touch = statement((db, p: AccountKey & { atMs: number }) =>
  db
    .updateTable('service_account')
    .set({ last_used_at: p.atMs })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id)
    .where((eb) => eb.or([eb('last_used_at', 'is', null), eb('last_used_at', '<', p.atMs)])),
)

/** Service accounts without their secrets. */
export class ServiceAccountStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** Of any tenant: ids are unique on the server. */
  async find(id: string): Promise<ServiceAccount | undefined> {
    const row = await this.#queries.first(find, { id })
    if (row === undefined) return undefined
    return (await this.#withCertificates([row]))[0]
  }

  /** @throws StorageError `taken` for an id, a secret or a certificate that is in use. */
  async insert(account: ServiceAccount, secretHash: string): Promise<void> {
    const key = keyOf(account)
    await this.#queries.run(insert, {
      ...key,
      ulid: account.ulid,
      description: account.description,
      scopes: JSON.stringify(account.scopes),
      enabled: account.enabled ? 1 : 0,
      expiresAtMs: account.expiresAtMs,
      allowedAddresses: JSON.stringify(account.allowedAddresses),
      secretHash,
      nowMs: account.createdAtMs,
    })
    await this.#insertCertificates(key, account.certificateThumbprints)
  }

  /**
   * In order of creation, behind `afterUlid`.
   *
   * @param filter.tenantId absent: of every tenant; with `includePlatform` also the platform's own.
   */
  async list(filter: {
    tenantId?: string | undefined
    includePlatform: boolean
    enabled?: boolean | undefined
    afterUlid: string
    limit: number
  }): Promise<ServiceAccount[]> {
    const { tenantId, includePlatform, enabled, afterUlid, limit } = filter
    const query = dynamicStatement((db) => {
      let rows = db
        .selectFrom('service_account')
        .select(columns)
        .where('ulid', '>', afterUlid)
        .orderBy('ulid')
        .limit(limit)
      if (tenantId !== undefined) rows = rows.where('tenant_id', '=', tenantId)
      if (!includePlatform) rows = rows.where('tenant_id', '<>', platformTenantId)
      if (enabled !== undefined) rows = rows.where('enabled', '=', enabled ? 1 : 0)
      return rows
    })
    return this.#withCertificates(await this.#queries.all(query, {}))
  }

  /** Changes what is named and nothing else. False when the account is gone. */
  async update(
    account: ServiceAccount,
    changes: ServiceAccountChanges,
    nowMs: number,
  ): Promise<boolean> {
    const { description, scopes, enabled, expiresAtMs, allowedAddresses } = changes
    const key = keyOf(account)
    const query = dynamicStatement((db) =>
      db
        .updateTable('service_account')
        .set({
          updated_at: nowMs,
          ...(description === undefined ? {} : { description }),
          ...(scopes === undefined ? {} : { scopes: JSON.stringify(scopes) }),
          ...(enabled === undefined ? {} : { enabled: enabled ? 1 : 0 }),
          ...(expiresAtMs === undefined ? {} : { expires_at: expiresAtMs }),
          ...(allowedAddresses === undefined
            ? {}
            : { allowed_addresses: JSON.stringify(allowedAddresses) }),
        })
        .where('tenant_id', '=', key.tenantId)
        .where('id', '=', key.id),
    )
    if ((await this.#queries.run(query, {})) !== 1) return false
    if (changes.certificateThumbprints !== undefined) {
      await this.#queries.run(removeCertificates, key)
      await this.#insertCertificates(key, changes.certificateThumbprints)
    }
    return true
  }

  /** False when the account is gone. */
  async remove(account: ServiceAccount): Promise<boolean> {
    await this.#queries.run(removeCertificates, keyOf(account))
    return (await this.#queries.run(remove, keyOf(account))) === 1
  }

  /** The hash that {@link rotateSecret} must find unchanged. */
  async findSecretHash(account: ServiceAccount): Promise<string | undefined> {
    return (await this.#queries.first(findSecretHash, keyOf(account)))?.secret_hash
  }

  /**
   * Gives the account another secret. False when somebody else did since `seenHash` was read, so that no two callers
   * both believe to hold the new one.
   *
   * @param change.previousValidUntilMs how long the old one stays valid; null: no longer.
   */
  async rotateSecret(
    account: ServiceAccount,
    change: {
      seenHash: string
      secretHash: string
      previousValidUntilMs: number | null
      nowMs: number
    },
  ): Promise<boolean> {
    const previousHash = change.previousValidUntilMs === null ? null : change.seenHash
    const count = await this.#queries.run(rotate, { ...keyOf(account), ...change, previousHash })
    return count === 1
  }

  /**
   * True when a platform administrator who can sign in is left without this account.
   *
   * @param search.trustedId an account that can sign in although it has no secret of its own.
   */
  async hasAdministrator(search: {
    exceptId?: string
    trustedId: string | undefined
    nowMs: number
  }): Promise<boolean> {
    const { exceptId, trustedId, nowMs } = search
    const query = dynamicStatement((db) => {
      const administrators = db
        .selectFrom('service_account')
        .select('id')
        .where('tenant_id', '=', platformTenantId)
        .where('enabled', '=', 1)
        .where('scopes', 'like', '%"platform:admin"%')
        .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', nowMs)]))
        .where((eb) =>
          eb.or([
            eb('secret_hash', 'not like', `${noSecretHash}%`),
            eb('id', '=', trustedId ?? ''),
          ]),
        )
        .limit(1)
      return exceptId === undefined ? administrators : administrators.where('id', '<>', exceptId)
    })
    return (await this.#queries.first(query, {})) !== undefined
  }

  /** Notes a use; an older one never replaces a later one. */
  async touch(tenantId: string, id: string, atMs: number): Promise<void> {
    await this.#queries.run(touch, { tenantId, id, atMs })
  }

  async #insertCertificates(key: AccountKey, thumbprints: readonly string[]): Promise<void> {
    for (const thumbprint of new Set(thumbprints)) {
      await this.#queries.run(insertCertificate, { ...key, thumbprint })
    }
  }

  async #withCertificates(rows: readonly AccountRow[]): Promise<ServiceAccount[]> {
    if (rows.length === 0) return []
    const query = dynamicStatement((db) =>
      db
        .selectFrom('service_account_certificate')
        .select(['account_id', 'thumbprint'])
        .where((eb) =>
          eb.or(
            rows.map((row) =>
              eb.and([eb('tenant_id', '=', row.tenant_id), eb('account_id', '=', row.id)]),
            ),
          ),
        )
        .orderBy('thumbprint'),
    )
    const certificates = Map.groupBy(
      await this.#queries.all(query, {}),
      ({ account_id }) => account_id,
    )
    return rows.map((row) => {
      const thumbprints = (certificates.get(row.id) ?? []).map(({ thumbprint }) => thumbprint)
      return asAccount(row, thumbprints)
    })
  }
}

function keyOf({ tenantId, id }: ServiceAccount): AccountKey {
  return { tenantId: tenantId ?? platformTenantId, id }
}

function asAccount(row: AccountRow, certificateThumbprints: readonly string[]): ServiceAccount {
  return {
    id: row.id,
    ulid: row.ulid,
    tenantId: row.tenant_id === platformTenantId ? null : row.tenant_id,
    description: row.description,
    scopes: JSON.parse(row.scopes) as Scope[],
    enabled: row.enabled === 1,
    expiresAtMs: row.expires_at,
    allowedAddresses: JSON.parse(row.allowed_addresses) as string[],
    certificateThumbprints,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
    secretRotatedAtMs: row.secret_rotated_at,
    lastUsedAtMs: row.last_used_at,
  }
}
