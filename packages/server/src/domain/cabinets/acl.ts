import type { CabinetUser } from '@countersign/protocol/cabinet/access-list.ts'
import { MemberCheck } from '../users/name-text.ts'
import type { JsonObject } from './cabinet.ts'
import { checkObject, foldSerial, isCabinetId, isSerial } from './cabinet.ts'

/** What a customer writes: who may open which locks. */
export interface AclDraft {
  readonly id: string
  readonly users: readonly CabinetUser[]
  /** Strictly ascending in lower case; given back as they were written. */
  readonly locks: readonly string[]
  readonly userData: JsonObject
}

/** A list that gets an id if it has none. */
export type NewAcl = Omit<AclDraft, 'id'> & { readonly id?: string | undefined }

/** A stored access list. `pinHash` of its users is a credential. */
export interface Acl extends AclDraft {
  readonly tenantId: string
  readonly writtenAtMs: number
}

/** An access list that a cabinet carries. */
export interface AclLink {
  readonly tenantId: string
  /** ULID. */
  readonly id: string
  readonly aclId: string
  readonly cabinetId: string
}

export const aclUsersMax = 10_000
export const aclLocksMax = 10_000
/** Users times locks, of one list and of all that a cabinet carries together: what a server can merge and a cabinet hold. */
export const permissionsMax = 4_000_000
export const aclsPerCabinetMax = 100
/** Of users, and of locks, that a cabinet carries, however few of the others there are. */
export const rowsPerCabinetMax = 100_000

const userIdMax = 0xffff_ffff
const pinHashPattern = /^[0-9A-Za-z]{1,128}$/
const faultsMax = 100

/** @throws DomainError `invalid_request`, with pointers in the members' names of the OKM contract. */
export function checkAcl(draft: AclDraft): void {
  const check = new MemberCheck()
  const { users, locks } = draft
  if (!isCabinetId(draft.id)) check.add('/id', 'bad_format', 'must be 1 to 128 characters')
  checkObject(check, '/user_data', draft.userData)
  if (users.length > aclUsersMax) check.add('/users', 'out_of_range', 'must have at most 10000')
  if (locks.length > aclLocksMax) check.add('/locks', 'out_of_range', 'must have at most 10000')
  if (users.length * locks.length > permissionsMax) {
    check.add('/users', 'out_of_range', `users times locks must be at most ${permissionsMax}`)
  }
  check.finish()
  checkLocks(check, locks)
  checkUsers(check, users, locks.length)
  check.finish()
}

function checkLocks(check: MemberCheck, locks: readonly string[]): void {
  if (!locks.every(isSerial)) check.add('/locks', 'bad_format', 'must be serials')
  const folded = locks.map(foldSerial)
  const isAscending = folded.every((lock, index) => index === 0 || lock > (folded[index - 1] ?? ''))
  if (!isAscending) check.add('/locks', 'bad_format', 'must be strictly ascending')
}

function checkUsers(check: MemberCheck, users: readonly CabinetUser[], lockCount: number): void {
  const seen = new Set<number>()
  let faultCount = 0
  for (const [index, user] of users.entries()) {
    for (const [member, code, message] of userFaults(user, lockCount)) {
      check.add(`/users/${index}/${member}`, code, message)
      faultCount++
    }
    if (seen.has(user.userId)) {
      check.add(`/users/${index}/user_id`, 'not_unique', 'must be unique')
      faultCount++
    }
    seen.add(user.userId)
    if (faultCount >= faultsMax) return
  }
}

function userFaults(user: CabinetUser, lockCount: number): (readonly [string, string, string])[] {
  const faults: (readonly [string, string, string])[] = []
  const range = (member: string, value: number, max: number): void => {
    if (Number.isInteger(value) && value >= 0 && value <= max) return
    faults.push([member, 'out_of_range', `must be between 0 and ${max}`])
  }
  range('user_id', user.userId, userIdMax)
  if (!pinHashPattern.test(user.pinHash)) {
    faults.push(['pin_hash', 'bad_format', 'must be 1 to 128 letters and digits'])
  }
  if (![1, 4, 8, 12, 24].includes(user.authTimeHours)) {
    faults.push(['auth_time', 'out_of_range', 'must be 1, 4, 8, 12 or 24'])
  }
  range('sounder_delay', user.sounderDelaySeconds, 120)
  range('sounder_duration', user.sounderDurationSeconds, 255)
  range('sounder_volume', user.sounderVolume, 2)
  if (user.permissions.length !== lockCount) {
    faults.push(['permissions', 'bad_format', 'length must equal locks length'])
  } else if (!user.permissions.every((value) => value === 0 || value === 1 || value === 17)) {
    faults.push(['permissions', 'out_of_range', 'must be 0, 1 or 17'])
  }
  return faults
}
