import type { JsonValue } from '@countersign/protocol/encoding/jcs.ts'
import { assignmentLock, isLockedAt } from './candidate.ts'
import type { Trial } from './evaluation.ts'
import type { VerificationContext } from './verification.ts'

const trialsToldMax = 10

/** What a helpdesk needs to explain a decision: windows searched, gaps, lock state. No code, no PIN. */
export function describeTrials(tried: readonly Trial[], nowMs: number): JsonValue {
  return tried.slice(0, trialsToldMax).map(({ candidate, finding }) => ({
    serial: candidate.serial,
    type: candidate.type,
    finding: finding.kind,
    expected: finding.expected,
    windowFrom: finding.windowFrom,
    windowTo: finding.windowTo,
    gap: finding.gap ?? null,
    failureCount: candidate.failureCount,
    locked: isLockedAt(assignmentLock(candidate), nowMs),
    pin: candidate.pinHash !== null,
  }))
}

/** The caller's context, under names that cannot collide with ours. */
export function describeContext(context: VerificationContext | undefined): {
  [name: string]: JsonValue
} {
  if (context === undefined) return {}
  const { address, application, transactionId, userAgent } = context
  return {
    ...(address === undefined ? {} : { clientAddress: address }),
    ...(application === undefined ? {} : { application }),
    ...(transactionId === undefined ? {} : { transactionId }),
    ...(userAgent === undefined ? {} : { userAgent }),
  }
}
