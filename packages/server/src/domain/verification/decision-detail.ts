import type { JsonValue, PartialMembers } from '@countersign/protocol/encoding/jcs.ts'
import { positionAt } from '../otp-lists/code-tags.ts'
import { labelOf } from '../otp-lists/otp-list.ts'
import type { ListTrial, TokenTrial, Trial } from './evaluation.ts'
import type { VerificationContext } from './verification.ts'

const trialsToldMax = 10

/** How far an accepted code lay from the expected one: what a helpdesk needs to see a token drift. */
export function describeMatch(trial: Trial): JsonValue {
  if (trial.kind === 'token') {
    return { expected: trial.finding.expected, gap: trial.finding.gap ?? null }
  }
  const { list, slot } = trial.finding
  if (list === undefined || slot === undefined) return null
  return {
    method: trial.candidate.method,
    index: labelOf(list, positionAt(list.positions, slot)),
    gap: slot - (list.size - list.remaining),
  }
}

/** What a helpdesk needs to explain a refusal: windows searched, gaps, failures counted before. Locked tokens are not tried. No code, no PIN. */
export function describeTrials(tried: readonly Trial[]): JsonValue {
  return tried
    .slice(0, trialsToldMax)
    .map((trial) => (trial.kind === 'token' ? describeToken(trial) : describeList(trial)))
}

function describeToken({ candidate, finding }: TokenTrial): JsonValue {
  return {
    serial: candidate.serial,
    type: candidate.type,
    finding: finding.kind,
    expected: finding.expected,
    windowFrom: finding.windowFrom,
    windowTo: finding.windowTo,
    gap: finding.gap ?? null,
    failureCount: candidate.failureCount,
    pin: candidate.pinHash !== null,
  }
}

/** The code that was asked for, and how many codes were tried from there. */
function describeList({ candidate, finding }: ListTrial): JsonValue {
  const { method, failureCount, active, waiting, windowSize } = candidate
  const asked = active ?? waiting
  const expected = asked && asked.size - asked.remaining
  return {
    method,
    type: 'LIST',
    finding: finding.kind,
    list: finding.list?.id ?? asked?.id ?? null,
    expected:
      asked === undefined || expected === undefined || asked.remaining === 0
        ? null
        : labelOf(asked, positionAt(asked.positions, expected)),
    windowSize,
    failureCount,
  }
}

/** The caller's context, under names that cannot collide with ours. */
export function describeContext(context: VerificationContext | undefined): PartialMembers {
  if (context === undefined) return {}
  const { address: clientAddress, application, transactionId, userAgent } = context
  return { clientAddress, application, transactionId, userAgent }
}
