import { type Identifier, isStoredScheme, normalIdentifierValue } from './identifier.ts'
import {
  characterCount,
  isEmail,
  isUserId,
  MemberCheck,
  nameCharactersMax,
  normalLoginName,
} from './name-text.ts'

export type UserStatus = 'ACTIVE' | 'DISABLED'

/** A lock over all credentials of a user. */
export interface UserLock {
  readonly lockedAtMs: number
  /** Null: until unlocked. */
  readonly untilMs: number | null
  readonly reason: 'FAILURES' | 'ADMINISTRATOR'
}

/** What is known of a user and decides nothing. */
export interface UserAttributes {
  readonly displayName: string | null
  readonly email: string | null
  readonly firstName: string | null
  readonly lastName: string | null
  readonly mobile: string | null
  readonly telephone: string | null
  readonly canonicalName: string | null
  readonly principalName: string | null
  readonly description: string | null
  /** A label that users may share; Keyless calls it the external user. */
  readonly keylessExternalId: string | null
}

/** Somebody whose codes and approvals are checked. */
export interface User extends UserAttributes {
  readonly tenantId: string
  /** Chosen by the caller, else the ULID. */
  readonly id: string
  readonly ulid: string
  /** Name of the domain. */
  readonly domain: string
  readonly loginName: string
  readonly status: UserStatus
  readonly lock: UserLock | null
  /** Failures that count now, over all credentials. */
  readonly failureCount: number
  /** In order of scheme and value. */
  readonly identifiers: readonly Identifier[]
  readonly createdAtMs: number
  readonly updatedAtMs: number
  readonly lastLoginAtMs: number | null
  readonly lastAuthenticatedAtMs: number | null
}

/** Members that may be changed; absent ones stay. */
export interface UserChanges extends Partial<UserAttributes> {
  readonly domain?: string
  readonly loginName?: string
  readonly status?: UserStatus
  /** Kept as a slow salted hash and never read back. */
  readonly password?: string
  /** True: the user's own failures and lock are forgotten; those of single credentials stay. */
  readonly clearFailures?: boolean
  /** True: the user is locked until unlocked, by an administrator. */
  readonly lock?: boolean
}

export interface UserDraft extends Omit<UserChanges, 'clearFailures'> {
  readonly id?: string
  readonly loginName: string
  readonly identifiers?: readonly Identifier[]
}

/** A failure count and lock as they are stored. */
export interface Lockout {
  readonly failureCount: number
  readonly lockedAtMs: number | null
  readonly untilMs: number | null
  readonly reason: string | null
}

/** As it counts at a moment: a timed lock that has ended is none, and its failures are forgotten. */
export function lockoutAt(
  lockout: Lockout,
  nowMs: number,
): { lock: UserLock | null; failureCount: number } {
  const { lockedAtMs, untilMs, failureCount } = lockout
  if (lockedAtMs === null) return { lock: null, failureCount }
  if (untilMs !== null && untilMs <= nowMs) return { lock: null, failureCount: 0 }
  const reason = lockout.reason === 'ADMINISTRATOR' ? 'ADMINISTRATOR' : 'FAILURES'
  return { lock: { lockedAtMs, untilMs, reason }, failureCount }
}

/** The name that is shown: as given, else first and last name. */
export function shownName(names: {
  displayName: string | null
  firstName: string | null
  lastName: string | null
}): string | null {
  if (names.displayName !== null) return names.displayName
  const joined = [names.firstName, names.lastName].filter((name) => name !== null).join(' ')
  if (joined === '') return null
  return characterCount(joined) <= nameCharactersMax
    ? joined
    : [...joined].slice(0, nameCharactersMax).join('')
}

const identifiersPerDraftMax = 50
/** Longer ones cost time and protect nobody better. */
const passwordUnitsMax = 1024

/** The names of a draft as they are stored. */
export interface CheckedNames {
  readonly loginName: string | undefined
  readonly identifiers: readonly Identifier[]
}

/** @throws DomainError `invalid_request` naming every member that cannot be kept. */
export function checkUserDraft(draft: UserDraft): CheckedNames {
  const check = new MemberCheck()
  if (draft.id !== undefined && !isUserId(draft.id)) {
    check.add(
      '/id',
      'bad_format',
      `must be 1 to ${nameCharactersMax} characters in Unicode NFC without blanks, control characters and / \\ ? # %`,
    )
  }
  const loginName = checkMembers(check, draft)
  const identifiers = checkIdentifiers(check, draft.identifiers ?? [])
  check.finish()
  return { loginName, identifiers }
}

/** @throws DomainError `invalid_request` naming every member that cannot be kept. */
export function checkUserChanges(changes: UserChanges): { loginName: string | undefined } {
  const check = new MemberCheck()
  const loginName = checkMembers(check, changes)
  check.finish()
  return { loginName }
}

/** @throws DomainError `invalid_request`. @returns the identifier in normal form. */
export function checkIdentifier(identifier: Identifier): Identifier {
  const check = new MemberCheck()
  const value = checkedValue(check, identifier, '')
  if (value === undefined) throw check.refusal()
  return { scheme: identifier.scheme, value }
}

function checkMembers(check: MemberCheck, changes: UserChanges): string | undefined {
  check.text('/displayName', changes.displayName)
  check.text('/firstName', changes.firstName)
  check.text('/lastName', changes.lastName)
  check.text('/mobile', changes.mobile)
  check.text('/telephone', changes.telephone)
  check.text('/canonicalName', changes.canonicalName)
  check.text('/principalName', changes.principalName)
  check.text('/description', changes.description)
  check.text('/keylessExternalId', changes.keylessExternalId)
  if (typeof changes.email === 'string' && !isEmail(changes.email)) {
    check.add('/email', 'bad_format', 'must be an email address')
  }
  const { password } = changes
  if (password !== undefined && (password === '' || password.length > passwordUnitsMax)) {
    check.add('/password', 'out_of_range', `must have 1 to ${passwordUnitsMax} characters`)
  }
  if (changes.loginName === undefined) return undefined
  const loginName = normalLoginName(changes.loginName)
  if (loginName === undefined) {
    check.add(
      '/loginName',
      'bad_format',
      `must be 1 to ${nameCharactersMax} characters without control characters and backslash`,
    )
  }
  return loginName
}

function checkIdentifiers(check: MemberCheck, identifiers: readonly Identifier[]): Identifier[] {
  if (identifiers.length > identifiersPerDraftMax) {
    check.add('/identifiers', 'out_of_range', `must have at most ${identifiersPerDraftMax} entries`)
    return []
  }
  return identifiers.flatMap((identifier, index) => {
    const value = checkedValue(check, identifier, `/identifiers/${index}`)
    return value === undefined ? [] : [{ scheme: identifier.scheme, value }]
  })
}

function checkedValue(
  check: MemberCheck,
  identifier: Identifier,
  pointer: string,
): string | undefined {
  if (!isStoredScheme(identifier.scheme)) {
    check.add(`${pointer}/scheme`, 'bad_format', 'must be the name of a scheme other than id')
    return undefined
  }
  const value = normalIdentifierValue(identifier)
  if (value === undefined) {
    check.add(`${pointer}/value`, 'bad_format', `must be a value of scheme ${identifier.scheme}`)
  }
  return value
}
