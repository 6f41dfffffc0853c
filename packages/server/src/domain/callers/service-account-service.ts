import type { Randomness } from '#custody/randomness.ts'
import { newApiSecret, newDottedSecret, sha256Hex } from '#custody/secrets.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import { decodeCursor, type Page, type PageRequest, pageOf } from '../paging.ts'
import { type Storage, type Stores, takenKey } from '../storage.ts'
import { isPlainId } from '../tenants/tenant.ts'
import type { IdSource } from '../ulid.ts'
import { reportAccount } from './account-report.ts'
import { type BootstrapRule, ensureAdministrator, keepAdministrator } from './administrators.ts'
import type { Caller } from './caller.ts'
import {
  bootstrapAccountId,
  faultsOf,
  mayGrant,
  type ServiceAccount,
  type ServiceAccountChanges,
} from './service-account.ts'

const graceSecondsMax = 86_400

export interface NewServiceAccount extends ServiceAccountChanges {
  /** Absent: a ULID. */
  readonly id?: string | undefined
  /** Null: of the platform; absent: the caller's own tenant. */
  readonly tenantId?: string | null | undefined
  readonly scopes: ServiceAccount['scopes']
  /** `dotted`: three parts of hex digits, as OKM tokens look. */
  readonly secretForm?: 'dotted' | undefined
}

/** An account with the secret that is told only now. */
export interface AccountWithSecret {
  readonly account: ServiceAccount
  readonly secret: string
}

/** Administers the programs that may call. Accounts of the platform are there for its administrators only. */
export class ServiceAccountService {
  readonly #storage: Storage
  readonly #randomness: Randomness
  readonly #clock: Clock
  readonly #nextId: IdSource
  readonly #hasAdminToken: boolean

  constructor(dependencies: {
    storage: Storage
    randomness: Randomness
    clock: Clock
    nextId: IdSource
    /** True while the secret of the account `bootstrap` comes from the configuration. */
    hasAdminToken: boolean
  }) {
    this.#storage = dependencies.storage
    this.#randomness = dependencies.randomness
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
    this.#hasAdminToken = dependencies.hasAdminToken
  }

