import { DomainError } from '../errors.ts'
import type { PageRequest } from '../paging.ts'
import { isStoredScheme, normalIdentifierValue } from './identifier.ts'
import { characterCount, isStorable, nameCharactersMax, normalLoginName } from './name-text.ts'
import type { UserStatus } from './user.ts'
import { domainKey } from './user-domain.ts'
import type { UserFilter } from './user-view-store.ts'

/** Conditions on a list, as a request states them; all of them together. */
export interface UserQuery extends PageRequest {
  readonly domain?: string | undefined
  readonly loginName?: string | undefined
  /** Together with `value`: the user of that identifier. */
  readonly scheme?: string | undefined
  readonly value?: string | undefined
  readonly keylessExternalId?: string | undefined
  readonly status?: UserStatus | undefined
}

/** @throws DomainError `invalid_request`. */
export function requireWholePair({ scheme, value }: UserQuery): void {
  if ((scheme === undefined) === (value === undefined)) return
  const missing = scheme === undefined ? 'scheme' : 'value'
  throw new DomainError('invalid_request', 'scheme and value go together.', {
    faults: [
      { pointer: `query:${missing}`, code: 'required', message: 'goes with the other of the pair' },
    ],
  })
}

/** The conditions in the forms in which they are compared; undefined if no user can fulfil them. */
export function asFilter(query: UserQuery): UserFilter | undefined {
  const { domain, loginName, scheme, value, keylessExternalId, status } = query
  const key = domain === undefined ? undefined : domainKey(domain)
  const login = loginName === undefined ? undefined : normalLoginName(loginName)
  if (domain !== undefined && key === undefined) return undefined
  if (loginName !== undefined && login === undefined) return undefined
  if (keylessExternalId !== undefined && !isLabel(keylessExternalId)) return undefined
  const filter = { domainKey: key, loginName: login, keylessExternalId, status }
  if (scheme === undefined || value === undefined) return filter
  const normal = isStoredScheme(scheme) ? normalIdentifierValue({ scheme, value }) : undefined
  return normal === undefined ? undefined : { ...filter, identifier: { scheme, value: normal } }
}

function isLabel(text: string): boolean {
  return isStorable(text) && characterCount(text) <= nameCharactersMax
}
