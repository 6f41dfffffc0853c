import type { HashAlgorithm } from '@countersign/protocol/otp/hotp.ts'
import type { CandidateOwner, LockState } from './candidate-owner.ts'
import type { ListCandidate } from './list-candidate.ts'
import type { ProductWindows } from './policy.ts'

/** A token as one user holds it: everything that decides about a code. */
export interface TokenCandidate extends ProductWindows, CandidateOwner {
  readonly kind: 'token'
  readonly tokenId: string
  readonly serial: string
  readonly type: 'HOTP' | 'TOTP'
  readonly algorithm: HashAlgorithm
  readonly digits: number
  /** 0 for HOTP. */
  readonly periodSeconds: number
  readonly tokenStatus: string
  readonly sealedSecret: Uint8Array
  readonly nextCounter: number
  /** -1: no step was accepted yet. */
  readonly lastStep: number
  readonly driftSteps: number
  readonly assignmentStatus: string
  readonly pinHash: string | null
  readonly failureCount: number
  readonly lockedUntilMs: number | null
  readonly startsAtMs: number | null
  readonly expiresAtMs: number | null
  readonly usageLimit: number
  readonly useCount: number
  readonly priority: number
  readonly createdAtMs: number
}

/** Something whose code may be tried. */
export type Candidate = TokenCandidate | ListCandidate

/** A lock that has an end and has reached it is none. */
export function isLockedAt({ locked, untilMs }: LockState, nowMs: number): boolean {
  return locked && (untilMs === null || nowMs < untilMs)
}

export function assignmentLock(candidate: TokenCandidate): LockState {
  return { locked: candidate.assignmentStatus === 'LOCKED', untilMs: candidate.lockedUntilMs }
}

/** The lock of a candidate itself, its user's apart. */
export function lockOf(candidate: Candidate): LockState {
  if (candidate.kind === 'token') return assignmentLock(candidate)
  return { locked: candidate.lockedUntilMs !== null, untilMs: candidate.lockedUntilMs }
}

/** Why a token cannot be used at all now, whatever the code; undefined when it can (it may still be locked). */
export type Unusable =
  | 'token_not_active'
  | 'assignment_not_active'
  | 'not_yet_valid'
  | 'expired'
  | 'usage_limit_reached'

/** Contract section 4, rule 1. */
export function whyUnusable(candidate: TokenCandidate, nowMs: number): Unusable | undefined {
  if (candidate.tokenStatus !== 'ACTIVE') return 'token_not_active'
  if (candidate.assignmentStatus !== 'ACTIVE' && candidate.assignmentStatus !== 'LOCKED') {
    return 'assignment_not_active'
  }
  if (candidate.startsAtMs !== null && nowMs < candidate.startsAtMs) return 'not_yet_valid'
  if (candidate.expiresAtMs !== null && nowMs >= candidate.expiresAtMs) return 'expired'
  if (candidate.usageLimit > 0 && candidate.useCount >= candidate.usageLimit) {
    return 'usage_limit_reached'
  }
  return undefined
}

/** In order of trial: priority, then age. */
export function inOrderOfTrial(candidates: readonly TokenCandidate[]): TokenCandidate[] {
  return candidates.toSorted(
    (one, other) =>
      one.priority - other.priority ||
      one.createdAtMs - other.createdAtMs ||
      (one.tokenId < other.tokenId ? -1 : 1),
  )
}
