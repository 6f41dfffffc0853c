import type { Fault } from '../errors.ts'
import { faultOfJwk, type PublicJwk } from './public-jwk.ts'

export type IssuerAlgorithm = 'ES256' | 'ES384' | 'EdDSA' | 'PS256' | 'RS256'
/** What a claim may be worth on the AST surface. */
export type IssuerScope = 'ast:read' | 'ast:write' | 'ast:client'

/** How an issuer's tokens are checked and read. Exactly one of `jwksUri` and `jwks` is set. */
export interface TrustedIssuerSettings {
  /** Exact value of `iss`; unique in the tenant. */
  readonly issuer: string
  readonly jwksUri: string | null
  readonly jwks: { readonly keys: readonly PublicJwk[] } | null
  /** One of these must be in `aud`. */
  readonly audiences: readonly string[]
  readonly algorithms: readonly IssuerAlgorithm[]
  /** Dotted path of the claim that is mapped to scopes. */
  readonly claimPath: string
  readonly scopeMap: { readonly [value: string]: readonly IssuerScope[] }
  /** Path of the claim with the device id of an `ast:client` token. */
  readonly clientIdClaim: string | null
  readonly enabled: boolean
}

/** An identity provider whose tokens work on the AST surface of its tenant. */
export interface TrustedIssuer extends TrustedIssuerSettings {
  readonly tenantId: string
  readonly id: string
  readonly ulid: string
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

/** An issuer as it stands now, with what else decides about its tokens. */
export interface StandingIssuer extends TrustedIssuer {
  readonly tenantIsActive: boolean
  readonly settingsVersion: number
}

export type TrustedIssuerChanges = {
  readonly [Member in keyof TrustedIssuerSettings]?: TrustedIssuerSettings[Member] | undefined
}

/** It stands in indexes, whose rows are bounded. */
const issuerBytesMax = 2_048

/** What a new issuer has where nothing else is said (contract, TrustedIssuerCreate). */
export const defaultIssuerSettings = {
  jwksUri: null,
  jwks: null,
  algorithms: ['ES256', 'RS256'],
  claimPath: 'realm_access.roles',
  scopeMap: {
    'ast-admin-read': ['ast:read'],
    'ast-admin-write': ['ast:write'],
    'ast-client': ['ast:client'],
  },
  clientIdClaim: 'astClientId',
  enabled: true,
} as const satisfies Partial<TrustedIssuerSettings>

/** Merges member by member; one kind of keys takes the place of the other. */
export function mergeIssuer(
  present: TrustedIssuerSettings,
  changes: TrustedIssuerChanges,
): TrustedIssuerSettings {
  const { jwksUri, jwks } = changes
  const given = Object.fromEntries(
    Object.entries(changes).filter(([, value]) => value !== undefined),
  ) as Partial<TrustedIssuerSettings>
  const merged = { ...present, ...given }
  // Where both are set it is said so; where one is, the other one goes.
  if (isSet(jwksUri) && !isSet(jwks)) return { ...merged, jwks: null }
  if (isSet(jwks) && !isSet(jwksUri)) return { ...merged, jwksUri: null }
  return merged
}

/** What is wrong with an issuer as a whole, the address excepted. */
export function faultsOfIssuer({ issuer, jwksUri, jwks }: TrustedIssuerSettings): Fault[] {
  const faults: Fault[] = []
  if (Buffer.byteLength(issuer) > issuerBytesMax) {
    const message = `must have at most ${issuerBytesMax} bytes`
    faults.push({ pointer: '/issuer', code: 'out_of_range', message })
  }
  if (jwksUri !== null && jwks !== null) {
    const message = 'cannot be set together with jwksUri'
    faults.push({ pointer: '/jwks', code: 'mutually_exclusive', message })
  }
  if (jwksUri === null && jwks === null) {
    faults.push({ pointer: '/jwksUri', code: 'required', message: 'is needed, or jwks' })
  }
  jwks?.keys.forEach((jwk, index) => {
    const fault = faultOfJwk(jwk, `/jwks/keys/${index}`)
    if (fault !== undefined) faults.push(fault)
  })
  return faults
}

function isSet<T>(value: T | null | undefined): value is T {
  return value !== null && value !== undefined
}
