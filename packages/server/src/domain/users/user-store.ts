import type { Queries } from '#storage/queries.ts'
import type { AppUserTable } from '#storage/schema.ts'
import { dynamicStatement, integerParameter, nothing, statement } from '#storage/statement.ts'
import { ExternalUserStore } from './external-user-store.ts'
import { foldText } from './name-text.ts'
import type { UserAttributes, UserDraft, UserStatus } from './user.ts'

/** A user that does not exist yet. */
export interface NewUser extends UserAttributes {
  readonly tenantId: string
  readonly id: string
  readonly ulid: string
  /** Key of a domain that the transaction holds. */
  readonly domainKey: string
  readonly loginName: string
  readonly status: UserStatus
  readonly passwordHash: string | null
  readonly createdAtMs: number
}

/** A draft with what the core adds to it. */
export function newUser(
  tenantId: string,
  draft: UserDraft,
  made: Pick<NewUser, 'id' | 'ulid' | 'domainKey' | 'loginName' | 'passwordHash' | 'createdAtMs'>,
): NewUser {
  return {
    tenantId,
    status: draft.status ?? 'ACTIVE',
    displayName: draft.displayName ?? null,
    email: draft.email ?? null,
    firstName: draft.firstName ?? null,
    lastName: draft.lastName ?? null,
    mobile: draft.mobile ?? null,
    telephone: draft.telephone ?? null,
    canonicalName: draft.canonicalName ?? null,
    principalName: draft.principalName ?? null,
    description: draft.description ?? null,
    keylessExternalId: draft.keylessExternalId ?? null,
    ...made,
  }
}

/** What may be written of a user that exists; absent members stay. */
export interface UserUpdate extends Partial<UserAttributes> {
  /** Key of a domain that the transaction holds. */
  readonly domainKey?: string
  readonly loginName?: string
  readonly status?: UserStatus
  readonly passwordHash?: string
}

interface Key {
  readonly tenantId: string
  readonly id: string
}

const insert = statement((db, row: AppUserTable) =>
  db
    .insertInto('app_user')
    .values({
      tenant_id: row.tenant_id,
      id: row.id,
      ulid: row.ulid,
      domain: row.domain,
      login_name: row.login_name,
      folded_login: row.folded_login,
      display_name: row.display_name,
      email: row.email,
      folded_email: row.folded_email,
      status: row.status,
      first_name: row.first_name,
      last_name: row.last_name,
      mobile: row.mobile,
      telephone: row.telephone,
      canonical_name: row.canonical_name,
      principal_name: row.principal_name,
      description: row.description,
      password_hash: row.password_hash,
      keyless_external_id: row.keyless_external_id,
      keyless_external_created_at: row.keyless_external_created_at,
      keyless_external_updated_at: row.keyless_external_updated_at,
      last_login_at: row.last_login_at,
      last_authenticated_at: row.last_authenticated_at,
      created_at: row.created_at,
      updated_at: row.updated_at,
    })
    .onConflict((conflict) => conflict.doNothing()),
)

const findIdOfLogin = statement(
  (db, p: { tenantId: string; domain: string; foldedLogin: string }) =>
    db
      .selectFrom('app_user')
      .select('id')
      .where('tenant_id', '=', p.tenantId)
      .where('domain', '=', p.domain)
      .where('folded_login', '=', p.foldedLogin),
)

const findId = statement((db, p: Key) =>
  db.selectFrom('app_user').select('id').where('tenant_id', '=', p.tenantId).where('id', '=', p.id),
)

/** Changes nothing, but takes the row's lock, which both engines keep until the transaction ends. */
const hold = statement((db, p: Key) =>
  db
    .updateTable('app_user')
    .set((eb) => ({ updated_at: eb.ref('updated_at') }))
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id),
)

/** Before the label itself is written: the same one again changes nothing. */
const dateLabel = statement((db, p: Key & { label: string; nowMs: number }) =>
  db
    .updateTable('app_user')
    .set((eb) => ({
      keyless_external_created_at: eb.fn.coalesce(
        'keyless_external_created_at',
        integerParameter(p.nowMs),
      ),
      keyless_external_updated_at: p.nowMs,
    }))
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id)
    .where((eb) =>
      eb.or([eb('keyless_external_id', 'is', null), eb('keyless_external_id', '<>', p.label)]),
    ),
)

