/** Names and values as a query string or a form carries them. */
export interface Pairs {
  /** Every value of a name, in order. */
  readonly values: ReadonlyMap<string, readonly string[]>
}

export type PairsFault = 'syntax' | 'too_many_members'

/** Most names and values in one query string or form. */
export const pairsMax = 200

/**
 * Reads `a=1&b=2` with `+` for a blank and percent-encoded UTF-8. Nothing is repaired: a broken escape, bytes that are
 * not UTF-8 are faults.
 */
export function parsePairs(text: string): Pairs | PairsFault {
  const values = new Map<string, string[]>()
  if (text === '') return { values }
  const parts = text.split('&', pairsMax + 1)
  if (parts.length > pairsMax) return 'too_many_members'
  for (const part of parts) {
    if (part === '') continue
    const equals = part.indexOf('=')
    const name = decode(equals === -1 ? part : part.slice(0, equals))
    const value = decode(equals === -1 ? '' : part.slice(equals + 1))
    if (name === undefined || value === undefined) return 'syntax'
    const earlier = values.get(name)
    if (earlier === undefined) values.set(name, [value])
    else earlier.push(value)
  }
  return { values }
}

function decode(text: string): string | undefined {
  if (!text.includes('%') && !text.includes('+')) return text
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return undefined
  }
}
