import type { UserReference } from '#domain/users/user-resolver.ts'
import { refusedParameter } from './errors.ts'
import { fromTimestamp } from './wire.ts'

/** The three ways in which this API names a user. */
export interface UserParameters {
  readonly uniqueID?: string
  readonly login?: string
  readonly objectGuid?: string
}

/** A user as a request has named it. */
export interface NamedUser {
  readonly reference: UserReference
  /** The parameter as it was sent, for the answer. */
  readonly told: UserParameters
}

/** @throws DomainError `invalid_request` for several identifiers. @returns undefined for none. */
export function findNamedUser(parameters: UserParameters): NamedUser | undefined {
  const { uniqueID, login, objectGuid } = parameters
  const given = Object.entries({ uniqueID, login, objectGuid }).flatMap(([scheme, value]) =>
    value === undefined ? [] : [{ scheme, value }],
  )
  const [reference, another] = given
  if (reference === undefined) return undefined
  if (another !== undefined) throw refusedParameter(another.scheme, 'mutually_exclusive')
  return { reference, told: { [reference.scheme]: reference.value } }
}

/** As {@link findNamedUser}, where a user must be named. @throws DomainError `invalid_request`. */
export function namedUser(parameters: UserParameters): NamedUser {
  const named = findNamedUser(parameters)
  if (named === undefined) throw refusedParameter('uniqueID', 'required')
  return named
}

/**
 * A parameter that may stand in the query and in the form (contract, `x-parameter-rules`).
 *
 * @throws DomainError `invalid_request` when the two places contradict each other.
 */
export function merged<Value>(
  name: string,
  inQuery: Value | undefined,
  inForm: Value | undefined,
): Value | undefined {
  if (inQuery !== undefined && inForm !== undefined && inQuery !== inForm) {
    throw refusedParameter(name, 'mutually_exclusive')
  }
  return inQuery ?? inForm
}

interface AgeParameters {
  readonly 'max-age'?: number
  readonly expires?: string
}

/** How long new lists live; neither: as the method says. */
export interface WantedAge {
  readonly maxAgeSeconds?: number
  readonly expiresAtMs?: number
}

/** @throws DomainError `invalid_request` for both, and for days that no calendar has. */
export function wantedAge(query: AgeParameters, form: AgeParameters | undefined): WantedAge {
  const maxAgeSeconds = merged('max-age', query['max-age'], form?.['max-age'])
  const expiresAtMs = instantOf('expires', merged('expires', query.expires, form?.expires))
  if (maxAgeSeconds !== undefined && expiresAtMs !== undefined) {
    throw refusedParameter('expires', 'mutually_exclusive')
  }
  return {
    ...(maxAgeSeconds === undefined ? {} : { maxAgeSeconds }),
    ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
  }
}

/** @throws DomainError `invalid_request` for a day or time that no calendar has. */
export function instantOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const atMs = fromTimestamp(text)
  if (atMs === undefined) throw refusedParameter(name, 'bad_format')
  return atMs
}
