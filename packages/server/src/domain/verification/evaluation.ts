import { totpStep } from '@countersign/protocol/otp/totp.ts'
import {
  type Candidate,
  isLockedAt,
  lockOf,
  type TokenCandidate,
  whyUnusable,
} from './candidate.ts'
import { isUsedUp, type ListCandidate } from './list-candidate.ts'
import {
  type ListFinding,
  type ListRestriction,
  searchSpent,
  searchWindows,
} from './list-search.ts'
import { type VerificationPolicy, windowsOf } from './policy.ts'
import { searchAccepted, searchBeyond, type TokenFinding } from './token-search.ts'
import type { UnusableReason, VerificationReason } from './verification.ts'

/** Opens a candidate's secret: a token's own, or the key of a method's lists. */
export type OpenSecret = (candidate: Candidate) => Promise<Uint8Array>

/** The code as typed for one candidate: PIN and code apart. */
export interface TypedCode {
  readonly code: string
  readonly pin: string | undefined
}

/** One candidate whose code was computed. */
export type Trial = TokenTrial | ListTrial

export interface TokenTrial {
  readonly kind: 'token'
  readonly candidate: TokenCandidate
  readonly finding: TokenFinding
  readonly typed: TypedCode
}

/** A printed list knows no PIN: that is an assignment's matter, and one that is given is ignored. */
export interface ListTrial {
  readonly kind: 'list'
  readonly candidate: ListCandidate
  readonly finding: ListFinding
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
      readonly tried: readonly Trial[]
    }
  | { readonly kind: 'unmatched'; readonly tried: readonly Trial[] }

export interface Attempt {
  /** Normalised; undefined for a text that no credential could show. */
  readonly code: string | undefined
  readonly pin: string | undefined
  readonly pinMayLead: boolean
  readonly list: ListRestriction
  readonly nowMs: number
}

/** No token shows this, so every window is computed for it in vain. */
const impossibleCode = ''

/** Rules 1 to 3 of platform.md, section 4, for candidates of one user in their order of trial. */
export async function evaluate(
  candidates: readonly Candidate[],
  attempt: Attempt,
  policy: VerificationPolicy,
  openSecret: OpenSecret,
): Promise<Evaluation> {
  const open = openAt(candidates, attempt.nowMs)
  if ('kind' in open) return open
  const opened: { trial: Trial; secret: Uint8Array }[] = []
  for (const candidate of open) {
    const secret = await openSecret(candidate)
    opened.push({ trial: tryCandidate(candidate, secret, attempt, policy), secret })
  }
  const tried = opened.map(({ trial }) => trial)
  const match = tried.find(({ finding }) => finding.kind === 'match')
  if (match !== undefined) return { kind: 'matched', trial: match, tried }

  const beyond = opened
    .map(({ trial, secret }) => lookBeyond(trial, secret, attempt, policy))
    // A list that is used up can be found again, but it cannot be missed.
    .filter((trial) => trial.kind === 'token' || !isSpentInVain(trial))
  if (beyond.length > 0) return { kind: 'unmatched', tried: beyond }
  return { kind: 'no_credential', reason: 'NO_USABLE_CREDENTIAL', unusable: 'used_up' }
}

/** The candidates that may be tried now, or why there is none. */
function openAt(
  candidates: readonly Candidate[],
  nowMs: number,
): readonly Candidate[] | Extract<Evaluation, { kind: 'no_credential' | 'locked' }> {
  const [first] = candidates
  if (first === undefined) return { kind: 'no_credential', reason: 'NO_USABLE_CREDENTIAL' }
  if (first.userStatus !== 'ACTIVE') return { kind: 'no_credential', reason: 'USER_DISABLED' }

  const usable = candidates.filter(
    (candidate) => candidate.kind === 'list' || whyUnusable(candidate, nowMs) === undefined,
  )
  if (usable.length === 0) {
    const unusable = first.kind === 'token' ? whyUnusable(first, nowMs) : undefined
    return {
      kind: 'no_credential',
      reason: 'NO_USABLE_CREDENTIAL',
      ...(unusable === undefined ? {} : { unusable }),
    }
  }
  if (isLockedAt(first.userLock, nowMs)) {
    return { kind: 'locked', reason: 'USER_LOCKED', untilMs: first.userLock.untilMs }
  }
  const open = usable.filter((candidate) => !isLockedAt(lockOf(candidate), nowMs))
  if (open.length === 0) {
    return { kind: 'locked', reason: 'CREDENTIAL_LOCKED', untilMs: earliestEnd(usable) }
  }
  return open
}

function tryCandidate(
  candidate: Candidate,
  secret: Uint8Array,
  attempt: Attempt,
  policy: VerificationPolicy,
): Trial {
  if (candidate.kind === 'list') {
    const code = attempt.code ?? impossibleCode
    const finding = searchWindows(candidate, secret, code, attempt.list)
    return { kind: 'list', candidate, finding }
  }
  const typed = splitTyped(candidate, attempt)
  const windows = windowsOf(candidate.type, candidate, policy)
  const finding = searchAccepted(candidate, secret, typed.code, windows, attempt.nowMs)
  return { kind: 'token', candidate, finding, typed }
}

/** Nothing matched: was the code spent, or is it further on? */
function lookBeyond(
  trial: Trial,
  secret: Uint8Array,
  { code = impossibleCode, list }: Attempt,
  policy: VerificationPolicy,
): Trial {
  if (trial.kind === 'list') {
    return { ...trial, finding: searchSpent(trial.candidate, secret, code, list) }
  }
  const { candidate, typed } = trial
  const windows = windowsOf(candidate.type, candidate, policy)
  return {
    ...trial,
    finding: searchBeyond(candidate, secret, typed.code, windows, trial.finding),
  }
}

function isSpentInVain({ candidate, finding }: ListTrial): boolean {
  return finding.kind === 'none' && isUsedUp(candidate)
}

/** With `pinMayLead`, what stands before the token's digits is the PIN. */
function splitTyped(candidate: TokenCandidate, { code, pin, pinMayLead }: Attempt): TypedCode {
  if (code === undefined) return { code: impossibleCode, pin }
  if (!pinMayLead || pin !== undefined || code.length <= candidate.digits) return { code, pin }
  const cut = code.length - candidate.digits
  return { code: code.slice(cut), pin: code.slice(0, cut) }
}

function earliestEnd(candidates: readonly Candidate[]): number | null {
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
