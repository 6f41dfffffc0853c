import type { JsonValue } from '@countersign/protocol/encoding/jcs.ts'
import type { Trial } from './evaluation.ts'
import type { VerificationContext } from './verification.ts'

const trialsToldMax = 10

/** How far an accepted code lay from the expected one: what a helpdesk needs to see a token drift. */
export function describeMatch({ finding }: Trial): JsonValue {
  return { expected: finding.expected, gap: finding.gap ?? null }
}

/** What a helpdesk needs to explain a refusal: windows searched, gaps, failures counted before. Locked tokens are not tried. No code, no PIN. */
export function describeTrials(tried: readonly Trial[]): JsonValue {
  return tried.slice(0, trialsToldMax).map(({ candidate, finding }) => ({
    serial: candidate.serial,
    type: candidate.type,
    finding: finding.kind,
    expected: finding.expected,
    windowFrom: finding.windowFrom,
    windowTo: finding.windowTo,
    gap: finding.gap ?? null,
    failureCount: candidate.failureCount,
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
