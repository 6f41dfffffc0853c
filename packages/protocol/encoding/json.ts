import { decodeUtf8 } from './utf8.ts'

/** Why a text is not JSON that everybody reads alike. */
export type JsonFault =
  | 'empty'
  | 'not_utf8'
  | 'syntax'
  | 'too_deep'
  | 'duplicate_member'
  | 'forbidden_member'
  | 'forbidden_character'
  | 'number_too_large'

/** The text is no such JSON. Nothing of the text is repeated. */
export class JsonError extends Error {
  override readonly name = 'JsonError'
  readonly fault: JsonFault
  constructor(fault: JsonFault) {
    super(fault)
    this.fault = fault
  }
}

/** Deepest nesting of arrays and objects. */
export const jsonDepthMax = 32

const quote = 0x22
const colon = 0x3a
const backslash = 0x5c

/**
 * Parses JSON so that every reader would read the same: UTF-8 without byte order mark, no member named twice, no
 * `__proto__`, at most {@link jsonDepthMax} levels, no number beyond the range of a double, no U+0000 and no lone
 * surrogate (neither can be stored everywhere).
 *
 * @throws JsonError
 */
export function parseJson(bytes: Uint8Array): unknown {
  if (bytes.length === 0) throw malformed('empty')
  const text = decodeUtf8(bytes)
  if (text === undefined) throw malformed('not_utf8')
  const memberCount = countMembers(text)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // The engine's message quotes the text.
    throw malformed('syntax')
  }
  // A member named twice is written twice and kept once.
  if (checkValue(value, text.includes('\\u')) !== memberCount) throw malformed('duplicate_member')
  return value
}

/** The members of an object of JSON; what they are is to be looked at. */
export type JsonMembers = Readonly<Record<string, unknown>>

export function isJsonObject(value: unknown): value is JsonMembers {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** As {@link parseJson}, but undefined for all that is no object of JSON. */
export function readJsonObject(bytes: Uint8Array): JsonMembers | undefined {
  try {
    const value = parseJson(bytes)
    return isJsonObject(value) ? value : undefined
  } catch (error) {
    if (error instanceof JsonError) return undefined
    throw error
  }
}

/**
 * Colons outside strings: in valid JSON there is one per member. Nesting is bounded on the way, before the parser sees
 * the text.
 */
function countMembers(text: string): number {
  let depth = 0
  let count = 0
  for (let index = 0; index < text.length; index++) {
    switch (text.charCodeAt(index)) {
      case quote:
        index = endOfString(text, index)
        break
      case colon:
        count++
        break
      case 0x5b: // [
      case 0x7b: // {
        if (++depth > jsonDepthMax) throw malformed('too_deep')
        break
      case 0x5d: // ]
      case 0x7d: // }
        depth--
        break
      default:
    }
  }
  return count
}

/** Where the string that starts at `start` ends; the end of the text for one that does not end. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let first = end
    while (text.charCodeAt(first - 1) === backslash) first--
    if ((end - first) % 2 === 0) return end
  }
  return text.length
}

/** Counts the members of a parsed value. @param escapes whether a string could hold what the text cannot. */
function checkValue(value: unknown, escapes: boolean): number {
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw malformed('number_too_large')
    return 0
  }
  if (typeof value === 'string') {
    if (escapes) checkText(value)
    return 0
  }
  if (typeof value !== 'object' || value === null) return 0
  let count = 0
  if (Array.isArray(value)) {
    for (const item of value) count += checkValue(item, escapes)
    return count
  }
  const members = value as Record<string, unknown>
  for (const name of Object.keys(members)) {
    if (name === '__proto__') throw malformed('forbidden_member')
    if (escapes) checkText(name)
    count += 1 + checkValue(members[name], escapes)
  }
  return count
}

function checkText(text: string): void {
  if (text.includes('\0') || !text.isWellFormed()) throw malformed('forbidden_character')
}

function malformed(fault: JsonFault): JsonError {
  return new JsonError(fault)
}
