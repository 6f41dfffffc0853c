import { secretsEqual } from '#custody/secrets.ts'
import type { Caller } from '../callers/caller.ts'
import type { Stores } from '../storage.ts'
import {
  type Assignment,
  type AssignmentChanges,
  type AssignmentStatus,
  checkValidity,
  withinToken,
} from './assignment.ts'
import { type OtpToken, tokenTarget } from './otp-token.ts'

/** A change of one assignment of a held token. */
export interface AssignmentChange {
  readonly token: OtpToken
  readonly assignment: Assignment
  readonly changes: AssignmentChanges
  /** Undefined: the PIN stays; null: it is taken away. */
  readonly pinHash: string | null | undefined
  readonly nowMs: number
}

/**
 * Writes what differs, in the running transaction.
 *
 * @returns the names of the members that differ.
 * @throws DomainError `invalid_request` for a validity that ends before it begins.
 */
export async function applyChanges(
  { assignments }: Stores,
  { token, assignment, changes, pinHash, nowMs }: AssignmentChange,
): Promise<string[]> {
  const { startsAtMs, expiresAtMs, usageLimit, priority } = changes
  const validity = withinToken(token, {
    startsAtMs: startsAtMs === undefined ? assignment.startsAtMs : startsAtMs,
    expiresAtMs: expiresAtMs === undefined ? assignment.expiresAtMs : expiresAtMs,
  })
  const wanted = { ...validity, usageLimit, priority, pinHash }
  const differing: { [Name in keyof typeof wanted]?: (typeof wanted)[Name] } = {
    ...(validity.startsAtMs !== assignment.startsAtMs && { startsAtMs: validity.startsAtMs }),
    ...(validity.expiresAtMs !== assignment.expiresAtMs && { expiresAtMs: validity.expiresAtMs }),
    ...(usageLimit !== undefined && usageLimit !== assignment.usageLimit && { usageLimit }),
    ...(priority !== undefined && priority !== assignment.priority && { priority }),
    ...(pinHash !== undefined && !areSame(pinHash, assignment.pinHash) && { pinHash }),
  }
  const changed = Object.keys(differing).map((name) => memberNames[name] ?? name)
  if (changed.length > 0) {
    checkValidity(validity)
    await assignments.update(assignment, differing, nowMs)
  }
  if (changes.status !== undefined && mustMove(assignment, changes.status)) {
    await assignments.setStatus(assignment, changes.status, nowMs)
    if (assignment.status === 'LOCKED' && changes.status === 'ACTIVE') {
      await assignments.clearFailures(assignment, nowMs)
    }
    changed.push('status')
  }
  return changed
}

/** Records what `applyChanges` changed, if anything. */
export async function recordChanges(
  { journal }: Stores,
  caller: Caller,
  { assignment: { tenantId, tokenId, userId }, changes: { status } }: AssignmentChange,
  changed: readonly string[],
): Promise<void> {
  if (changed.length === 0) return
  await journal.append(caller, tenantId, {
    action: 'otp-token.assignment-updated',
    target: tokenTarget(tokenId),
    userId,
    detail: { changed, ...(status !== undefined && { status }) },
  })
}

/** As the contract calls them, not by what is stored. */
const memberNames: Readonly<Record<string, string>> = {
  startsAtMs: 'startsAt',
  expiresAtMs: 'expiresAt',
  pinHash: 'pin',
}

function areSame(one: string | null, other: string | null): boolean {
  return one === null || other === null ? one === other : secretsEqual(one, other)
}

/** A lock that would end by itself becomes one that does not. */
function mustMove({ status, lockReason }: Assignment, wanted: AssignmentStatus): boolean {
  if (status !== wanted) return true
  return wanted === 'LOCKED' && lockReason !== 'ADMINISTRATOR'
}
