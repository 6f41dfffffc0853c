import type { TokenCandidate } from './candidate.ts'
import type { Evaluation } from './evaluation.ts'
import type { Subject } from './subject.ts'
import type { Verification, VerificationReason } from './verification.ts'

/** An outcome without the record that will report it. */
export type Decision = Omit<Verification, 'auditId'>

export function accepted(candidate: TokenCandidate): Decision {
  return {
    result: 'ACCEPTED',
    reason: undefined,
    userId: candidate.userId,
    credential: { tokenId: candidate.tokenId, serial: candidate.serial },
    retryAfterSeconds: undefined,
    attemptsLeft: undefined,
    unusable: undefined,
  }
}

export function rejected(
  userId: string | undefined,
  reason: VerificationReason,
  attemptsLeft: number | undefined,
): Decision {
  return {
    result: reason === 'OUT_OF_SYNC' ? 'RESYNC_REQUIRED' : 'REJECTED',
    reason,
    userId,
    credential: undefined,
    retryAfterSeconds: undefined,
    attemptsLeft:
      attemptsLeft === undefined || !Number.isFinite(attemptsLeft) ? undefined : attemptsLeft,
    unusable: undefined,
  }
}

export function locked(
  { userId }: Subject,
  reason: VerificationReason,
  untilMs: number | null,
  nowMs: number,
): Decision {
  return {
    result: 'LOCKED',
    reason,
    userId,
    credential: undefined,
    retryAfterSeconds:
      untilMs === null ? undefined : Math.max(1, Math.ceil((untilMs - nowMs) / 1000)),
    attemptsLeft: undefined,
    unusable: undefined,
  }
}

export function noCredential(
  { userId }: Subject,
  { reason, unusable }: Extract<Evaluation, { kind: 'no_credential' }>,
): Decision {
  return {
    result: 'NO_CREDENTIAL',
    reason,
    userId,
    credential: undefined,
    retryAfterSeconds: undefined,
    attemptsLeft: undefined,
    unusable,
  }
}
