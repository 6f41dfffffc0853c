import type { Caller } from '../callers/caller.ts'
import type { Stores } from '../storage.ts'
import { type Candidate, isLockedAt, lockOf } from './candidate.ts'
import { type Decision, locked, rejected } from './decision.ts'
import type { VerificationPolicy } from './policy.ts'
import type { Subject } from './subject.ts'
import type { VerificationRequest } from './verification.ts'

/** One attempt, in the transaction that decides about it. */
export interface Scene {
  readonly stores: Stores
  readonly caller: Caller
  readonly tenantId: string
  readonly request: VerificationRequest
  readonly policy: VerificationPolicy
  readonly nowMs: number
  readonly subject: Subject
}

/** Somebody else was faster: with the same code, or with enough wrong ones to lock. */
export async function whyNotSpent(
  scene: Scene,
  candidate: Candidate | undefined,
): Promise<Decision> {
  const { nowMs, subject } = scene
  const now = candidate === undefined ? undefined : await findAgain(scene, candidate)
  if (now !== undefined && isLockedAt(now.userLock, nowMs)) {
    return locked(subject, 'USER_LOCKED', now.userLock.untilMs, nowMs)
  }
  if (now !== undefined && isLockedAt(lockOf(now), nowMs)) {
    return locked(subject, 'CREDENTIAL_LOCKED', now.lockedUntilMs, nowMs)
  }
  return rejected(subject.userId, 'REPLAYED', undefined)
}

async function findAgain(
  { stores, tenantId, nowMs }: Scene,
  candidate: Candidate,
): Promise<Candidate | undefined> {
  if (candidate.kind === 'token') return stores.candidates.findHeld(tenantId, candidate)
  const held = await stores.listCandidates.listHeldBy(tenantId, candidate.userId, nowMs)
  return held.find(({ methodId }) => methodId === candidate.methodId)
}
