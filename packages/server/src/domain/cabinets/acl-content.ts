import type { CabinetUser, LockPermission } from '@countersign/protocol/cabinet/access-list.ts'
import type { Place } from '#custody/vault.ts'

/** The part of an access list that is sealed. */
export interface AclContent {
  readonly users: readonly CabinetUser[]
  readonly locks: readonly string[]
}

type StoredUser = readonly [
  userId: number,
  pinHash: string,
  authTimeHours: number,
  sounder: 0 | 1,
  sounderDelaySeconds: number,
  sounderDurationSeconds: number,
  sounderVolume: number,
  /** A character for each lock. */
  permissions: string,
]

interface StoredContent {
  readonly locks: readonly string[]
  readonly users: readonly StoredUser[]
}

/** Dual authorization; 0 and 1 are spelt as they are. */
const dualLetter = 'd'

/**
 * Where the content of an access list is bound to. It is sealed as a whole: PIN hashes are credentials that must be handed
 * to cabinets as they are, and a hash of four to six digits, by an algorithm that is no secret to its maker, is as good as
 * the PIN to whoever finds it in a database.
 */
export function aclContentPlace(tenantId: string, aclId: string): Place {
  return { tenantId, table: 'cabinet_acl', row: aclId, column: 'sealed_content' }
}

export function encodeAclContent({ users, locks }: AclContent): Uint8Array {
  const stored: StoredContent = { locks, users: users.map(asStored) }
  return Buffer.from(JSON.stringify(stored))
}

/** @param bytes as {@link encodeAclContent} wrote them. */
export function decodeAclContent(bytes: Uint8Array): AclContent {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
  const { locks, users } = JSON.parse(text) as StoredContent
  return { locks, users: users.map(asUser) }
}

function asStored(user: CabinetUser): StoredUser {
  let permissions = ''
  for (const value of user.permissions) permissions += value === 17 ? dualLetter : String(value)
  return [
    user.userId,
    user.pinHash,
    user.authTimeHours,
    user.sounder ? 1 : 0,
    user.sounderDelaySeconds,
    user.sounderDurationSeconds,
    user.sounderVolume,
    permissions,
  ]
}

function asUser(stored: StoredUser): CabinetUser {
  const [userId, pinHash, authTimeHours, sounder, delay, duration, volume, letters] = stored
  const permissions = new Array<LockPermission>(letters.length)
  for (let index = 0; index < letters.length; index++) {
    const letter = letters[index]
    permissions[index] = letter === dualLetter ? 17 : letter === '1' ? 1 : 0
  }
  return {
    userId,
    pinHash,
    authTimeHours,
    sounder: sounder === 1,
    sounderDelaySeconds: delay,
    sounderDurationSeconds: duration,
    sounderVolume: volume,
    permissions,
  }
}
