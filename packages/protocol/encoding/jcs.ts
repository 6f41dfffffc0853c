/** What JSON can say, with integers for numbers. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue }

/** Members of an object, some of which may be absent. */
export interface PartialMembers {
  readonly [name: string]: JsonValue | undefined
}

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
      return canonicalText(value)
    case 'number':
      if (!Number.isSafeInteger(value)) throw new TypeError('Only safe integers are recorded.')
      return String(value)
    case 'boolean':
      return value ? 'true' : 'false'
    default:
      return Array.isArray(value)
        ? canonicalArray(value)
        : canonicalMembers(value as PartialMembers)
  }
}

function canonicalText(text: string): string {
  return JSON.stringify(text.isWellFormed() ? text : text.toWellFormed())
}

function canonicalArray(values: readonly JsonValue[]): string {
  return `[${values.map(canonicalJson).join(',')}]`
}

/** {@link canonicalJson} of an object; members that are undefined are left out. */
export function canonicalMembers(members: PartialMembers): string {
  let text = '{'
  for (const name of sorted(Object.keys(members))) {
    const value = members[name]
    if (value === undefined) continue
    if (text.length > 1) text += ','
    text += `${canonicalText(name)}:${canonicalJson(value)}`
  }
  return `${text}}`
}

/** Most objects have a few members, which are put in order one by one faster than the library sorts. */
const fewNames = 12

/** Sorts in place. */
function sorted(names: string[]): string[] {
  if (names.length > fewNames) return names.sort()
  for (let end = 1; end < names.length; end++) {
    const name = names[end] as string
    let place = end
    for (; place > 0 && (names[place - 1] as string) > name; place--) {
      names[place] = names[place - 1] as string
    }
    names[place] = name
  }
  return names
}
