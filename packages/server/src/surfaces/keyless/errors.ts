import {
  type DomainError,
  type ErrorCode,
  type Fault,
  missingReasons,
  stateReasons,
} from '#domain/errors.ts'
import { ulidToHex } from '#domain/ulid.ts'
import type { Operation } from '#http/contract.ts'
import {
  eachOf,
  type Failure,
  type FailureContext,
  type HttpFault,
  malformedMessages,
  type RenderFailure,
} from '#http/failure.ts'
import type { Headers } from '#http/handler.ts'
import type { Schemas } from './contract.gen.ts'

interface WireError {
  readonly status: number
  readonly message: string
}

const invalid = { status: 400, message: 'Invalid request' } as const
const unauthorized = { status: 401, message: 'Missing or unknown API key' } as const
const missing = { status: 404, message: 'Resource not found' } as const
const notAcceptable = { status: 406, message: 'Not acceptable' } as const
const conflict = { status: 409, message: 'Conflict with the present state' } as const
const unsupported = { status: 415, message: 'Unsupported media type' } as const
const busy = { status: 429, message: 'Too many requests' } as const
const internal = { status: 500, message: 'Internal error' } as const
const unavailable = { status: 503, message: 'Service unavailable' } as const

/** The core's reasons in the words of this surface; `internal` for those that none of its operations can meet. */
export const wireErrors = {
  invalid_request: invalid,
  cursor_invalid: invalid,
  url_not_allowed: internal,
  import_format_unknown: internal,
  import_rejected: internal,
  import_key_required: internal,
  unauthenticated: unauthorized,
  forbidden: unauthorized,
  not_grantable: unauthorized,
  device_not_trusted: unauthorized,
  too_many_requests: busy,
  ...eachOf(missingReasons, internal),
  tenant_not_found: missing,
  user_not_found: missing,
  identifier_not_found: missing,
  device_not_found: missing,
  approval_not_found: missing,
  property_not_found: missing,
  template_not_found: missing,
  version_not_found: missing,
  platform_not_found: missing,
  app_not_found: missing,
  policy_not_found: missing,
  policy_assignment_not_found: missing,
  registration_not_found: missing,
  ambiguous_reference: internal,
  ...eachOf(stateReasons, internal),
  already_exists: conflict,
  in_use: conflict,
  state_conflict: conflict,
  user_disabled: conflict,
  tenant_disabled: unauthorized,
  limit_reached: conflict,
  no_matching_device: conflict,
  approval_final: conflict,
  unavailable: unavailable,
} as const satisfies Record<ErrorCode, WireError>

/** What `code` adds to the status. */
const codeBase = 10_000
/** Seconds until a repeat makes sense, where the core does not say. */
const retryAfterSecondsDefault = 5

/** Failures of this surface: `{code, message, requestId}`. */
export const renderFailure: RenderFailure = (failure, context) => {
  const { wire, headers = {} } = partsOf(failure, context)
  const { status, message } = wire
  return {
    status,
    contentType: 'application/json; charset=utf-8',
    body: {
      code: codeBase + status,
      message,
      requestId: toUuid(context.requestId),
    } satisfies Schemas['Error'],
    headers: { ...headers, ...(status === 401 ? { 'www-authenticate': 'ApiKey' } : {}) },
  }
}

interface FailureParts {
  readonly wire: WireError
  readonly headers?: Headers
}

function partsOf(failure: Failure, { operation }: FailureContext): FailureParts {
  switch (failure.kind) {
    case 'device':
    case 'internal':
      return { wire: internal }
    case 'http':
      return httpParts(failure.fault, operation)
    case 'domain':
      return domainParts(failure.error)
  }
}

function domainParts({ code, message, retryAfterSeconds }: DomainError): FailureParts {
  const wire = wireErrors[code]
  if (wire === invalid || wire === conflict) return { wire: { ...wire, message } }
  if (wire !== busy && wire !== unavailable) return { wire }
  const seconds = Math.max(1, Math.ceil(retryAfterSeconds ?? retryAfterSecondsDefault))
  return { wire, headers: { 'retry-after': String(seconds) } }
}

function httpParts(fault: HttpFault, operation: Operation | undefined): FailureParts {
  switch (fault.kind) {
    case 'route_not_found':
    case 'url_malformed':
    case 'url_too_long':
      return { wire: missing }
    case 'method_not_allowed':
      return {
        wire: { status: 405, message: 'Method not allowed' },
        headers: { allow: fault.allow.join(', ') },
      }
    case 'not_acceptable':
      return { wire: notAcceptable }
    case 'path_parameter_invalid':
      // Where nothing can be malformed, a name that nothing can have is not there.
      return { wire: declares400(operation) ? withFault(fault.faults[0]) : missing }
    case 'payload_too_large':
      return { wire: { ...invalid, message: 'The body is too large' } }
    case 'unsupported_media_type':
      return { wire: unsupported }
    case 'malformed_body':
      return { wire: { ...invalid, message: malformedMessages[fault.reason] } }
    case 'validation_failed':
      return { wire: withFault(fault.faults[0]) }
  }
}

function declares400(operation: Operation | undefined): boolean {
  return operation?.responses.some(({ status }) => status === 400) === true
}

function withFault(fault: Fault | undefined): WireError {
  if (fault === undefined) return invalid
  const name = fault.pointer.replace(/^(\/|query:|header:)/, '')
  return { ...invalid, message: `${name === '' ? 'The body' : name} ${fault.message}` }
}

/** The same 128 bits as the `X-Request-Id`. */
function toUuid(ulid: string): string {
  return ulidToHex(ulid).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
