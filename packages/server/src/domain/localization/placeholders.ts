import type { JsonValue } from '@countersign/protocol/encoding/jcs.ts'
import { DomainError } from '../errors.ts'

/** Values for placeholders, by name. */
export interface PlaceholderData {
  readonly [name: string]: JsonValue
}

/** A tag of Mustache: what stands between three braces, or two. */
const tagPattern = /\{\{\{([^{}]*)\}\}\}|\{\{([^{}]*)\}\}/g
/** What may stand in front of a name: `&` is a placeholder like any other. */
const otherSigns = ['#', '^', '/', '>', '=', '$', '<']
const nestingMax = 8
/** Beyond it the text is refused anyway; until then nothing grows without bounds. */
const addedLengthMax = 65_536

/** Why a text cannot be filled. */
class Unfillable extends Error {
  override readonly name = 'Unfillable'
}

/**
 * Puts values into a text: `{{name}}`, `{{{name}}}` and `{{&name}}` alike, for nothing is escaped; `{{a.b}}` goes down,
 * `{{! }}` is a comment. What values hold is never read as a placeholder.
 *
 * @throws DomainError `invalid_request` for a name without a text, number or boolean, since nobody signs a gap, and for
 *   whatever else Mustache has.
 */
export function fillPlaceholders(text: string, data: PlaceholderData): string {
  try {
    return filled(text, data)
  } catch (error) {
    if (error instanceof Unfillable) throw refused(error.message)
    throw error
  }
}

/** As {@link fillPlaceholders}, for a text that must be a good template too: braces that open nothing are a mistake. */
export function fillTemplate(
  content: string,
  data: PlaceholderData,
): { readonly text: string } | { readonly fault: string } {
  if (content.replaceAll(tagPattern, ' ').includes('{{')) {
    return { fault: 'has braces that are no placeholder' }
  }
  try {
    return { text: filled(content, data) }
  } catch (error) {
    if (error instanceof Unfillable) return { fault: error.message }
    throw error
  }
}

function filled(text: string, data: PlaceholderData): string {
  let added = 0
  return text.replaceAll(tagPattern, (_tag, plain: string | undefined, tag: string | undefined) => {
    const inner = (plain ?? tag ?? '').trim()
    if (plain === undefined && inner.startsWith('!')) return ''
    if (plain === undefined && otherSigns.includes(inner.slice(0, 1))) {
      throw new Unfillable('has more than placeholders')
    }
    const name = plain === undefined && inner.startsWith('&') ? inner.slice(1).trim() : inner
    const value = valueAt(data, name)
    if (value === undefined || value === '') {
      throw new Unfillable(`has a placeholder "${name.slice(0, 64)}" without a value`)
    }
    added += value.length
    if (added > addedLengthMax) throw new Unfillable('is too long with its data')
    return value
  })
}

function valueAt(data: JsonValue, name: string): string | undefined {
  const path = name.split('.')
  if (path.length > nestingMax) return undefined
  let at: JsonValue | undefined = data
  for (const step of path) at = memberOf(at, step)
  return at === undefined || typeof at === 'object' ? undefined : String(at)
}

function memberOf(value: JsonValue | undefined, name: string): JsonValue | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  return Object.hasOwn(value, name) ? (value as { [name: string]: JsonValue })[name] : undefined
}

function refused(message: string): DomainError {
  return new DomainError('invalid_request', 'The text cannot be filled.', {
    faults: [{ pointer: '/text', code: 'bad_format', message }],
  })
}
