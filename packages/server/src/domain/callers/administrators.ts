import { DomainError } from '../errors.ts'
import type { Stores } from '../storage.ts'
import { platformValueNames } from '../tenants/platform-bootstrap.ts'
import { reportAccount } from './account-report.ts'
import { Caller, platformTenantId } from './caller.ts'
import { bootstrapAccountId, type ServiceAccount } from './service-account.ts'
import { noSecretHash } from './service-account-store.ts'

/** Held by whoever checks and changes the set of platform administrators. */
const administratorsKey = {
  tenantId: platformTenantId,
  name: platformValueNames.administrators,
}

/** Where the first administrator's secret is. */
export interface BootstrapRule {
  /** True while it is in the configuration; what is stored for the account does not count then. */
  readonly hasAdminToken: boolean
  readonly nowMs: number
}

/**
 * Refuses a change after which no enabled platform administrator would be left. Two administrators that disable each other
 * at the same moment wait for each other here.
 *
 * @param after the account as it will be; undefined: gone.
 * @throws DomainError `state_conflict`.
 */
export async function keepAdministrator(
  { serviceAccounts, platformValues }: Stores,
  before: ServiceAccount,
  after: ServiceAccount | undefined,
  { hasAdminToken, nowMs }: BootstrapRule,
): Promise<void> {
  if (before.tenantId !== null || (after !== undefined && isAdministrator(after, nowMs))) return
  await platformValues.lock(administratorsKey)
  const trustedId = hasAdminToken ? bootstrapAccountId : undefined
  const others = { exceptId: before.id, trustedId, nowMs }
  if (await serviceAccounts.hasAdministrator(others)) return
  if (!(await serviceAccounts.hasAdministrator({ trustedId, nowMs }))) return
  throw new DomainError('state_conflict', 'The last platform administrator must stay.')
}

/**
 * Makes the first administrator, or gives its rights back when nobody else can administer the platform.
 *
 * @param fresh what a new account, and a secret if it needs one, are made of.
 * @returns the account when its secret is now the fresh one.
 */
export async function ensureAdministrator(
  stores: Stores,
  fresh: { readonly ulid: string; readonly secretHash: string },
  { hasAdminToken, nowMs }: BootstrapRule,
): Promise<ServiceAccount | undefined> {
  const { serviceAccounts, platformValues } = stores
  await platformValues.lock(administratorsKey)
  const present = await serviceAccounts.find(bootstrapAccountId)
  const trustedId = hasAdminToken ? bootstrapAccountId : undefined
  const isSafe = await serviceAccounts.hasAdministrator({ trustedId, nowMs })
  if (isSafe && (present !== undefined || !hasAdminToken)) return undefined

  const account = present ?? bootstrapAccount(fresh.ulid, nowMs)
  await (present === undefined ? make(stores, account) : revive(stores, account, nowMs))
  if (hasAdminToken) return undefined
  const seenHash = (await serviceAccounts.findSecretHash(account)) ?? ''
  const { secretHash } = fresh
  const change = { seenHash, secretHash, previousValidUntilMs: null, nowMs }
  await serviceAccounts.rotateSecret(account, change)
  return account
}

async function make(stores: Stores, account: ServiceAccount): Promise<void> {
  await stores.serviceAccounts.insert(account, noSecretHash + account.ulid)
  const { scopes, enabled } = account
  const detail = { scopes, enabled }
  await reportAccount(stores, Caller.system(), 'service-account.created', account, detail)
}

async function revive(stores: Stores, account: ServiceAccount, nowMs: number): Promise<void> {
  const scopes = [...new Set([...account.scopes, 'platform:admin' as const])]
  const changes = { scopes, enabled: true, expiresAtMs: null, allowedAddresses: [] }
  await stores.serviceAccounts.update(account, changes, nowMs)
  const detail = { members: Object.keys(changes).sort(), scopes, enabled: true }
  await reportAccount(stores, Caller.system(), 'service-account.updated', account, detail)
}

function bootstrapAccount(ulid: string, nowMs: number): ServiceAccount {
  return {
    id: bootstrapAccountId,
    ulid,
    tenantId: null,
    description: 'First administrator',
    scopes: ['platform:admin'],
    enabled: true,
    expiresAtMs: null,
    allowedAddresses: [],
    certificateThumbprints: [],
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
    secretRotatedAtMs: nowMs,
    lastUsedAtMs: null,
  }
}

function isAdministrator(account: ServiceAccount, nowMs: number): boolean {
  const { enabled, scopes, expiresAtMs } = account
  return (
    enabled && scopes.includes('platform:admin') && (expiresAtMs === null || expiresAtMs > nowMs)
  )
}
