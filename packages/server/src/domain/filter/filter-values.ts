import type { Condition } from '../conditions/condition.ts'

/** A number as it was written, against which whole numbers are compared without any loss. */
export interface ExactNumber {
  /** The greatest safe integer that is not above the number. */
  readonly floor: number
  /** Whether the number is its floor. */
  readonly isWhole: boolean
}

export type Comparison = '=' | '!=' | '<' | '<=' | '>' | '>='

const digitsMax = 16
const numberText = /^(-?)(\d+)(?:\.(\d+))?$/
const instantText =
  /^(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d+))?([Zz]|[+-]\d{2}:\d{2})$/
const fractionDigits = 3

/** Reads a decimal number; undefined for any other text. */
export function readNumber(text: string): ExactNumber | undefined {
  const [, sign, written, fraction = ''] = numberText.exec(text) ?? []
  if (written === undefined) return undefined
  const digits = written.replace(/^0+(?=\d)/, '')
  const isWhole = /^0*$/.test(fraction)
  const size = digits.length > digitsMax ? Number.POSITIVE_INFINITY : Number(digits)
  if (sign !== '-') return exact(size, isWhole)
  return exact(isWhole ? 0 - size : -size - 1, isWhole)
}

/** Reads a moment (RFC 3339) as epoch milliseconds; undefined for any other text, and for days that no calendar has. */
export function readInstant(text: string): ExactNumber | undefined {
  const [, day = '', time = '', fraction = '', offset = ''] = instantText.exec(text) ?? []
  if (day === '') return undefined
  const milliseconds = fraction.slice(0, fractionDigits).padEnd(fractionDigits, '0')
  const atMs = Date.parse(`${day}T${time}.${milliseconds}${offset.toUpperCase()}`)
  const midnight = new Date(`${day}T00:00:00Z`)
  if (Number.isNaN(atMs) || Number.isNaN(midnight.getTime())) return undefined
  // Days beyond the end of a month would be read as days of the next one.
  if (!midnight.toISOString().startsWith(day)) return undefined
  return exact(atMs, /^0*$/.test(fraction.slice(fractionDigits)))
}

/** No field holds a number beyond the safe integers: the last of them stands for all of those, and equals nothing. */
function exact(floor: number, isWhole: boolean): ExactNumber {
  if (Number.isSafeInteger(floor)) return { floor, isWhole }
  return { floor: floor > 0 ? Number.MAX_SAFE_INTEGER : Number.MIN_SAFE_INTEGER, isWhole: false }
}

/** A condition on a field of whole numbers, with a number that may lie between two of them. */
export function compareNumber(
  field: string,
  op: Comparison,
  { floor, isWhole }: ExactNumber,
): Condition {
  if (isWhole) return { op, field, value: floor }
  switch (op) {
    case '=':
      return oneOfNumbers(field, true, [])
    case '!=':
      return oneOfNumbers(field, false, [])
    case '<':
    case '<=':
      return { op: '<=', field, value: floor }
    case '>':
    case '>=':
      return { op: '>', field, value: floor }
  }
}

/** Whether a field of whole numbers is, or is not, one of some numbers. */
export function oneOfNumbers(
  field: string,
  isOneOf: boolean,
  numbers: readonly ExactNumber[],
): Condition {
  const values = numbers.filter(({ isWhole }) => isWhole).map(({ floor }) => floor)
  if (isOneOf) return { op: 'in', field, values }
  // Whatever there is differs from numbers that are none of ours; nothing does not.
  if (values.length === 0) return { op: '!=', field, value: null }
  return { op: 'not in', field, values }
}

/** Any number of characters, in the pattern of a condition. */
export const anyText = '%'

/** A text that stands for itself in the pattern of a condition. */
export function escaped(text: string): string {
  return text.replaceAll(/[\\%_]/g, '\\$&')
}

/** The pattern of a condition for one of `like`, in which nothing escapes: a backslash is one. */
export function likePattern(text: string): string {
  return text.replaceAll('\\', '\\\\')
}
