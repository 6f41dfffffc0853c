import { findCounter } from '@countersign/protocol/otp/hotp.ts'
import { totpStep } from '@countersign/protocol/otp/totp.ts'
import type { TokenCandidate } from './candidate.ts'
import type { Windows } from './policy.ts'

/** How many spent counters are recognised as such, so that a replay is called one in the journal. */
const replayLookBackMax = 10

/** What a code is to one token. */
export interface TokenFinding {
  /** `match`: unspent and within the window. `replayed`: was accepted before. `hint`: two codes would synchronise. */
  readonly kind: 'match' | 'replayed' | 'hint' | 'none'
  /** Counter or step of the code; undefined for `none`. */
  readonly position: number | undefined
  /** Distance of the position from the expected one. */
  readonly gap: number | undefined
  /** The counter or step that was expected. */
  readonly expected: number
  readonly windowFrom: number
  readonly windowTo: number
}

/**
 * Looks a code up in a token's accept window; nothing is decided by how early it is found.
 *
 * @param secret the token's secret in the clear.
 */
export function searchAccepted(
  candidate: TokenCandidate,
  secret: Uint8Array,
  code: string,
  windows: Windows,
  nowMs: number,
): TokenFinding {
  const { algorithm, digits } = candidate
  if (candidate.type === 'HOTP') {
    const from = candidate.nextCounter
    const to = from + windows.accept
    const position = findCounter({ secret, algorithm, digits, code, from, to })
    return finding(position === undefined ? 'none' : 'match', position, from, from, to)
  }
  const expected = totpStep(nowMs, candidate.periodSeconds) + candidate.driftSteps
  const from = expected - windows.accept
  const to = expected + windows.accept
  // The whole window is searched; what lies at or below the replay guard was accepted before, or too late for it.
  const fresh = findCounter({
    secret,
    algorithm,
    digits,
    code,
    from: Math.max(from, candidate.lastStep + 1),
    to,
  })
  const spent = findCounter({
    secret,
    algorithm,
    digits,
    code,
    from,
    to: Math.min(to, candidate.lastStep),
  })
  if (fresh !== undefined) return finding('match', fresh, expected, from, to)
  return finding(spent === undefined ? 'none' : 'replayed', spent, expected, from, to)
}

/**
 * After no token matched: was the code spent before, or would it fit beyond the window? A spent code is never a hint
 * (R3: the guard only grows).
 */
export function searchBeyond(
  candidate: TokenCandidate,
  secret: Uint8Array,
  code: string,
  windows: Windows,
  accepted: TokenFinding,
): TokenFinding {
  const { algorithm, digits } = candidate
  const { expected, windowFrom, windowTo } = accepted
  const find = (from: number, to: number): number | undefined =>
    findCounter({ secret, algorithm, digits, code, from, to })
  if (candidate.type === 'HOTP') {
    const ahead = find(windowTo + 1, expected + windows.hint)
    const spent = find(expected - replayLookBackMax, expected - 1)
    if (spent !== undefined) return finding('replayed', spent, expected, windowFrom, windowTo)
    return finding(ahead === undefined ? 'none' : 'hint', ahead, expected, windowFrom, windowTo)
  }
  if (accepted.kind === 'replayed') return accepted
  const guard = candidate.lastStep + 1
  const after = find(Math.max(windowTo + 1, guard), expected + windows.hint)
  const before = find(Math.max(expected - windows.hint, guard), windowFrom - 1)
  const position = after ?? before
  return finding(position === undefined ? 'none' : 'hint', position, expected, windowFrom, windowTo)
}

function finding(
  kind: TokenFinding['kind'],
  position: number | undefined,
  expected: number,
  windowFrom: number,
  windowTo: number,
): TokenFinding {
  const gap = position === undefined ? undefined : position - expected
  return { kind, position, gap, expected, windowFrom, windowTo }
}