const endLabel = statement((db, p: Key) =>
  db
    .updateTable('app_user')
    .set({ keyless_external_created_at: null, keyless_external_updated_at: null })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id),
)

const remove = statement((db, p: Key) =>
  db.deleteFrom('app_user').where('tenant_id', '=', p.tenantId).where('id', '=', p.id),
)

/** Rows of `app_user`: writing them, and asking whether they are there. */
export class UserStore {
  /** Their labels, with dates. */
  readonly external: ExternalUserStore
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
    this.external = new ExternalUserStore(queries)
  }

  /** @returns false when the id or the login name is taken. */
  async insert(user: NewUser): Promise<boolean> {
    return (await this.#queries.run(insert, asRow(user))) === 1
  }

  async exists(tenantId: string, id: string): Promise<boolean> {
    return (await this.#queries.first(findId, { tenantId, id })) !== undefined
  }

  async hasLogin(tenantId: string, domainKey: string, loginName: string): Promise<boolean> {
    const foldedLogin = foldText(loginName)
    const key = { tenantId, domain: domainKey, foldedLogin }
    return (await this.#queries.first(findIdOfLogin, key)) !== undefined
  }

  /**
   * Keeps the user from being deleted until the transaction ends; false when there is none. Whoever gives a user
   * something that must not outlive the user (a token, an identifier) holds the user first.
   */
  async hold(tenantId: string, id: string): Promise<boolean> {
    return (await this.#queries.run(hold, { tenantId, id })) === 1
  }

  /**
   * @returns false when there is no such user.
   * @throws StorageError `taken` when the login name is taken in the domain.
   */
  async update(tenantId: string, id: string, update: UserUpdate, nowMs: number): Promise<boolean> {
    const { keylessExternalId: label } = update
    if (label === null) await this.#queries.run(endLabel, { tenantId, id })
    else if (label !== undefined) await this.#queries.run(dateLabel, { tenantId, id, label, nowMs })
    const changed = await this.#queries.run(
      dynamicStatement((db) =>
        db
          .updateTable('app_user')
          .set({ ...changedColumns(update), updated_at: nowMs })
          .where('tenant_id', '=', tenantId)
          .where('id', '=', id),
      ),
      nothing,
    )
    return changed === 1
  }

  /** @returns false when there is no such user. */
  async remove(tenantId: string, id: string): Promise<boolean> {
    return (await this.#queries.run(remove, { tenantId, id })) === 1
  }
}

function changedColumns(update: UserUpdate): Partial<AppUserTable> {
  const columns: { [Name in keyof AppUserTable]?: AppUserTable[Name] | undefined } = {
    domain: update.domainKey,
    login_name: update.loginName,
    folded_login: update.loginName === undefined ? undefined : foldText(update.loginName),
    display_name: update.displayName,
    email: update.email,
    folded_email: update.email === undefined ? undefined : foldedEmail(update.email),
    status: update.status,
    first_name: update.firstName,
    last_name: update.lastName,
    mobile: update.mobile,
    telephone: update.telephone,
    canonical_name: update.canonicalName,
    principal_name: update.principalName,
    description: update.description,
    password_hash: update.passwordHash,
    keyless_external_id: update.keylessExternalId,
  }
  return Object.fromEntries(Object.entries(columns).filter(([, value]) => value !== undefined))
}

function foldedEmail(email: string | null): string | null {
  return email === null ? null : foldText(email)
}

function asRow(user: NewUser): AppUserTable {
  return {
    tenant_id: user.tenantId,
    id: user.id,
    ulid: user.ulid,
    domain: user.domainKey,
    login_name: user.loginName,
    folded_login: foldText(user.loginName),
    display_name: user.displayName,
    email: user.email,
    folded_email: foldedEmail(user.email),
    status: user.status,
    first_name: user.firstName,
    last_name: user.lastName,
    mobile: user.mobile,
    telephone: user.telephone,
    canonical_name: user.canonicalName,
    principal_name: user.principalName,
    description: user.description,
    password_hash: user.passwordHash,
    keyless_external_id: user.keylessExternalId,
    keyless_external_created_at: user.keylessExternalId === null ? null : user.createdAtMs,
    keyless_external_updated_at: user.keylessExternalId === null ? null : user.createdAtMs,
    last_login_at: null,
    last_authenticated_at: null,
    created_at: user.createdAtMs,
    updated_at: user.createdAtMs,
  }
}
