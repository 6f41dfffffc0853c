import type { Randomness } from '#custody/randomness.ts'
import type { Caller } from '../callers/caller.ts'
import { DomainError } from '../errors.ts'
import type { Stores } from '../storage.ts'
import type { IdSource } from '../ulid.ts'
import { onceOnlyScheme } from '../users/identifier.ts'
import { newUser } from '../users/user-store.ts'
import { DeviceRefusal } from './device-refusal.ts'
import type { EnrolmentCode } from './enrolment-code-store.ts'

const keylessIdBytes = 32
const externalScheme = 'external'

interface Making {
  readonly stores: Stores
  readonly caller: Caller
  readonly nextId: IdSource
  readonly randomness: Randomness
  readonly nowMs: number
}

/**
 * The user whom a code is for, held until the transaction ends: the one that it names, one that is adopted by external
 * id, or a new one (platform.md, section 3). Whoever enrols gets a Keyless id, if there was none.
 *
 * @throws DeviceRefusal `code_invalid` when the user is gone; `user_disabled`.
 */
export async function holdCodeUser(code: EnrolmentCode, making: Making): Promise<string> {
  const { stores, nowMs } = making
  const { tenantId } = code
  const known = code.userId ?? (await findAdopted(stores, code))
  const userId = known ?? (await makeUser(code, making))
  if (!(await stores.users.hold(tenantId, userId))) throw new DeviceRefusal('code_invalid')
  const user = await stores.userViews.find(tenantId, userId, nowMs)
  if (user?.status !== 'ACTIVE') throw new DeviceRefusal('user_disabled')
  const hasKeylessId = user.identifiers.some(({ scheme }) => scheme === onceOnlyScheme)
  if (!hasKeylessId) await giveKeylessId(tenantId, userId, making)
  return userId
}

/** The holder of the external id, unless Keyless knows that user already. */
async function findAdopted(
  stores: Stores,
  { tenantId, externalUserId }: EnrolmentCode,
): Promise<string | undefined> {
  if (externalUserId === null) return undefined
  const identifier = { scheme: externalScheme, value: externalUserId }
  const userId = await stores.userResolver.findUserId(tenantId, identifier)
  if (userId === undefined) return undefined
  const identifiers = await stores.userIdentifiers.listOf(tenantId, userId)
  return identifiers.some(({ scheme }) => scheme === onceOnlyScheme) ? undefined : userId
}

async function makeUser(
  { tenantId, externalUserId }: EnrolmentCode,
  { stores, caller, nextId, nowMs }: Making,
): Promise<string> {
  const home = await stores.userDomains.holdDefault(tenantId)
  if (home === undefined) throw new DomainError('tenant_not_found', 'No such tenant.')
  const ulid = nextId()
  const loginName = ulid.toLowerCase()
  const draft = {
    loginName,
    ...(externalUserId === null ? {} : { keylessExternalId: externalUserId }),
  }
  const user = newUser(tenantId, draft, {
    id: ulid,
    ulid,
    domainKey: home.key,
    loginName,
    passwordHash: null,
    createdAtMs: nowMs,
  })
  if (!(await stores.users.insert(user))) throw new Error('A new ULID is taken.')
  await stores.journal.append(caller, tenantId, {
    action: 'user.created',
    target: { type: 'user', id: ulid },
    userId: ulid,
    detail: { domain: home.name, loginName, reason: 'ENROLMENT' },
  })
  return ulid
}

async function giveKeylessId(
  tenantId: string,
  userId: string,
  { stores, randomness }: Making,
): Promise<void> {
  const value = Buffer.from(randomness(keylessIdBytes)).toString('hex').toUpperCase()
  const identifier = { scheme: onceOnlyScheme, value }
  if (!(await stores.userIdentifiers.insert(tenantId, userId, identifier))) {
    throw new Error('A new Keyless id is taken.')
  }
}
