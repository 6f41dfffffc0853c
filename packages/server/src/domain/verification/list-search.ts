import { createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto'
import { codeTag, positionAt, tagBytes } from '../otp-lists/code-tags.ts'
import { labelOf } from '../otp-lists/otp-list.ts'
import { type CandidateList, type ListCandidate, windowOf } from './list-candidate.ts'

/** Narrows a request down to one list, to one label. */
export interface ListRestriction {
  readonly id?: string | undefined
  readonly index?: string | undefined
}

/** What a code is to the lists of one method. */
export interface ListFinding {
  /** `match`: unspent and within the window. `replayed`: was accepted, or skipped, before. */
  readonly kind: 'match' | 'replayed' | 'none'
  /** Where the code stands; undefined for `none`. */
  readonly list: CandidateList | undefined
  readonly slot: number | undefined
}

interface Place {
  readonly list: CandidateList
  readonly slot: number
}

const nothingFound: ListFinding = { kind: 'none', list: undefined, slot: undefined }

/**
 * Looks a code up in the window of the list in use, then in that of the one that waits; nothing is decided by how early
 * it is found.
 */
export function searchWindows(
  candidate: ListCandidate,
  key: Uint8Array,
  code: string,
  { id, index }: ListRestriction,
): ListFinding {
  const places: Place[] = []
  for (const list of listsOf(candidate)) {
    if (id !== undefined && list.id !== id) continue
    const { from, to } = windowOf(list, candidate.windowSize)
    for (let slot = from; slot < to; slot++) {
      const isAsked =
        index === undefined || labelOf(list, positionAt(list.positions, slot)) === index
      if (isAsked) places.push({ list, slot })
    }
  }
  const place = findCode(places, createSecretKey(key), code)
  return place === undefined ? nothingFound : { kind: 'match', ...place }
}

/**
 * After nothing matched: was the code spent before? All codes outside the window are computed, so that a refusal takes
 * as long for a new list as for one that is used up; those that were not asked for yet count for nothing.
 */
export function searchSpent(
  candidate: ListCandidate,
  key: Uint8Array,
  code: string,
  { id }: ListRestriction,
): ListFinding {
  const spent: Place[] = []
  const ahead: Place[] = []
  for (const list of listsOf(candidate)) {
    if (id !== undefined && list.id !== id) continue
    const { from, to } = windowOf(list, candidate.windowSize)
    for (let slot = 0; slot < from; slot++) spent.push({ list, slot })
    for (let slot = to; slot < list.size; slot++) ahead.push({ list, slot })
  }
  const secret = createSecretKey(key)
  const place = findCode(spent, secret, code)
  findCode(ahead, secret, code)
  return place === undefined ? nothingFound : { kind: 'replayed', ...place }
}

/** The first place whose code this is; every one of them is computed and compared. */
function findCode(places: readonly Place[], key: KeyObject, code: string): Place | undefined {
  let found: Place | undefined
  for (const place of places) {
    const { list, slot } = place
    const tag = codeTag(key, list.id, positionAt(list.positions, slot), foldCode(list, code))
    const kept = list.codeTags.subarray(slot * tagBytes, (slot + 1) * tagBytes)
    const isEqual = kept.length === tagBytes && timingSafeEqual(tag, kept)
    if (isEqual && found === undefined) found = place
  }
  return found
}

/** Letters have the case of the alphabet. The code is ASCII by then, so folding maps no other character to one of ours. */
function foldCode({ otpAlphabet }: CandidateList, code: string): string {
  if (/[A-Z]/.test(otpAlphabet)) return code.toUpperCase()
  return /[a-z]/.test(otpAlphabet) ? code.toLowerCase() : code
}

function listsOf({ active, waiting }: ListCandidate): CandidateList[] {
  return [active, waiting].filter((list) => list !== undefined)
}
