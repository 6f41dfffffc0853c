/** What JSON can say, with integers for numbers. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue }

/**
 * The RFC 8785 canonical form: no blanks, members sorted by UTF-16 code units. ECMAScript's own spelling of strings and
 * numbers is the canonical one; lone surrogates, which have none, become U+FFFD.
 *
 * @throws TypeError for a number that is not a safe integer: our records have no others.
 */
export function canonicalJson(value: JsonValue): string {
  if (value === null) return 'null'
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value.isWellFormed() ? value : value.toWellFormed())
    case 'number':
      if (!Number.isSafeInteger(value)) throw new TypeError('Only safe integers are recorded.')
      return String(value)
    case 'boolean':
      return value ? 'true' : 'false'
    default:
      return Array.isArray(value)
        ? canonicalArray(value)
        : canonicalObject(value as { [name: string]: JsonValue })
  }
}

function canonicalArray(values: readonly JsonValue[]): string {
  return `[${values.map(canonicalJson).join(',')}]`
}

function canonicalObject(members: { readonly [name: string]: JsonValue }): string {
  const names = Object.keys(members).sort()
  let text = '{'
  for (const name of names) {
    const value = members[name]
    if (value === undefined) continue
    if (text.length > 1) text += ','
    text += `${JSON.stringify(name.toWellFormed())}:${canonicalJson(value)}`
  }
  return `${text}}`
}
