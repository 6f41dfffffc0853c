/** One range of a priority list, in lower case. */
interface LanguageRange {
  readonly range: string
  /** 0 to 1. */
  readonly quality: number
}

/** What somebody can read: ranges in order of preference, and those that are excluded. */
export interface LanguagePriority {
  /** In lower case, best first; `*` is any language. */
  readonly wanted: readonly string[]
  /** Ranges with quality 0. */
  readonly excluded: readonly string[]
}

/** Most ranges of one header that count, the best ones; a person reads fewer languages. */
export const rangesMax = 32

/** Says nothing: the default content. */
export const anyLanguage: LanguagePriority = { wanted: ['*'], excluded: [] }

const elementPattern =
  /^(\*|[a-z]{1,8}(?:-[a-z0-9]{1,8})*)(?:[ \t]*;[ \t]*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?))?$/

/**
 * Reads an `Accept-Language` (RFC 9110 section 12.5.4). Empty elements count for nothing.
 *
 * @returns undefined for what is no such header, or has no range.
 */
export function parseAcceptLanguage(header: string): LanguagePriority | undefined {
  const ranges: LanguageRange[] = []
  for (const element of header.toLowerCase().split(',')) {
    const text = element.trim()
    if (text === '') continue
    const [, range, quality = '1'] = elementPattern.exec(text) ?? []
    if (range === undefined) return undefined
    ranges.push({ range, quality: Number(quality) })
  }
  if (ranges.length === 0) return undefined
  const wanted = ranges
    .filter(({ quality }) => quality > 0)
    .toSorted((one, other) => other.quality - one.quality)
    .slice(0, rangesMax)
    .map(({ range }) => range)
  const excluded = ranges
    .filter(({ range, quality }) => quality === 0 && !wanted.includes(range))
    .slice(0, rangesMax)
    .map(({ range }) => range)
  return { wanted, excluded }
}

/** False for `*` alone, which some HTTP clients send by themselves: it says nothing. */
export function namesLanguage({ wanted }: LanguagePriority): boolean {
  return wanted.some((range) => range !== '*')
}

/** The languages of a device, the best first. */
export function priorityOf(locales: readonly string[]): LanguagePriority {
  return { wanted: locales.map((locale) => locale.toLowerCase()), excluded: [] }
}

/**
 * Lookup (RFC 4647 section 3.4): each range in turn, as it is, then with one subtag less; `de-DE` may be given `de`, `de` is
 * never given `de-DE`.
 *
 * @param tags which there are, as they are kept.
 * @returns one of them; undefined when the default is meant.
 */
export function lookUp(priority: LanguagePriority, tags: readonly string[]): string | undefined {
  const byRange = foldedTags(tags)
  for (const range of priority.wanted) {
    const found = lookUpRange(range, byRange, priority)
    if (found !== undefined) return found
  }
  return undefined
}

/** The tags that some range of the list finds by the same lookup; `*` finds all. Those that are excluded are not found. */
export function lookUpAll(priority: LanguagePriority, tags: readonly string[]): readonly string[] {
  if (priority.wanted.includes('*')) {
    return tags.filter((tag) => !isExcluded(tag.toLowerCase(), priority))
  }
  const byRange = foldedTags(tags)
  const found = new Set(priority.wanted.map((range) => lookUpRange(range, byRange, priority)))
  return tags.filter((tag) => found.has(tag))
}

function lookUpRange(
  range: string,
  byRange: ReadonlyMap<string, string>,
  priority: LanguagePriority,
): string | undefined {
  for (let rest = range; rest !== ''; rest = shortened(rest)) {
    const tag = byRange.get(rest)
    if (tag !== undefined && !isExcluded(rest, priority)) return tag
  }
  return undefined
}

/** Without its last subtag, and without a single letter before that: it would stand for nothing. */
function shortened(range: string): string {
  const shorter = range.slice(0, Math.max(0, range.lastIndexOf('-')))
  return shorter.charAt(shorter.length - 2) === '-' ? shorter.slice(0, -2) : shorter
}

/** By the most exact range that the tag falls under. `*` with 0 excludes nothing that another range asks for. */
function isExcluded(tag: string, { wanted, excluded }: LanguagePriority): boolean {
  if (excluded.length === 0) return false
  const exactness = (ranges: readonly string[]) =>
    Math.max(0, ...ranges.filter((range) => isUnder(tag, range)).map((range) => range.length))
  return exactness(excluded) > exactness(wanted)
}

function isUnder(tag: string, range: string): boolean {
  return tag === range || tag.startsWith(`${range}-`)
}

function foldedTags(tags: readonly string[]): ReadonlyMap<string, string> {
  return new Map(tags.map((tag) => [tag.toLowerCase(), tag]))
}
