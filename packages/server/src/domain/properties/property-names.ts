import type { Condition } from '../conditions/condition.ts'

/** Names in order of their bytes. */
export interface NameRange {
  readonly from: string
  /** Absent: to the last one. */
  readonly before?: string
}

const everything: NameRange = { from: '' }
const lastCodePoint = 0x10ffff
const surrogates = { first: 0xd800, last: 0xdfff }

/** Where the names lie that a condition can fit: the index of names is read there only. */
export function namesOf(condition: Condition | undefined): NameRange {
  if (condition === undefined) return everything
  if ('conditions' in condition) {
    return condition.op === 'and'
      ? condition.conditions.map(namesOf).reduce(common, everything)
      : everything
  }
  if (condition.field !== 'name' || condition.ignoresCase === true) return everything
  if (condition.op === 'like') return beginningWith(literalHead(condition.pattern))
  return condition.op === '=' && condition.value !== null
    ? beginningWith(String(condition.value))
    : everything
}

function common(one: NameRange, other: NameRange): NameRange {
  const ends = [one.before, other.before].filter((end) => end !== undefined)
  const from = byBytes(one.from, other.from) < 0 ? other.from : one.from
  const [before, second] = ends
  if (before === undefined) return { from }
  return { from, before: second !== undefined && byBytes(second, before) < 0 ? second : before }
}

function byBytes(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other))
}

/** What stands before the first wildcard. */
function literalHead(pattern: string): string {
  let head = ''
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern.charAt(at)
    if (character === '%' || character === '_') break
    if (character === '\\') at++
    head += pattern.charAt(at)
  }
  return head
}

function beginningWith(head: string): NameRange {
  const characters = [...head]
  while (characters.length > 0) {
    const last = characters.pop()?.codePointAt(0) ?? lastCodePoint
    if (last === lastCodePoint) continue
    const next = last + 1 === surrogates.first ? surrogates.last + 1 : last + 1
    return { from: head, before: characters.join('') + String.fromCodePoint(next) }
  }
  return { from: head }
}
