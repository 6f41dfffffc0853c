import type {
  AccessList,
  CabinetUser,
  LockPermission,
} from '@countersign/protocol/cabinet/access-list.ts'
import { foldSerial } from './cabinet.ts'

/** An access list as one of several that a cabinet carries. */
export interface SourceAcl {
  readonly id: string
  readonly writtenAtMs: number
  readonly users: readonly CabinetUser[]
  readonly locks: readonly string[]
}

interface MergingUser {
  readonly userId: number
  pinHash: string
  authTimeHours: number
  sounder: boolean
  sounderDelaySeconds: number | undefined
  sounderDurationSeconds: number
  sounderVolume: number
  readonly permissions: LockPermission[]
}

/**
 * What a cabinet with these access lists decides by (docs/contracts/okm.md, section 5). How the device combines several
 * lists is not published; a trace of a real one replaces this function and nothing else.
 */
export function mergeAcls(acls: readonly SourceAcl[]): AccessList {
  const foldedLocks = acls.map(({ locks }) => locks.map(foldSerial))
  const locks = [...new Set(foldedLocks.flat())].sort()
  const places = new Map(locks.map((lock, index) => [lock, index]))
  const users = new Map<number, MergingUser>()
  // The latest comes last, so that its PIN hash stays.
  const inOrder = acls
    .map((acl, index) => ({ acl, locks: foldedLocks[index] ?? [] }))
    .sort((one, other) => compareWritten(one.acl, other.acl))
  for (const source of inOrder) {
    const placesOfAcl = source.locks.map((lock) => places.get(lock) ?? 0)
    for (const user of source.acl.users) {
      const merging = users.get(user.userId) ?? newUser(user, locks.length)
      users.set(user.userId, merging)
      mergeUser(merging, user, placesOfAcl)
    }
  }
  const merged = [...users.values()].sort((one, other) => one.userId - other.userId)
  return {
    locks,
    users: merged.map((user) => ({ ...user, sounderDelaySeconds: user.sounderDelaySeconds ?? 0 })),
  }
}

function compareWritten(one: SourceAcl, other: SourceAcl): number {
  if (one.writtenAtMs !== other.writtenAtMs) return one.writtenAtMs - other.writtenAtMs
  return one.id < other.id ? -1 : 1
}

function newUser({ userId, pinHash, authTimeHours }: CabinetUser, lockCount: number): MergingUser {
  return {
    userId,
    pinHash,
    authTimeHours,
    sounder: false,
    sounderDelaySeconds: undefined,
    sounderDurationSeconds: 0,
    sounderVolume: 0,
    permissions: new Array<LockPermission>(lockCount).fill(0),
  }
}

function mergeUser(merging: MergingUser, user: CabinetUser, places: readonly number[]): void {
  merging.pinHash = user.pinHash
  merging.authTimeHours = Math.min(merging.authTimeHours, user.authTimeHours)
  if (user.sounder) {
    merging.sounder = true
    merging.sounderDelaySeconds = Math.min(
      merging.sounderDelaySeconds ?? user.sounderDelaySeconds,
      user.sounderDelaySeconds,
    )
  }
  merging.sounderDurationSeconds = Math.max(
    merging.sounderDurationSeconds,
    user.sounderDurationSeconds,
  )
  merging.sounderVolume = Math.max(merging.sounderVolume, user.sounderVolume)
  for (let index = 0; index < places.length; index++) {
    const place = places[index] ?? 0
    // Bit by bit, so that dual authorization (17) prevails over access (1).
    merging.permissions[place] = ((merging.permissions[place] ?? 0) |
      (user.permissions[index] ?? 0)) as LockPermission
  }
}
