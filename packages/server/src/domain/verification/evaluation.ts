import { totpStep } from '@countersign/protocol/otp/totp.ts'
import { assignmentLock, isLockedAt, type TokenCandidate, whyUnusable } from './candidate.ts'
import { type VerificationPolicy, windowsOf } from './policy.ts'
import { searchAccepted, searchBeyond, type TokenFinding } from './token-search.ts'
import type { UnusableReason, VerificationReason } from './verification.ts'

/** Opens a candidate's secret. */
export type OpenSecret = (candidate: TokenCandidate) => Promise<Uint8Array>

/** The code as typed for one candidate: PIN and code apart. */
export interface TypedCode {
  readonly code: string
  readonly pin: string | undefined
}

/** One candidate whose code was computed. */
export interface Trial {
  readonly candidate: TokenCandidate
  readonly finding: TokenFinding
  readonly typed: TypedCode
}

/** What the computation says, before anything is spent or counted. */
export type Evaluation =
  | {
      readonly kind: 'no_credential'
      readonly reason: VerificationReason
      readonly unusable?: UnusableReason
    }
  | {
      readonly kind: 'locked'
      readonly reason: VerificationReason
      readonly untilMs: number | null
    }
  | {
      readonly kind: 'matched'
      readonly trial: Trial
      readonly position: number
      readonly tried: readonly Trial[]
    }
  | { readonly kind: 'unmatched'; readonly tried: readonly Trial[] }

export interface Attempt {
  /** Normalised; undefined for a text that no credential could show. */
  readonly code: string | undefined
  readonly pin: string | undefined
  readonly pinMayLead: boolean
  readonly nowMs: number
}

/** No token shows this, so every window is computed for it in vain. */
const impossibleCode = ''

/** Rules 1 to 3 of platform.md, section 4, for candidates of one user in their order of trial. */
export async function evaluate(
  candidates: readonly TokenCandidate[],
  attempt: Attempt,
  policy: VerificationPolicy,
  openSecret: OpenSecret,
): Promise<Evaluation> {
  const [first] = candidates
  if (first === undefined) return { kind: 'no_credential', reason: 'NO_USABLE_CREDENTIAL' }
  if (first.userStatus !== 'ACTIVE') return { kind: 'no_credential', reason: 'USER_DISABLED' }

  const { nowMs } = attempt
  const usable = candidates.filter((candidate) => whyUnusable(candidate, nowMs) === undefined)
  if (usable.length === 0) {
    const unusable = whyUnusable(first, nowMs)
    return {
      kind: 'no_credential',
      reason: 'NO_USABLE_CREDENTIAL',
      ...(unusable === undefined ? {} : { unusable }),
    }
  }
  if (isLockedAt(first.userLock, nowMs)) {
    return { kind: 'locked', reason: 'USER_LOCKED', untilMs: first.userLock.untilMs }
  }
  const open = usable.filter((candidate) => !isLockedAt(assignmentLock(candidate), nowMs))
  if (open.length === 0) {
    return { kind: 'locked', reason: 'CREDENTIAL_LOCKED', untilMs: earliestEnd(usable) }
  }
  return tryAll(open, attempt, policy, openSecret)
}

async function tryAll(
  candidates: readonly TokenCandidate[],
  attempt: Attempt,
  policy: VerificationPolicy,
  openSecret: OpenSecret,
): Promise<Evaluation> {
  const tried: Trial[] = []
  const secrets: Uint8Array[] = []
  for (const candidate of candidates) {
    const secret = await openSecret(candidate)
    const typed = splitTyped(candidate, attempt)
    const windows = windowsOf(candidate.type, candidate, policy)
    const finding = searchAccepted(candidate, secret, typed.code, windows, attempt.nowMs)
    tried.push({ candidate, finding, typed })
    secrets.push(secret)
  }
  const match = tried.find(({ finding }) => finding.kind === 'match')
  if (match?.finding.position !== undefined) {
    return { kind: 'matched', trial: match, position: match.finding.position, tried }
  }
  const beyond = tried.map(({ candidate, finding, typed }, index) => {
    const windows = windowsOf(candidate.type, candidate, policy)
    const secret = secrets[index] ?? new Uint8Array()
    return {
      candidate,
      typed,
      finding: searchBeyond(candidate, secret, typed.code, windows, finding),
    }
  })
  return { kind: 'unmatched', tried: beyond }
}

/** With `pinMayLead`, what stands before the token's digits is the PIN. */
function splitTyped(candidate: TokenCandidate, { code, pin, pinMayLead }: Attempt): TypedCode {
  if (code === undefined) return { code: impossibleCode, pin }
  if (!pinMayLead || pin !== undefined || code.length <= candidate.digits) return { code, pin }
  const cut = code.length - candidate.digits
  return { code: code.slice(cut), pin: code.slice(0, cut) }
}

function earliestEnd(candidates: readonly TokenCandidate[]): number | null {
  let earliest: number | null = null
  for (const { lockedUntilMs } of candidates) {
    if (lockedUntilMs !== null && (earliest === null || lockedUntilMs < earliest))
      earliest = lockedUntilMs
  }
  return earliest
}

/** The step of now for a TOTP token; 0 for HOTP, which has none. */
export function currentStep(candidate: TokenCandidate, nowMs: number): number {
  return candidate.type === 'TOTP' ? totpStep(nowMs, candidate.periodSeconds) : 0
}
