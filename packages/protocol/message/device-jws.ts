import { decodeBase64url, encodeBase64url } from '../encoding/base64.ts'
import { isJsonObject, type JsonMembers } from '../encoding/json.ts'
import { encodeUtf8 } from '../encoding/utf8.ts'
import { type CompactJws, readCompactJws } from './compact-jws.ts'

/** A P-256 public key (RFC 7518, section 6.2.1); both coordinates 32 bytes in base64url. */
export interface EcPublicJwk {
  readonly kty: 'EC'
  readonly crv: 'P-256'
  readonly x: string
  readonly y: string
}

/** The kinds of JWS that a device signs: `x-jws` of the device contract, docs/contracts/device.md section 11. */
export type DeviceJwsKind = 'keys' | 'client' | 'dpop' | 'login' | 'decision' | 'request'

export interface KeyStatementClaims {
  readonly aud: string
  readonly iat: number
  readonly jti: string
  readonly codeHash?: string
  readonly deviceJkt: string
  readonly bioJkt?: string
  readonly iss?: string
  readonly sub?: string
}

export interface ClientAssertionClaims {
  readonly iss: string
  readonly sub: string
  readonly aud: string
  readonly iat: number
  readonly exp: number
  readonly jti: string
  readonly app: Readonly<Record<string, string>>
}

export interface DpopClaims {
  readonly jti: string
  readonly htm: string
  readonly htu: string
  readonly iat: number
  readonly ath?: string
  readonly nonce?: string
}

export interface LoginClaims {
  readonly iss: string
  readonly sub: string
  readonly aud: string
  readonly iat: number
  readonly jti: string
  readonly nonce: string
  readonly amr: readonly ['bio']
}

export interface DecisionClaims {
  readonly iss: string
  readonly sub: string
  readonly aud: string
  readonly iat: number
  readonly jti: string
  readonly nonce: string
  readonly amr?: readonly ['pin' | 'bio']
  readonly decision: 'accept' | 'reject'
  readonly approvalId?: string
  readonly reference?: string
  readonly payloadHash?: string
  readonly tdHash?: string
}

export interface RequestProofClaims {
  readonly iss: string
  readonly sub: string
  readonly aud: string
  readonly iat: number
  readonly jti: string
  readonly htm: string
  readonly htu: string
  readonly bodyHash: string
}

interface ClaimsOf {
  keys: KeyStatementClaims
  client: ClientAssertionClaims
  dpop: DpopClaims
  login: LoginClaims
  decision: DecisionClaims
  request: RequestProofClaims
}

/** A JWS whose shape is right; its signature is not checked yet. */
export interface DeviceJws<Kind extends DeviceJwsKind>
  extends Pick<CompactJws, 'payload' | 'signingInput'> {
  /** The key that the header brings; kinds with `jwk` only. */
  readonly jwk: EcPublicJwk | undefined
  /** RFC 7638 thumbprint that the header names; kinds with `kid` only. */
  readonly kid: string | undefined
  readonly claims: ClaimsOf[Kind]
  /** r and s, 32 bytes each. */
  readonly signature: Uint8Array
}

interface Shape {
  readonly types: readonly (string | undefined)[]
  readonly key: 'jwk' | 'kid'
  readonly claims: Readonly<Record<string, Claim>>
  /** Others than those listed are refused. */
  readonly isClosed: boolean
}

interface Claim {
  readonly isOptional?: true
  readonly fits: (value: unknown) => boolean
}

const factsMax = 16

const text = (lengthMax: number): Claim => ({
  fits: (value) => typeof value === 'string' && value.length > 0 && value.length <= lengthMax,
})
const pattern = (expression: RegExp): Claim => ({
  fits: (value) => typeof value === 'string' && expression.test(value),
})
const oneOf = (...values: readonly string[]): Claim => ({
  fits: (value) => typeof value === 'string' && values.includes(value),
})
const onlyOneOf = (...values: readonly string[]): Claim => ({
  fits: (value) => Array.isArray(value) && value.length === 1 && values.includes(String(value[0])),
})
const optional = (claim: Claim): Claim => ({ ...claim, isOptional: true })

const seconds: Claim = { fits: (value) => Number.isSafeInteger(value) && Number(value) >= 1 }
const hash = pattern(/^[A-Za-z0-9_-]{43}$/)
const jti = pattern(/^[A-Za-z0-9_-]{22,86}$/)
const nonce = pattern(/^[A-Za-z0-9_-]{22,256}$/)
const ulid = pattern(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/)
const method = oneOf('GET', 'POST', 'PUT', 'PATCH', 'DELETE')
const uri = text(2_048)
const userId = text(255)
const facts: Claim = {
  fits: (value) =>
    isJsonObject(value) &&
    Object.keys(value).length <= factsMax &&
    Object.values(value).every((fact) => typeof fact === 'string'),
}

