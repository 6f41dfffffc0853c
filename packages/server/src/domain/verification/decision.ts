import type { Evaluation } from './evaluation.ts'
import type { Subject } from './subject.ts'
import type { MatchedCredential, Verification, VerificationReason } from './verification.ts'

/** An outcome without the record that will report it. */
export type Decision = Omit<Verification, 'auditId'>

const undecided = {
  reason: undefined,
  credential: undefined,
  retryAfterSeconds: undefined,
  lockedUntilMs: undefined,
  attemptsLeft: undefined,
  unusable: undefined,
} as const

export function accepted(userId: string, credential: MatchedCredential): Decision {
  return { ...undecided, result: 'ACCEPTED', userId, credential }
}

export function rejected(
  userId: string | undefined,
  reason: VerificationReason,
  attemptsLeft: number | undefined,
): Decision {
  return {
    ...undecided,
    result: reason === 'OUT_OF_SYNC' ? 'RESYNC_REQUIRED' : 'REJECTED',
    reason,
    userId,
    attemptsLeft:
      attemptsLeft === undefined || !Number.isFinite(attemptsLeft) ? undefined : attemptsLeft,
  }
}

export function locked(
  { userId }: Subject,
  reason: VerificationReason,
  untilMs: number | null,
  nowMs: number,
): Decision {
  return {
    ...undecided,
    result: 'LOCKED',
    reason,
    userId,
    retryAfterSeconds:
      untilMs === null ? undefined : Math.max(1, Math.ceil((untilMs - nowMs) / 1000)),
    lockedUntilMs: untilMs ?? undefined,
  }
}

export function noCredential(
  { userId }: Subject,
  { reason, unusable }: Extract<Evaluation, { kind: 'no_credential' }>,
): Decision {
  return { ...undecided, result: 'NO_CREDENTIAL', reason, userId, unusable }
}
