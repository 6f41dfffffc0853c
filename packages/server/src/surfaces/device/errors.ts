import type { DeviceRefusal } from '#domain/devices/device-refusal.ts'
import type { DomainError, ErrorCode, Fault } from '#domain/errors.ts'
import type { Contract } from '#http/contract.ts'
import {
  type Failure,
  type FailureContext,
  type HttpFault,
  malformedMessages,
  type RenderedFailure,
  type RenderFailure,
} from '#http/failure.ts'

/** The core's reasons in the words of the device contract; what devices alone can meet is a DeviceRefusal. */
export const wireErrors = {
  invalid_request: 'validation_failed',
  too_many_requests: 'too_many_requests',
  unavailable: 'unavailable',
  tenant_disabled: 'tenant_disabled',
  user_disabled: 'user_disabled',
  device_not_found: 'token_invalid',
  tenant_not_found: 'token_invalid',
  user_not_found: 'not_linked',
  not_found: 'not_found',
} as const satisfies Partial<Record<ErrorCode | 'not_found', string>>

interface ProblemCode {
  readonly status: number
  readonly tokenStatus: number
  readonly title: string
}

interface Parts {
  readonly code: string
  readonly detail?: string | undefined
  readonly faults?: readonly Fault[]
  readonly members?: Readonly<Record<string, unknown>>
  readonly headers?: Readonly<Record<string, string>>
}

/** RFC 6749 section 5.2 and RFC 9449, for the endpoint that is OAuth's. */
const oauthErrors: Readonly<Record<string, string>> = {
  use_dpop_nonce: 'use_dpop_nonce',
  dpop_invalid: 'invalid_dpop_proof',
  invalid_scope: 'invalid_scope',
  client_invalid: 'invalid_client',
  clock_skew: 'invalid_client',
  replayed: 'invalid_client',
  device_locked: 'unauthorized_client',
  tenant_disabled: 'unauthorized_client',
  user_disabled: 'unauthorized_client',
  version_unknown: 'unauthorized_client',
  version_locked: 'unauthorized_client',
  integrity_mismatch: 'unauthorized_client',
  app_not_registered: 'unauthorized_client',
  not_linked: 'invalid_grant',
  factor_rejected: 'invalid_grant',
  factor_locked: 'invalid_grant',
}

const tokenOperation = 'createToken'
/** What an OAuth library has to understand; the others are HTTP's. */
const oauthStatuses: ReadonlySet<number> = new Set([400, 401, 403])
const retryAfterSecondsDefault = 5

/** `x-problem-codes` of the contract. @throws for a row that cannot be read. */
export function readDeviceProblems(contract: Contract): ReadonlyMap<string, ProblemCode> {
  const rows = contract.extensions['x-problem-codes']
  if (typeof rows !== 'object' || rows === null) throw new Error('No x-problem-codes.')
  return new Map(
    Object.entries(rows as Record<string, { status: unknown; title: unknown }>).map(
      ([code, { status, title }]) => {
        // "400 at createToken, else 401"
        const numbers = String(status).match(/\d{3}/g)?.map(Number) ?? []
        const [first, last = first] = numbers
        if (first === undefined || last === undefined) throw new Error(`No status of ${code}.`)
        return [code, { status: last, tokenStatus: first, title: String(title) }]
      },
    ),
  )
}

/**
 * Failures as problem details (RFC 9457); those of the token endpoint say so in OAuth's words too.
 *
 * @param nonce makes a server nonce for the next proof.
 */
export function deviceFailures(
  problems: ReadonlyMap<string, ProblemCode>,
  nonce: () => string,
): RenderFailure {
  return (failure, context) => {
    const parts = partsOf(failure)
    const isToken = context.operation?.id === tokenOperation
    const row = problems.get(parts.code) ?? problems.get('internal')
    if (row === undefined) throw new Error('The contract has no code for the unexpected.')
    const status = isToken ? row.tokenStatus : row.status
    return render(parts, { row, status, isToken, nonce }, context)
  }
}

