import {
  type DomainError,
  type ErrorCode,
  type Fault,
  missingReasons,
  stateReasons,
} from '#domain/errors.ts'
import type { Operation } from '#http/contract.ts'
import {
  eachOf,
  type Failure,
  type FailureContext,
  type HttpFault,
  type RenderedFailure,
  type RenderFailure,
} from '#http/failure.ts'
import type { Headers } from '#http/handler.ts'
import type { Schemas } from './contract.gen.ts'
import { attributeOf, type WireEntityName, wireEntities, wireRelationOf } from './wire.ts'

/** Contract, `x-error-codes`: the numbers of failures without a report. */
export type WireCode = Schemas['ErrorEnvelope']['error'] | 1051

interface WireError {
  readonly status: number
  readonly error: WireCode
  /** `{path}`, `{name}` and `{reason}` are filled in. */
  readonly message: string
}

const invalidParameter = {
  status: 200,
  error: 1004,
  message: 'Invalid parameter: {path}',
} as const
const notAllowed = {
  status: 200,
  error: 1008,
  message: 'The calling agent may not use this method',
} as const

/** The core's reasons in the vendor's numbers. Whatever a method decides is told under HTTP 200. */
export const wireErrors = {
  invalid_request: invalidParameter,
  cursor_invalid: invalidParameter,
  url_not_allowed: invalidParameter,
  import_format_unknown: {
    status: 200,
    error: 1050,
    message: 'The import file format is not recognised',
  },
  import_rejected: { status: 200, error: 1051, message: 'The import file was rejected' },
  import_key_required: {
    status: 200,
    error: 1052,
    message: 'The import file key or password is missing or wrong',
  },
  unauthenticated: {
    status: 401,
    error: 1007,
    message: 'The calling agent is not authenticated',
  },
  forbidden: notAllowed,
  not_grantable: notAllowed,
  device_not_trusted: notAllowed,
  too_many_requests: { status: 429, error: 1000, message: 'Too many requests' },
  ...eachOf(missingReasons, invalidParameter),
  tenant_not_found: notAllowed,
  domain_not_found: {
    status: 200,
    error: 242,
    message: 'The requested domain is not defined in the realm',
  },
  user_not_found: { status: 200, error: 101, message: 'user not found.' },
  identifier_not_found: { status: 200, error: 101, message: 'user not found.' },
  product_not_found: { status: 200, error: 1022, message: 'product not found.' },
  repository_not_found: { status: 200, error: 1023, message: 'repository not found.' },
  token_not_found: { status: 200, error: 1021, message: 'token not found.' },
  assignment_not_found: { status: 200, error: 1024, message: 'token assignment not found.' },
  ticket_not_found: {
    status: 404,
    error: 1070,
    message: 'The download link is unknown or no longer valid',
  },
  ambiguous_reference: {
    status: 200,
    error: 1025,
    message: 'More than one object matches: {path}',
  },
  ...eachOf(stateReasons, invalidParameter),
  already_exists: {
    status: 200,
    error: 1026,
    message: 'An object with the same {name} exists',
  },
  already_assigned: {
    status: 200,
    error: 1030,
    message: 'The token is already assigned to this user',
  },
  not_assigned: { status: 200, error: 1031, message: 'The token is not assigned to this user' },
  owned_by_other: { status: 200, error: 1038, message: 'The token is owned by another user' },
  in_use: { status: 200, error: 1036, message: 'The status change is not allowed' },
  state_conflict: { status: 200, error: 1036, message: 'The status change is not allowed' },
  token_not_active: { status: 200, error: 1032, message: 'The token is not active' },
  token_confined: { status: 200, error: 1034, message: 'The token may not be downloaded' },
  assignment_not_active: {
    status: 200,
    error: 1033,
    message: 'The token assignment is not active',
  },
  assignment_locked: { status: 200, error: 1041, message: 'The token assignment is locked' },
  user_disabled: { status: 200, error: 1037, message: 'The user is not active' },
  tenant_disabled: notAllowed,
  not_supported: {
    status: 200,
    error: 1035,
    message: 'The product does not support this operation',
  },
  unavailable: { status: 503, error: 1000, message: 'The server is not available' },
} as const satisfies Record<ErrorCode, WireError>

