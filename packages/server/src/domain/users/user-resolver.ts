import {
  type Identifier,
  idScheme,
  isStoredScheme,
  normalIdentifierValue,
  splitLogin,
} from './identifier.ts'
import { foldText, isUserId, normalLoginName } from './name-text.ts'
import { domainKey } from './user-domain.ts'

/** Names one user, in one of four ways. */
export type UserReference =
  | { readonly id: string }
  /** The ULID, which no caller has chosen. */
  | { readonly ulid: string }
  /** Without a domain: in the default one. */
  | { readonly loginName: string; readonly domain?: string | undefined }
  /** In any notation of the scheme. */
  | Identifier

/** What to look for, in the forms in which names are compared. */
export type UserLookup =
  | { readonly by: 'id'; readonly id: string }
  | { readonly by: 'ulid'; readonly ulid: string }
  | { readonly by: 'login'; readonly domain: string; readonly foldedLogin: string }
  | { readonly by: 'default_login'; readonly foldedLogin: string }
  | { readonly by: 'identifier'; readonly identifier: Identifier }
  /** The identifier, else the user id. */
  | { readonly by: 'identifier_or_id'; readonly identifier: Identifier }
  /** The identifier, else the login name in the default domain. */
  | {
      readonly by: 'identifier_or_default_login'
      readonly identifier: Identifier
      readonly foldedLogin: string
    }
  /** The identifier, else the login name in the domain of that name, else in one of that NetBIOS name. */
  | {
      readonly by: 'identifier_or_login'
      readonly identifier: Identifier
      readonly domain: string
      readonly foldedLogin: string
    }

/** How a reference is followed (platform.md, section 3); undefined for a text that can name nobody. */
export function lookupOf(reference: UserReference): UserLookup | undefined {
  if ('id' in reference) return lookupOfId(reference.id)
  if ('ulid' in reference) return { by: 'ulid', ulid: reference.ulid }
  if ('loginName' in reference) return lookupOfLogin(reference)
  const { scheme } = reference
  if (scheme === idScheme) return lookupOfId(reference.value)
  const value = isStoredScheme(scheme) ? normalIdentifierValue(reference) : undefined
  if (value === undefined) return undefined
  const identifier = { scheme, value }
  if (scheme === 'uniqueID') return { by: 'identifier_or_id', identifier }
  if (scheme !== 'login') return { by: 'identifier', identifier }
  // The normal form of a login is lower case already, and so are the two halves of it.
  const { domain, loginName: foldedLogin } = splitLogin(value)
  return domain === undefined
    ? { by: 'identifier_or_default_login', identifier, foldedLogin }
    : { by: 'identifier_or_login', identifier, domain, foldedLogin }
}

function lookupOfId(id: string): UserLookup | undefined {
  return isUserId(id) ? { by: 'id', id } : undefined
}

function lookupOfLogin(reference: {
  loginName: string
  domain?: string | undefined
}): UserLookup | undefined {
  const loginName = normalLoginName(reference.loginName)
  if (loginName === undefined) return undefined
  const foldedLogin = foldText(loginName)
  if (reference.domain === undefined) return { by: 'default_login', foldedLogin }
  const domain = domainKey(reference.domain)
  return domain === undefined ? undefined : { by: 'login', domain, foldedLogin }
}