  /**
   * Makes an account and its secret.
   *
   * @throws DomainError `forbidden`, `not_grantable`, `invalid_request`; `tenant_not_found` with a pointer;
   * `already_exists` for an id or a certificate that is in use on this server.
   */
  async create(caller: Caller, draft: NewServiceAccount): Promise<AccountWithSecret> {
    caller.require('tenant:write')
    const tenantId = draft.tenantId === undefined ? caller.tenantId : draft.tenantId
    const id = draft.id ?? this.#nextId()
    requireGrant(caller, tenantId, draft.scopes)
    requireFit(draft, isPlainId(id))
    if (id === bootstrapAccountId && tenantId !== null) throw taken('id')

    const newSecret = draft.secretForm === 'dotted' ? newDottedSecret : newApiSecret
    const secret = newSecret(this.#randomness)
    const nowMs = this.#clock()
    const account: ServiceAccount = {
      id,
      ulid: this.#nextId(),
      tenantId,
      description: draft.description ?? '',
      scopes: draft.scopes,
      enabled: draft.enabled ?? true,
      expiresAtMs: draft.expiresAtMs ?? null,
      allowedAddresses: draft.allowedAddresses ?? [],
      certificateThumbprints: sortedUnique(draft.certificateThumbprints ?? []),
      createdAtMs: nowMs,
      updatedAtMs: nowMs,
      secretRotatedAtMs: nowMs,
      lastUsedAtMs: null,
    }
    await explainTaken(() =>
      this.#storage.transaction(async (stores) => {
        if (tenantId !== null) await requireTenant(stores, caller, tenantId)
        await stores.serviceAccounts.insert(account, sha256Hex(secret))
        await reportAccount(stores, caller, 'service-account.created', account, {
          scopes: account.scopes,
          enabled: account.enabled,
        })
      }),
    )
    return { account, secret }
  }

  /**
   * In order of creation: of the caller's tenant; platform administrators see all.
   *
   * @param filter.tenantId another tenant's, or one that is not there, gives an empty list.
   * @throws DomainError `forbidden`, `cursor_invalid`.
   */
  async list(
    caller: Caller,
    filter: PageRequest & { tenantId?: string | undefined; enabled?: boolean | undefined },
  ): Promise<Page<ServiceAccount>> {
    caller.require('tenant:read')
    const { limit, cursor, tenantId, enabled } = filter
    const scope = {
      list: 'service-accounts',
      tenantId: caller.tenantId,
      filters: { tenantId, enabled },
      nowMs: this.#clock(),
    }
    const [afterUlid] = decodeCursor(cursor, ['text'], scope) ?? ['']
    const isForeign =
      caller.tenantId !== null && tenantId !== undefined && tenantId !== caller.tenantId
    if (isForeign) return { items: [] }
    const rows = await this.#storage.read.serviceAccounts.list({
      tenantId: caller.tenantId ?? tenantId,
      includePlatform: caller.has('platform:admin'),
      enabled,
      afterUlid,
      limit: limit + 1,
    })
    return pageOf(
      rows,
      limit,
      scope,
      ({ ulid }) => [ulid],
      (account) => account,
    )
  }

  /** @throws DomainError `forbidden`; `account_not_found`, also for one that the caller may not see. */
  async get(caller: Caller, id: string): Promise<ServiceAccount> {
    caller.require('tenant:read')
    return this.getVisible(caller, id)
  }

  /**
   * The account if it is there for the caller; no scope is asked for.
   *
   * @throws DomainError `account_not_found`.
   */
  async getVisible(caller: Caller, id: string): Promise<ServiceAccount> {
    return visible(await this.#storage.read.serviceAccounts.find(id), caller)
  }

  /**
   * Changes what is named; it holds from the next request on.
   *
   * @throws DomainError `forbidden`, `account_not_found`, `not_grantable`, `invalid_request`; `already_exists` for a
   * certificate in use; `state_conflict` when no platform administrator would be left.
   */
  async update(
    caller: Caller,
    id: string,
    changes: ServiceAccountChanges,
  ): Promise<ServiceAccount> {
    caller.require('tenant:write')
    requireFit(changes, true)
    return explainTaken(() =>
      this.#storage.transaction(async (stores) => {
        const nowMs = this.#clock()
        const present = visible(await stores.serviceAccounts.find(id), caller)
        if (changes.scopes !== undefined) requireGrant(caller, present.tenantId, changes.scopes)
        await keepAdministrator(stores, present, { ...present, ...defined(changes) }, this.#rule())
        if (!(await stores.serviceAccounts.update(present, changes, nowMs))) throw notFound()
        await reportAccount(stores, caller, 'service-account.updated', present, {
          members: Object.keys(defined(changes)).sort(),
          ...(changes.scopes === undefined ? {} : { scopes: changes.scopes }),
          ...(changes.enabled === undefined ? {} : { enabled: changes.enabled }),
        })
        return visible(await stores.serviceAccounts.find(id), caller)
      }),
    )
  }

  /** @throws DomainError `forbidden`, `account_not_found`; `state_conflict` for the last platform administrator. */
  async delete(caller: Caller, id: string): Promise<void> {
    caller.require('tenant:write')
    await this.#storage.transaction(async (stores) => {
      const present = visible(await stores.serviceAccounts.find(id), caller)
      await keepAdministrator(stores, present, undefined, this.#rule())
      if (!(await stores.serviceAccounts.remove(present))) throw notFound()
      await reportAccount(stores, caller, 'service-account.deleted', present)
    })
  }

  /**
   * Replaces the secret.
   *
   * @param graceSeconds how long the old one stays valid. At 0 it ends at once, with the access tokens given for it.
   * @throws DomainError `forbidden`, `account_not_found`; `state_conflict` when somebody else did so at the same moment,
   * and while the account's secret comes from the configuration.
   */
  async rotateSecret(
    caller: Caller,
    id: string,
    { graceSeconds = 0 }: { graceSeconds?: number | undefined },
  ): Promise<AccountWithSecret> {
    caller.require('tenant:write')
    const graceMs = Math.min(Math.max(graceSeconds, 0), graceSecondsMax) * 1000
    const secret = newApiSecret(this.#randomness)
    const seen = await this.getVisible(caller, id)
    const seenHash = await this.#storage.read.serviceAccounts.findSecretHash(seen)
    if (seenHash === undefined) throw notFound()
    if (this.#isConfigured(seen)) {
      throw new DomainError('state_conflict', 'The secret of this account is set by configuration.')
    }
    const account = await this.#storage.transaction(async (stores) => {
      const nowMs = this.#clock()
      const present = visible(await stores.serviceAccounts.find(id), caller)
      const isRotated = await stores.serviceAccounts.rotateSecret(present, {
        seenHash,
        secretHash: sha256Hex(secret),
        previousValidUntilMs: graceMs === 0 ? null : nowMs + graceMs,
        nowMs,
      })
      if (!isRotated) {
        throw new DomainError('state_conflict', 'The secret was replaced at the same moment.')
      }
      await reportAccount(stores, caller, 'service-account.secret-rotated', present, {
        graceSeconds: graceMs / 1000,
      })
      return { ...present, updatedAtMs: nowMs, secretRotatedAtMs: nowMs }
    })
    return { account, secret }
  }

  /**
   * Sees to it that somebody can administer the platform; to be called at every start.
   *
   * @returns the account and its secret when they were made now, by this process.
   */
  async ensureAdministrator(): Promise<AccountWithSecret | undefined> {
    const secret = newApiSecret(this.#randomness)
    const fresh = { ulid: this.#nextId(), secretHash: sha256Hex(secret) }
    const account = await this.#storage.transaction((stores) =>
      ensureAdministrator(stores, fresh, this.#rule()),
    )
    return account && { account, secret }
  }

  #rule(): BootstrapRule {
    return { hasAdminToken: this.#hasAdminToken, nowMs: this.#clock() }
  }

  #isConfigured({ id, tenantId }: ServiceAccount): boolean {
    return this.#hasAdminToken && tenantId === null && id === bootstrapAccountId
  }
}