/** What verification and synchronisation answer. They are decisions, not errors of the core. */
export const decisions = {
  incorrectCredentials: { error: 1040, message: 'Incorrect credentials' },
  locked: { error: 1041, message: 'The token assignment is locked' },
  outOfSync: { error: 1042, message: 'The token is out of sync' },
  syncFailed: { error: 1043, message: 'The token could not be synchronised' },
} as const

const missingParameter = { status: 200, error: 1003, message: 'Missing parameter: {path}' } as const
const unknownAttribute = { status: 200, error: 1005, message: 'Unknown attribute: {name}' } as const
const readOnlyAttribute = {
  status: 200,
  error: 1006,
  message: 'Read-only attribute: {name}',
} as const
const internal = { status: 500, error: 1000, message: 'Internal error' } as const

/** A failure envelope with HTTP 200. */
export function refusal<Code extends Schemas['ErrorEnvelope']['error']>(failure: {
  readonly error: Code
  readonly message: string
}): { status: 200; body: { error: Code; message: string; severity: 'ERROR' } } {
  return { status: 200, body: envelope(failure) }
}

/** The number and text of a refusal, for the rows of a report. */
export function reportOf(code: ErrorCode): { error: WireCode; message: string } {
  const { error, message } = wireErrors[code]
  return { error, message: fill(message, 'row', 'row') }
}

/** Failures of this surface: envelopes, and RFC 6749's own form at `oauth/token`. */
export const renderFailure: RenderFailure = (failure, context) => {
  const wire = wireFailure(failure, context.operation)
  const headers = { ...headersOf(failure), ...challengeFor(wire.error, context) }
  if (context.operation?.id === 'oauthToken') return oauthFailure(failure, wire, headers)
  const isLink = context.operation?.tag === 'provisioning' && context.operation.method === 'GET'
  // What only describes a link tells no more than whether it is good.
  const told = isLink && wire.status === 200 ? wireErrors.ticket_not_found : wire
  return {
    status: told.status,
    contentType: 'application/json; charset=utf-8',
    body: envelope(told),
    headers,
  }
}

function envelope<Code extends number>({
  error,
  message,
}: {
  error: Code
  message: string
}): {
  error: Code
  message: string
  severity: 'ERROR'
} {
  return { error, message, severity: 'ERROR' }
}

function wireFailure(failure: Failure, operation: Operation | undefined): WireError {
  switch (failure.kind) {
    case 'device':
    case 'internal':
      return internal
    case 'http':
      return httpFailure(failure.fault, operation)
    case 'domain':
      return domainFailure(failure.error, operation)
  }
}

function httpFailure(fault: HttpFault, operation: Operation | undefined): WireError {
  switch (fault.kind) {
    case 'route_not_found':
    case 'url_malformed':
    case 'url_too_long':
      return { status: 404, error: 1002, message: 'Unknown object or method' }
    case 'path_parameter_invalid':
      return wireErrors.ticket_not_found
    case 'method_not_allowed':
      return { status: 405, error: 1011, message: 'Use POST' }
    case 'payload_too_large':
      return { status: 413, error: 1009, message: 'The request body is too large' }
    case 'unsupported_media_type':
    case 'not_acceptable':
      return { status: 415, error: 1010, message: 'The request body must be application/json' }
    case 'malformed_body':
      return { status: 400, error: 1001, message: 'The request body is not a JSON object' }
    case 'validation_failed':
      return faultFailure(fault.faults[0], operation)
  }
}

function domainFailure(error: DomainError, operation: Operation | undefined): WireError {
  const [fault] = error.faults
  if (error.code === 'invalid_request' && fault !== undefined) return faultFailure(fault, operation)
  const wire = fallback(wireErrors[error.code], operation)
  const path = pathOf(error.pointer ?? fault?.pointer ?? '')
  return { ...wire, message: fill(wire.message, path || 'body', path.split('.').at(-1) ?? '') }
}

