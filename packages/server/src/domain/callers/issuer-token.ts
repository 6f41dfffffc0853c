import type { JsonMembers } from '@countersign/protocol/encoding/json.ts'
import { type CompactJws, readCompactJws } from '@countersign/protocol/message/compact-jws.ts'
import type { IssuerAlgorithm, IssuerScope, TrustedIssuerSettings } from './trusted-issuer.ts'

/** A JWT of an identity provider as it was shown; nothing of it is believed yet but which issuer it names. */
export interface IssuerToken extends CompactJws {
  readonly issuer: string
}

/** Why a token of a trusted issuer does not count. Told to the journal only. */
export type TokenFlaw =
  | 'algorithm_not_allowed'
  | 'type_not_allowed'
  | 'unknown_key'
  | 'bad_signature'
  | 'wrong_audience'
  | 'token_expired'
  | 'not_yet_valid'
  | 'sender_constrained'
  | 'no_subject'

export const clockSkewSecondsMax = 60
const subjectLengthMax = 255

/** `typ` of the header: JWTs, and access tokens by RFC 9068. Everything else is another message. */
const headerTypes: ReadonlySet<unknown> = new Set([
  undefined,
  'jwt',
  'at+jwt',
  'application/at+jwt',
])
/** Claim of Keycloak, where its ID, refresh, logout and DPoP-bound tokens say what they are. */
const claimTypes: ReadonlySet<unknown> = new Set([undefined, 'Bearer'])

/** Reads a compact JWS that names an issuer. @returns undefined for any other text. */
export function readIssuerToken(text: string): IssuerToken | undefined {
  const jws = readCompactJws(text)
  const issuer = jws?.claims.iss
  return jws === undefined || typeof issuer !== 'string' ? undefined : { ...jws, issuer }
}

/** What is wrong with a header, its algorithm aside. Keys, and addresses of keys, in it are not looked at. */
export function flawOfHeader({ header }: IssuerToken): TokenFlaw | undefined {
  const { typ, crit, b64 } = header
  // Extensions that must be understood are understood by nobody here.
  if (crit !== undefined || b64 !== undefined) return 'type_not_allowed'
  const type = typeof typ === 'string' ? typ.toLowerCase() : typ
  return headerTypes.has(type) ? undefined : 'type_not_allowed'
}

/** The algorithm by which the token must be signed: one that the issuer has, never whatever the token says. */
export function algorithmOf(
  { header }: IssuerToken,
  { algorithms }: TrustedIssuerSettings,
): IssuerAlgorithm | undefined {
  return algorithms.find((allowed) => allowed === header.alg)
}

/** What is wrong with a token whose signature holds; in the order in which it is looked at. */
export function flawOfClaims(
  { claims }: IssuerToken,
  { audiences }: TrustedIssuerSettings,
  nowMs: number,
): TokenFlaw | undefined {
  const { aud, exp, nbf, iat, typ, cnf } = claims
  if (!claimTypes.has(typ)) return 'type_not_allowed'
  // Such a token is worth something only together with a key or certificate that a bearer does not show.
  if (cnf !== undefined) return 'sender_constrained'
  if (!namesOneOf(audiences, aud)) return 'wrong_audience'
  const nowSeconds = nowMs / 1000
  if (!isMoment(exp) || nowSeconds >= exp + clockSkewSecondsMax) return 'token_expired'
  for (const start of [nbf, iat]) {
    if (start === undefined) continue
    if (!isMoment(start) || start > nowSeconds + clockSkewSecondsMax) return 'not_yet_valid'
  }
  return subjectOf(claims) === undefined ? 'no_subject' : undefined
}

/** Who the token is about, as the issuer names them; a client where there is no user. */
export function subjectOf({ sub, client_id, azp }: JsonMembers): string | undefined {
  const subject = sub ?? client_id ?? azp
  return typeof subject === 'string' && subject !== '' && subject.length <= subjectLengthMax
    ? subject
    : undefined
}

/** What the claim at `claimPath` is worth: a string, several with blanks between them, or an array of strings. */
export function scopesOf(
  { claims }: IssuerToken,
  { claimPath, scopeMap }: TrustedIssuerSettings,
): ReadonlySet<IssuerScope> {
  const value = claimAt(claims, claimPath)
  const names = typeof value === 'string' ? value.split(' ') : Array.isArray(value) ? value : []
  const scopes = new Set<IssuerScope>()
  for (const name of names) {
    if (typeof name !== 'string' || !Object.hasOwn(scopeMap, name)) continue
    for (const scope of scopeMap[name] ?? []) scopes.add(scope)
  }
  return scopes
}

/** The id at `clientIdClaim`; undefined where there is none. */
export function clientIdOf({ claims }: IssuerToken, path: string): string | undefined {
  const id = claimAt(claims, path)
  return typeof id === 'string' ? id : undefined
}

/** A claim that has the whole path as its name counts first: names may be URLs, which have dots. */
function claimAt(claims: JsonMembers, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path]
  let value: unknown = claims
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as JsonMembers)[name]
  }
  return value
}

function namesOneOf(audiences: readonly string[], aud: unknown): boolean {
  const named: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
  return (
    named.every((name) => typeof name === 'string') &&
    audiences.some((audience) => named.includes(audience))
  )
}

/** RFC 7519, NumericDate: seconds, possibly with a fraction. */
function isMoment(value: unknown): value is number {
  return typeof value === 'number' && value >= 0
}
