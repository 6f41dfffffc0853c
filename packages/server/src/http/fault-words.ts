const typeNames: Readonly<Record<string, string>> = {
  string: 'a string',
  integer: 'an integer',
  number: 'a number',
  boolean: 'true or false',
  object: 'an object',
  array: 'an array',
  null: 'null',
}

/** `a string or null` */
export function typeWords(types: readonly string[]): string {
  return types.map((type) => typeNames[type] ?? type).join(' or ')
}

/** What a text of a format must be. */
export const formatWords: Readonly<Record<string, string>> = {
  'date-time': 'a date and time as in RFC 3339',
  uri: 'an absolute URI',
  'uri-reference': 'a URI or a relative reference',
  email: 'an email address',
  uuid: 'a UUID',
}

export function isOutside(
  value: number,
  min: number | undefined,
  max: number | undefined,
): boolean {
  return (min !== undefined && value < min) || (max !== undefined && value > max)
}

/** `6 to 10`, `at least 6`, `at most 10` */
export function range(min: number | undefined, max: number | undefined): string {
  if (min !== undefined && max !== undefined) return min === max ? `${min}` : `${min} to ${max}`
  return min === undefined ? `at most ${max}` : `at least ${min}`
}

/** Length as JSON Schema counts it. */
export function codePointCount(text: string): number {
  let count = 0
  for (const _ of text) count++
  return count
}