function visible(account: ServiceAccount | undefined, caller: Caller): ServiceAccount {
  const isThere =
    account !== undefined &&
    (caller.isPlatform
      ? account.tenantId !== null || caller.has('platform:admin')
      : account.tenantId === caller.tenantId)
  if (!isThere) throw notFound()
  return account
}

function requireGrant(
  caller: Caller,
  tenantId: string | null,
  scopes: ServiceAccount['scopes'],
): void {
  const isForeign = caller.tenantId !== null && tenantId !== null && tenantId !== caller.tenantId
  // Another tenant does not exist; that is said where tenants are looked up.
  if (!isForeign && !mayGrant(caller, tenantId, scopes)) {
    throw new DomainError('not_grantable', 'The caller may not grant these scopes.')
  }
}

async function requireTenant({ tenants }: Stores, caller: Caller, tenantId: string): Promise<void> {
  const isVisible = caller.isPlatform || caller.tenantId === tenantId
  if (isVisible && (await tenants.find(tenantId)) !== undefined) return
  throw new DomainError('tenant_not_found', 'No such tenant.', { pointer: '/tenantId' })
}

function requireFit(changes: ServiceAccountChanges, idFits: boolean): void {
  const faults = faultsOf(changes)
  if (!idFits) {
    const message = 'must be 1 to 64 letters, digits, . _ -'
    faults.push({ pointer: '/id', code: 'bad_format', message })
  }
  if (faults.length > 0) {
    throw new DomainError('invalid_request', 'The account is not well described.', { faults })
  }
}

async function explainTaken<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const place = takenKey(error)
    if (place === undefined) throw error
    throw taken(place.includes('certificate') ? 'certificate' : 'id')
  }
}

function taken(what: 'id' | 'certificate'): DomainError {
  return new DomainError('already_exists', `The ${what} is in use on this server.`)
}

function notFound(): DomainError {
  return new DomainError('account_not_found', 'No such service account.')
}

function sortedUnique(texts: readonly string[]): string[] {
  return [...new Set(texts)].sort()
}

function defined(changes: ServiceAccountChanges): Partial<ServiceAccount> {
  return Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined))
}
