import { foldText, normalText, normalValue } from './name-text.ts'

/** A pair that names one user of a tenant. */
export interface Identifier {
  readonly scheme: string
  /** In the normal form of its scheme, where it comes from the core. */
  readonly value: string
}

/** Most identifiers of one user. */
export const userIdentifiersMax = 200

/** Values of this scheme name nobody else, ever, also after their user is gone. */
export const onceOnlyScheme = 'keyless'

/** Stands for the user id itself and so is never stored (platform.md, section 3). */
export const idScheme = 'id'

const schemePattern = /^[A-Za-z][A-Za-z0-9._-]{0,63}$/
const guidPattern =
  /^(?:([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})|([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12}))$/i
const keylessPattern = /^[0-9A-Fa-f]{8,128}$/

/** The normal forms of the schemes that have one; all others keep the value as it is, in NFC. */
const normalForms: ReadonlyMap<string, (value: string) => string | undefined> = new Map([
  ['login', (value: string) => normalValue(value, foldText)],
  ['email', (value: string) => normalValue(value, foldText)],
  ['objectGuid', normalGuid],
  [
    onceOnlyScheme,
    (value: string) => (keylessPattern.test(value) ? value.toUpperCase() : undefined),
  ],
])

/** True for names under which identifiers can be stored. */
export function isStoredScheme(scheme: string): boolean {
  return schemePattern.test(scheme) && scheme !== idScheme
}

/**
 * The value in the normal form of its scheme (platform.md, section 3), in which it is stored and compared.
 *
 * @returns undefined for a value that is in no notation of the scheme.
 */
export function normalIdentifierValue({ scheme, value }: Identifier): string | undefined {
  const form = normalForms.get(scheme)
  return form === undefined ? normalValue(value, normalText) : form(value)
}

/** Lower case, 8-4-4-4-12. Braces come in pairs and hyphens all or none; other notations are refused, not guessed. */
function normalGuid(value: string): string | undefined {
  const bare = value.startsWith('{') && value.endsWith('}') ? value.slice(1, -1) : value
  const groups = guidPattern.exec(bare)?.slice(1).filter(Boolean)
  return groups?.join('-').toLowerCase()
}

/** A login that may carry its domain in front: `DOMAIN\login`. */
export interface QualifiedLogin {
  readonly domain: string | undefined
  readonly loginName: string
}

/** Splits at the first backslash, which neither a domain's name nor a login name can contain. */
export function splitLogin(login: string): QualifiedLogin {
  const at = login.indexOf('\\')
  if (at === -1) return { domain: undefined, loginName: login }
  return { domain: login.slice(0, at), loginName: login.slice(at + 1) }
}
