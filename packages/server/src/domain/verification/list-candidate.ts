import type { ListForm } from '../otp-lists/otp-list.ts'
import type { CandidateOwner } from './candidate-owner.ts'

/** A list that a user has, with what is kept of its codes. Slots count from 0 in the order of asking. */
export interface CandidateList extends ListForm {
  readonly id: string
  readonly status: 'ASSOCIATED' | 'ACTIVE'
  readonly remaining: number
  readonly codeTags: Uint8Array
  readonly positions: Uint8Array | null
}

/** What one user has of one list method: everything that decides about a code. One of the lists is there. */
export interface ListCandidate extends CandidateOwner {
  readonly kind: 'list'
  readonly methodId: string
  readonly method: string
  readonly sealedKey: Uint8Array
  readonly windowSize: number
  readonly renewThreshold: number
  readonly maxFailures: number
  readonly lockSeconds: number
  readonly failureCount: number
  readonly lockedUntilMs: number | null
  readonly active: CandidateList | undefined
  readonly waiting: CandidateList | undefined
}

/** The slots that are accepted now: `from` up to, but not including, `to`. */
export function windowOf(
  list: CandidateList,
  windowSize: number,
): { readonly from: number; readonly to: number } {
  const from = list.size - list.remaining
  // What is pinned is pinned, also after the method was given a window.
  const reach = list.order === 'RANDOM' ? 1 : windowSize
  return { from, to: Math.min(from + reach, list.size) }
}

/** Nothing can be accepted: all codes are spent, and no other list waits. */
export function isUsedUp({ active, waiting }: ListCandidate): boolean {
  return waiting === undefined && (active === undefined || active.remaining === 0)
}