function render(
  { code, detail, faults = [], members = {}, headers = {} }: Parts,
  wire: { row: ProblemCode; status: number; isToken: boolean; nonce: () => string },
  { requestId }: FailureContext,
): RenderedFailure {
  const { row, status, isToken, nonce } = wire
  const body = {
    type: `urn:countersign:problem:${code}`,
    title: row.title,
    status,
    code,
    ...(detail === undefined ? {} : { detail }),
    instance: `urn:countersign:request:${requestId}`,
    ...(faults.length === 0 ? {} : { errors: faults }),
    ...members,
    ...(isToken && oauthStatuses.has(status)
      ? { error: oauthErrors[code] ?? 'invalid_request' }
      : {}),
  }
  return {
    status,
    contentType: 'application/problem+json',
    body,
    headers: {
      ...headers,
      ...challengeFor(code, status, members),
      ...(code === 'use_dpop_nonce' ? { 'dpop-nonce': nonce() } : {}),
    },
  }
}

function partsOf(failure: Failure): Parts {
  switch (failure.kind) {
    case 'http':
      return httpParts(failure.fault)
    case 'domain':
      return domainParts(failure.error)
    case 'device':
      return refusalParts(failure.refusal)
    case 'internal':
      return { code: 'internal' }
  }
}

function refusalParts({ code, facts }: DeviceRefusal): Parts {
  const { detail, serverTimeMs, lockReason, attemptsLeft, retryAfterSeconds } = facts
  const { scope, authTimeAtLeast, approvalStatus, decidedByThisDevice } = facts
  const required = {
    ...(scope === undefined ? {} : { scope }),
    ...(authTimeAtLeast === undefined ? {} : { authTimeAtLeast }),
  }
  return {
    code,
    detail,
    members: {
      ...(serverTimeMs === undefined ? {} : { serverTime: new Date(serverTimeMs).toISOString() }),
      ...(lockReason === undefined ? {} : { lockReason }),
      ...(attemptsLeft === undefined ? {} : { attemptsLeft }),
      ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
      ...(Object.keys(required).length === 0 ? {} : { required }),
      ...(approvalStatus === undefined ? {} : { approvalStatus }),
      ...(decidedByThisDevice === undefined ? {} : { decidedByThisDevice }),
    },
    ...(retryAfterSeconds === undefined
      ? {}
      : { headers: { 'retry-after': String(retryAfterSeconds) } }),
  }
}

function domainParts(error: DomainError): Parts {
  const code = (wireErrors as Readonly<Record<string, string>>)[error.code] ?? 'internal'
  if (code !== 'too_many_requests' && code !== 'unavailable') {
    return { code, ...(code === 'internal' ? {} : { faults: error.faults }) }
  }
  const seconds = Math.max(1, Math.ceil(error.retryAfterSeconds ?? retryAfterSecondsDefault))
  return {
    code,
    members: { retryAfterSeconds: seconds },
    headers: { 'retry-after': String(seconds) },
  }
}

function httpParts(fault: HttpFault): Parts {
  switch (fault.kind) {
    case 'route_not_found':
    case 'url_malformed':
    case 'url_too_long':
    case 'path_parameter_invalid':
      return { code: 'not_found' }
    case 'method_not_allowed':
      return { code: 'method_not_allowed', headers: { allow: fault.allow.join(', ') } }
    case 'not_acceptable':
      return { code: 'not_acceptable' }
    case 'payload_too_large':
      return { code: 'payload_too_large' }
    case 'unsupported_media_type':
      return { code: 'unsupported_media_type' }
    case 'malformed_body':
      return { code: 'malformed_body', detail: malformedMessages[fault.reason] }
    case 'validation_failed':
      return { code: 'validation_failed', faults: fault.faults }
  }
}

/** RFC 9449 section 7.1 and RFC 9470 section 3. */
function challengeFor(
  code: string,
  status: number,
  members: Readonly<Record<string, unknown>>,
): Readonly<Record<string, string>> {
  if (status === 401) {
    const error =
      code === 'use_dpop_nonce' ? code : oauthErrors[code] ? 'invalid_dpop_proof' : 'invalid_token'
    return { 'www-authenticate': `DPoP error="${error}", algs="ES256"` }
  }
  if (code === 'scope_missing') {
    const { scope } = members.required as { scope: string }
    return { 'www-authenticate': `DPoP error="insufficient_scope", scope="${scope}"` }
  }
  if (code === 'authentication_too_old') {
    return { 'www-authenticate': 'DPoP error="insufficient_user_authentication"' }
  }
  return {}
}