/** Methods that find an object by another one have only one number for "not there". */
function fallback(wire: WireError, operation: Operation | undefined): WireError {
  const listed = operation?.extensions['x-errors']
  if (!Array.isArray(listed) || listed.includes(wire.error)) return wire
  if (wire.error === 242 && listed.includes(101)) return wireErrors.user_not_found
  if (wire.error === 1021 && listed.includes(1024)) return wireErrors.assignment_not_found
  if (wire.error === 1022 && listed.includes(1021)) return wireErrors.token_not_found
  return wire
}

/** Contract 1003 to 1006. */
function faultFailure(fault: Fault | undefined, operation: Operation | undefined): WireError {
  const path = pathOf(fault?.pointer ?? '')
  if (fault?.code === 'required') {
    // A body that names its object in none of the ways the method knows lacks an id.
    return { ...missingParameter, message: fill(missingParameter.message, path || 'id', path) }
  }
  if (fault?.code === 'unknown_member') {
    const name = path.split('.').slice(1).join('.')
    const wire = isReadOnly(fault.pointer, operation) ? readOnlyAttribute : unknownAttribute
    return { ...wire, message: fill(wire.message, path, name) }
  }
  const wire = wireErrors.invalid_request
  return { ...wire, message: fill(wire.message, path || 'body', path) }
}

/** An attribute that the object has and this method does not write. */
function isReadOnly(pointer: string, operation: Operation | undefined): boolean {
  const listed = operation?.extensions['x-errors']
  const entity = operation?.tag ?? ''
  if (!Array.isArray(listed) || !listed.includes(1006) || !isEntity(entity)) return false
  const [head = ''] = /^\/attrs\/([^/]+)$/.exec(pointer)?.[1]?.split('.') ?? []
  return attributeOf(entity, head) !== undefined || wireRelationOf(entity, head) !== undefined
}

function isEntity(tag: string): tag is WireEntityName {
  return Object.hasOwn(wireEntities, tag)
}

function fill(message: string, path: string, name: string): string {
  return message.replace('{path}', () => path).replace('{name}', () => name)
}

/** `/attrs/user/loginName` → `attrs.user.loginName`. */
function pathOf(pointer: string): string {
  const [, ...names] = pointer.split('/')
  return names.map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~')).join('.')
}

function headersOf(failure: Failure): Headers {
  if (failure.kind === 'http' && failure.fault.kind === 'method_not_allowed') {
    return { allow: failure.fault.allow.join(', ') }
  }
  if (failure.kind !== 'domain') return {}
  const { code, retryAfterSeconds } = failure.error
  if (code !== 'too_many_requests' && code !== 'unavailable') return {}
  return { 'retry-after': String(Math.max(1, Math.ceil(retryAfterSeconds ?? 5))) }
}

/** RFC 9110 section 11.6.1. */
function challengeFor(code: WireCode, { operation }: FailureContext): Headers {
  if (code !== 1007) return {}
  const scheme = operation?.id === 'oauthToken' ? 'Basic' : 'Bearer'
  return { 'www-authenticate': `${scheme} realm="countersign"` }
}

/** RFC 6749 section 5.2. */
function oauthFailure(failure: Failure, wire: WireError, headers: Headers): RenderedFailure {
  const error = oauthErrorOf(failure)
  const status = error === 'invalid_client' ? 401 : wire.status >= 429 ? wire.status : 400
  return { status, contentType: 'application/json; charset=utf-8', body: { error }, headers }
}

function oauthErrorOf(failure: Failure): string {
  if (failure.kind === 'internal' || failure.kind === 'device') return 'server_error'
  if (failure.kind === 'domain') {
    switch (failure.error.code) {
      case 'unauthenticated':
        return 'invalid_client'
      case 'forbidden':
        return 'unauthorized_client'
      case 'not_grantable':
        return 'invalid_scope'
      case 'unavailable':
      case 'too_many_requests':
        return 'temporarily_unavailable'
      default:
        return 'invalid_request'
    }
  }
  const { fault } = failure
  const isGrant =
    fault.kind === 'validation_failed' &&
    fault.faults.some(({ pointer, code }) => pointer === '/grant_type' && code !== 'required')
  return isGrant ? 'unsupported_grant_type' : 'invalid_request'
}
