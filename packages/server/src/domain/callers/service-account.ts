import { AddressRange } from '../address-range.ts'
import type { Fault } from '../errors.ts'
import type { Caller } from './caller.ts'
import { scopes as allScopes, type Scope } from './scopes.ts'

/** A program that calls this server. */
export interface ServiceAccount {
  readonly id: string
  /** The same account where a surface wants a ULID; orders lists by creation. */
  readonly ulid: string
  /** Null: of the platform. */
  readonly tenantId: string | null
  readonly description: string
  readonly scopes: readonly Scope[]
  readonly enabled: boolean
  readonly expiresAtMs: number | null
  /** Addresses and prefixes; empty: any. */
  readonly allowedAddresses: readonly string[]
  /** SHA-256 of TLS client certificates, lower-case hex. */
  readonly certificateThumbprints: readonly string[]
  readonly createdAtMs: number
  readonly updatedAtMs: number
  readonly secretRotatedAtMs: number
  /** Accurate to one minute. */
  readonly lastUsedAtMs: number | null
}

/** What an administrator decides about an account. */
export interface ServiceAccountSettings {
  readonly description: string
  readonly scopes: readonly Scope[]
  readonly enabled: boolean
  readonly expiresAtMs: number | null
  readonly allowedAddresses: readonly string[]
  readonly certificateThumbprints: readonly string[]
}

export type ServiceAccountChanges = {
  readonly [Member in keyof ServiceAccountSettings]?: ServiceAccountSettings[Member] | undefined
}

/** The first platform administrator; no tenant's account can have its id. */
export const bootstrapAccountId = 'bootstrap'

const descriptionLengthMax = 255
const allowedAddressesMax = 50
const thumbprintsMax = 10
/** Scopes that rule over all tenants: for accounts of the platform, granted by platform administrators. */
const platformScopes: ReadonlySet<Scope> = new Set(['platform:admin', 'firmware:write'])

/** True when the caller may give these scopes to an account of this tenant (platform.md, section 2). */
export function mayGrant(
  caller: Caller,
  tenantId: string | null,
  scopes: readonly Scope[],
): boolean {
  if (tenantId === null) return caller.isPlatform && caller.has('platform:admin')
  return caller.has('tenant:write') && !scopes.some((scope) => platformScopes.has(scope))
}

/** What is wrong with settings, member by member. */
export function faultsOf(changes: ServiceAccountChanges): Fault[] {
  const { description = '', scopes, allowedAddresses = [], certificateThumbprints = [] } = changes
  const faults: Fault[] = []
  const report = (pointer: string, code: string, message: string): void => {
    faults.push({ pointer, code, message })
  }
  if (description.length > descriptionLengthMax) {
    report('/description', 'out_of_range', 'must have at most 255 characters')
  }
  if (scopes !== undefined) {
    if (scopes.length === 0) report('/scopes', 'out_of_range', 'must name at least one scope')
    if (new Set(scopes).size < scopes.length) report('/scopes', 'not_unique', 'must be unique')
    if (!scopes.every((scope) => allScopes.includes(scope))) {
      report('/scopes', 'unsupported', 'names a scope that does not exist')
    }
  }
  if (allowedAddresses.length > allowedAddressesMax) {
    report('/allowedAddresses', 'out_of_range', 'must have at most 50 entries')
  }
  allowedAddresses.forEach((text, index) => {
    if (AddressRange.parse(text) === undefined) {
      report(
        `/allowedAddresses/${index}`,
        'bad_format',
        'must be an IP address, or a prefix without bits behind its length',
      )
    }
  })
  if (certificateThumbprints.length > thumbprintsMax) {
    report('/certificateThumbprints', 'out_of_range', 'must have at most 10 entries')
  }
  certificateThumbprints.forEach((text, index) => {
    if (!/^[0-9a-f]{64}$/.test(text)) {
      report(`/certificateThumbprints/${index}`, 'bad_format', 'must be SHA-256 in lower-case hex')
    }
  })
  return faults
}
