import { createHash, hash } from 'node:crypto'

/** What a user may do at a lock: 0 nothing, 1 open it, 17 open it together with a second person. */
export type LockPermission = 0 | 1 | 17

/** A user as a key cabinet knows one. */
export interface CabinetUser {
  /** What is typed at the cabinet, 0 to 2^32 - 1. */
  readonly userId: number
  /** Letters and digits, in the form that the cabinet expects; how it is made is not published. */
  readonly pinHash: string
  /** 1, 4, 8, 12 or 24: how long a key that was taken opens locks. */
  readonly authTimeHours: number
  readonly sounder: boolean
  readonly sounderDelaySeconds: number
  readonly sounderDurationSeconds: number
  /** 0 off, 1 low, 2 normal. */
  readonly sounderVolume: number
  /** One for each lock of the list, in its order. */
  readonly permissions: readonly LockPermission[]
}

/** What a key cabinet decides by: the locks in ascending order, the users in ascending order of their number. */
export interface AccessList {
  /** Lower case. */
  readonly locks: readonly string[]
  readonly users: readonly CabinetUser[]
}

/*
 * The two digests by which server and cabinet find out whether they hold the same lists. Which bytes a cabinet hashes is
 * not published; this layout is the one of docs/contracts/okm.md, section 5. A trace of a real device replaces these two
 * functions and nothing else.
 */

/** SHA-256, lower-case hex, over the lock serials with LF between them. */
export function lockListDigest(locks: readonly string[]): string {
  return hash('sha256', locks.join('\n'), 'hex')
}

/** SHA-256, lower-case hex, over one row a user with LF between them. */
export function userListDigest(users: readonly CabinetUser[]): string {
  const digest = createHash('sha256')
  let separator = ''
  for (const user of users) {
    digest.update(`${separator}${digestRow(user)}`)
    separator = '\n'
  }
  return digest.digest('hex')
}

function digestRow(user: CabinetUser): string {
  return [
    user.userId,
    user.pinHash,
    user.authTimeHours,
    user.sounder ? 1 : 0,
    user.sounderDelaySeconds,
    user.sounderDurationSeconds,
    user.sounderVolume,
    user.permissions.join(','),
  ].join('|')
}