const shapes: Readonly<Record<DeviceJwsKind, Shape>> = {
  keys: {
    types: ['countersign-keys+jwt'],
    key: 'jwk',
    isClosed: true,
    claims: {
      aud: uri,
      iat: seconds,
      jti,
      codeHash: optional(hash),
      deviceJkt: hash,
      bioJkt: optional(hash),
      iss: optional(ulid),
      sub: optional(userId),
    },
  },
  client: {
    // Stock OAuth libraries write `JWT`, or nothing.
    types: ['client-authentication+jwt', 'JWT', undefined],
    key: 'kid',
    isClosed: false,
    claims: { iss: ulid, sub: ulid, aud: uri, iat: seconds, exp: seconds, jti, app: facts },
  },
  dpop: {
    types: ['dpop+jwt'],
    key: 'jwk',
    isClosed: false,
    claims: {
      jti,
      htm: method,
      htu: uri,
      iat: seconds,
      ath: optional(hash),
      nonce: optional(nonce),
    },
  },
  login: {
    types: ['countersign-login+jwt'],
    key: 'kid',
    isClosed: true,
    claims: {
      iss: ulid,
      sub: userId,
      aud: uri,
      iat: seconds,
      jti,
      nonce,
      amr: onlyOneOf('bio'),
    },
  },
  decision: {
    types: ['countersign-decision+jwt'],
    key: 'kid',
    isClosed: true,
    claims: {
      iss: ulid,
      sub: userId,
      aud: uri,
      iat: seconds,
      jti,
      nonce,
      amr: optional(onlyOneOf('pin', 'bio')),
      decision: oneOf('accept', 'reject'),
      approvalId: optional(ulid),
      reference: optional(pattern(/^[\x21-\x7E]{1,255}$/)),
      payloadHash: optional(hash),
      tdHash: optional(hash),
    },
  },
  request: {
    types: ['countersign-request+jwt'],
    key: 'kid',
    isClosed: true,
    claims: {
      iss: ulid,
      sub: userId,
      aud: uri,
      iat: seconds,
      jti,
      htm: method,
      htu: pattern(/^\/[\x21-\x7E]{0,2047}$/),
      bodyHash: hash,
    },
  },
}

/** The `typ` that a device writes for a kind. */
export const deviceJwsTypes: Readonly<Record<DeviceJwsKind, string>> = {
  keys: 'countersign-keys+jwt',
  client: 'client-authentication+jwt',
  dpop: 'dpop+jwt',
  login: 'countersign-login+jwt',
  decision: 'countersign-decision+jwt',
  request: 'countersign-request+jwt',
}

/**
 * Reads a compact JWS of the kind that is expected here. What the JWS says of itself chooses nothing: `typ`, `alg` and the
 * way its key is named must be those of the kind, base64url must be canonical, no member may come twice, and every claim
 * must have its shape.
 *
 * @returns undefined for anything else.
 */
export function readDeviceJws<Kind extends DeviceJwsKind>(
  kind: Kind,
  compact: string,
): DeviceJws<Kind> | undefined {
  const jws = readCompactJws(compact)
  if (jws?.signature.length !== 64) return undefined
  const { header, claims, payload, signingInput, signature } = jws
  const shape = shapes[kind]
  const key = keyOf(header, shape)
  if (key === undefined || !claimsFit(claims, shape)) return undefined
  if (kind === 'decision' && !isWholeDecision(claims)) return undefined
  return { ...key, claims: claims as unknown as ClaimsOf[Kind], payload, signingInput, signature }
}

/** The text that a device signs: header and payload in base64url, in the member order given. */
export function deviceSigningInput(
  kind: DeviceJwsKind,
  key: { readonly jwk: EcPublicJwk } | { readonly kid: string },
  claims: object,
): string {
  const header = { typ: deviceJwsTypes[kind], alg: 'ES256', ...key }
  return `${encodeText(JSON.stringify(header))}.${encodeText(JSON.stringify(claims))}`
}

/** A public P-256 key with the members of a public P-256 key, and coordinates of 32 bytes in canonical base64url. */
export function isEcPublicJwk(value: unknown): value is EcPublicJwk {
  return (
    isJsonObject(value) &&
    Object.keys(value).length === 4 &&
    value.kty === 'EC' &&
    value.crv === 'P-256' &&
    isCoordinate(value.x) &&
    isCoordinate(value.y)
  )
}

function isCoordinate(value: unknown): boolean {
  return typeof value === 'string' && value.length === 43 && decodeBase64url(value)?.length === 32
}

function keyOf(
  header: JsonMembers,
  { types, key }: Shape,
): { jwk: EcPublicJwk | undefined; kid: string | undefined } | undefined {
  const { typ, alg, jwk, kid, ...others } = header
  if (alg !== 'ES256' || !types.includes(typ as string | undefined)) return undefined
  if (Object.keys(others).length > 0) return undefined
  if (key === 'jwk') {
    return kid === undefined && isEcPublicJwk(jwk) ? { jwk, kid: undefined } : undefined
  }
  const isNamed = jwk === undefined && typeof kid === 'string' && hash.fits(kid)
  return isNamed ? { jwk: undefined, kid } : undefined
}

function claimsFit(claims: JsonMembers, shape: Shape): boolean {
  for (const [name, claim] of Object.entries(shape.claims)) {
    const value = claims[name]
    if (value === undefined ? claim.isOptional !== true : !claim.fits(value)) return false
  }
  return !shape.isClosed || Object.keys(claims).every((name) => Object.hasOwn(shape.claims, name))
}

/** Rules between claims: `DecisionClaims` of the contract. */
function isWholeDecision(claims: JsonMembers): boolean {
  const { decision, amr, tdHash, approvalId, reference, payloadHash } = claims
  const accepts = decision === 'accept'
  if (accepts !== (amr !== undefined)) return false
  if (!accepts && tdHash !== undefined) return false
  const names = approvalId !== undefined || reference !== undefined
  return !names || payloadHash !== undefined
}

function encodeText(value: string): string {
  return encodeBase64url(encodeUtf8(value))
}
