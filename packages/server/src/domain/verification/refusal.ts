import { tellOfUserId } from '../users/user-events.ts'
import type { Candidate } from './candidate.ts'
import { type Decision, rejected } from './decision.ts'
import type { Trial } from './evaluation.ts'
import type { FailureCount } from './failure-store.ts'
import { type Scene, whyNotSpent } from './scene.ts'
import type { VerificationReason } from './verification.ts'

/** Counts one failure for each candidate tried and for the user; locks where the limit is reached. */
export async function refuse(
  scene: Scene,
  tried: readonly Trial[],
  reason: VerificationReason,
): Promise<Decision> {
  const { stores, tenantId, policy, nowMs } = scene
  const { lockout } = policy
  let attemptsLeft = Number.POSITIVE_INFINITY
  for (const { candidate } of inLockOrder(tried)) {
    const left = await failCandidate(scene, candidate)
    if (left !== undefined) attemptsLeft = Math.min(attemptsLeft, left)
  }
  const first = tried[0]?.candidate
  if (first === undefined) throw new Error('A refusal without a candidate.')
  // Others used up the attempts in the same moment: nothing is told about the code any more.
  if (!Number.isFinite(attemptsLeft)) return whyNotSpent(scene, first)
  const { userId } = first
  const limit = { failuresMax: lockout.userMaxFailures, lockSeconds: lockout.userLockSeconds }
  const count = await stores.failures.failUser(tenantId, userId, nowMs, limit)
  if (count === undefined) return whyNotSpent(scene, first)
  if (lockout.userMaxFailures > 0) {
    attemptsLeft = Math.min(attemptsLeft, leftOf(lockout.userMaxFailures, count))
  }
  if (count.lockedNow) {
    const target = { type: 'user', id: userId }
    await recordLock(scene, { action: 'user.locked', target, userId, count })
    await tellOfUserId(stores, 'user.locked', { tenantId, userId, nowMs })
  }
  return rejected(userId, reason, attemptsLeft)
}

/** @returns the failures that are left until the lock; undefined when it is locked already. */
async function failCandidate(scene: Scene, candidate: Candidate): Promise<number | undefined> {
  const { stores, policy, nowMs } = scene
  const { userId } = candidate
  if (candidate.kind === 'token') {
    const { tokenMaxFailures: failuresMax, tokenLockSeconds: lockSeconds } = policy.lockout
    const limit = { failuresMax, lockSeconds }
    const count = await stores.failures.failAssignment(candidate, nowMs, limit)
    if (count?.lockedNow === true) {
      const target = { type: 'otp-token', id: candidate.tokenId }
      await recordLock(scene, { action: 'otp-token.locked', target, userId, count })
    }
    return count && leftOf(failuresMax, count)
  }
  const count = await stores.listSpending.fail(candidate, nowMs)
  if (count?.lockedNow === true) {
    const target = { type: 'otp-list-method', id: candidate.method }
    await recordLock(scene, { action: 'otp-list.locked', target, userId, count })
  }
  return count && leftOf(candidate.maxFailures, count)
}

async function recordLock(
  { stores, caller, tenantId }: Scene,
  lock: {
    action: string
    target: { type: string; id: string }
    userId: string
    count: FailureCount
  },
): Promise<void> {
  const { action, target, userId, count } = lock
  await stores.journal.append(caller, tenantId, {
    action,
    target,
    userId,
    detail: {
      reason: 'FAILURES',
      failureCount: count.failureCount,
      lockedUntil: count.lockedUntilMs,
    },
  })
}

function leftOf(failuresMax: number, { failureCount }: FailureCount): number {
  return Math.max(0, failuresMax - failureCount)
}

/** The order in which rows are written, the same for all, so that no two attempts wait for each other. */
function inLockOrder(tried: readonly Trial[]): Trial[] {
  return tried.toSorted((one, other) => (rowOf(one) < rowOf(other) ? -1 : 1))
}

/** Tokens first, then lists. */
function rowOf({ candidate }: Trial): string {
  return candidate.kind === 'token' ? `1${candidate.tokenId}` : `2${candidate.methodId}`
}
