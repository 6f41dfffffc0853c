import {
  type DomainError,
  type ErrorCode,
  type Fault,
  missingReasons,
  stateReasons,
} from '#domain/errors.ts'
import {
  eachOf,
  type FailureContext,
  type HttpFault,
  malformedMessages,
  type RenderedFailure,
  type RenderFailure,
} from '#http/failure.ts'
import type { Headers } from '#http/handler.ts'
import { type ProblemCatalogue, renderProblem } from '#http/problem.ts'

interface WireError {
  /** Code of the contract's `x-error-codes`, which has status and title. */
  readonly code: string
  /** Code inside `errors[]` for the member that the core points at. */
  readonly faultCode?: string
}

const missing = { code: 'not_found', faultCode: 'not_found' } as const

/** The core's reasons in the words of the platform contract. */
export const wireErrors = {
  invalid_request: { code: 'validation_failed', faultCode: 'bad_format' },
  cursor_invalid: { code: 'cursor_invalid', faultCode: 'bad_format' },
  url_not_allowed: { code: 'url_not_allowed', faultCode: 'unsupported' },
  import_format_unknown: { code: 'import_rejected', faultCode: 'unsupported' },
  import_rejected: { code: 'import_rejected', faultCode: 'bad_format' },
  import_key_required: { code: 'import_rejected', faultCode: 'key_required' },
  unauthenticated: { code: 'unauthenticated' },
  forbidden: { code: 'forbidden' },
  not_grantable: { code: 'not_grantable', faultCode: 'unsupported' },
  device_not_trusted: { code: 'forbidden' },
  too_many_requests: { code: 'too_many_requests' },
  ...eachOf(missingReasons, missing),
  ambiguous_reference: { code: 'reference_not_found', faultCode: 'not_unique' },
  ...eachOf(stateReasons, { code: 'state_conflict' }),
  already_exists: { code: 'already_exists', faultCode: 'duplicate' },
  already_assigned: { code: 'already_exists', faultCode: 'duplicate' },
  in_use: { code: 'in_use' },
  user_disabled: { code: 'user_disabled' },
  tenant_disabled: { code: 'tenant_disabled' },
  not_supported: { code: 'validation_failed', faultCode: 'unsupported' },
  limit_reached: { code: 'limit_reached' },
  no_matching_device: { code: 'no_matching_device' },
  approval_final: { code: 'approval_final' },
  not_signed: { code: 'not_signed' },
  idempotency_key_reused: { code: 'idempotency_key_reused' },
  idempotency_in_progress: { code: 'idempotency_in_progress' },
  one_time_output_gone: { code: 'one_time_output_gone' },
  unavailable: { code: 'unavailable' },
} as const satisfies Record<ErrorCode, WireError>

/** Until when a repeat makes no sense, where the core does not say. */
const retryAfterSecondsDefault = { too_many_requests: 60, unavailable: 5 } as const

/** RFC 6749 section 5.2, for the codes that the OAuth endpoints answer in its form. */
const oauthErrors: Readonly<Record<string, string>> = {
  unauthenticated: 'invalid_client',
  validation_failed: 'invalid_request',
  malformed_body: 'invalid_request',
  not_grantable: 'invalid_scope',
}

interface ProblemParts {
  readonly code: string
  readonly detail?: string | undefined
  readonly faults?: readonly Fault[]
  readonly headers?: Headers
}

/** Failures of the platform API: problem details, and OAuth's own form at its two endpoints. */
export function platformFailures(catalogue: ProblemCatalogue): RenderFailure {
  return (failure, context) => {
    const parts =
      failure.kind === 'http'
        ? httpProblem(failure.fault)
        : failure.kind === 'domain'
          ? domainProblem(failure.error)
          : { code: 'internal' }
    const headers = { ...parts.headers, ...challengeFor(parts.code, context) }
    return (
      oauthFailure(parts.code, context, headers) ??
      renderProblem(catalogue, { ...parts, headers, requestId: context.requestId })
    )
  }
}

function domainProblem(error: DomainError): ProblemParts {
  const wire: WireError = wireErrors[error.code]
  const isReference = error.pointer !== undefined && wire.code === 'not_found'
  const code = isReference ? 'reference_not_found' : wire.code
  return {
    code,
    // All refused credentials look alike.
    detail: code === 'unauthenticated' ? undefined : error.message,
    faults: error.faults.length > 0 ? error.faults : pointedFault(error, wire),
    headers: retryAfter(error),
  }
}

function pointedFault({ pointer, message }: DomainError, { faultCode }: WireError): Fault[] {
  return pointer === undefined || faultCode === undefined
    ? []
    : [{ pointer, code: faultCode, message }]
}

function retryAfter({ code, retryAfterSeconds }: DomainError): Headers {
  if (code !== 'too_many_requests' && code !== 'unavailable') return {}
  const seconds = Math.ceil(retryAfterSeconds ?? retryAfterSecondsDefault[code])
  return { 'retry-after': String(Math.max(1, seconds)) }
}

function httpProblem(fault: HttpFault): ProblemParts {
  switch (fault.kind) {
    case 'route_not_found':
    case 'url_malformed':
    case 'url_too_long':
    case 'path_parameter_invalid':
      // A path that cannot name an object names none.
      return { code: 'not_found' }
    case 'method_not_allowed':
      return { code: 'method_not_allowed', headers: { allow: fault.allow.join(', ') } }
    case 'not_acceptable':
      // Not checked here; answers come in the form that the contract names.
      return { code: 'validation_failed', detail: 'No such form of the answer.' }
    case 'payload_too_large':
      return { code: 'payload_too_large' }
    case 'unsupported_media_type':
      return {
        code: 'unsupported_media_type',
        headers: fault.supported.length === 0 ? {} : { accept: fault.supported.join(', ') },
      }
    case 'malformed_body':
      return { code: 'malformed_body', detail: malformedMessages[fault.reason] }
    case 'validation_failed':
      return { code: 'validation_failed', faults: fault.faults }
  }
}

/** RFC 9110 section 11.6.1: what a caller without a valid credential may try. */
function challengeFor(code: string, { operation }: FailureContext): Headers {
  if (code !== 'unauthenticated') return {}
  const takesBasic = operation?.security.some((scheme) => 'basic' in scheme) === true
  const challenges = takesBasic ? ['Bearer', 'Basic'] : ['Bearer']
  return {
    'www-authenticate': challenges.map((scheme) => `${scheme} realm="countersign"`).join(', '),
  }
}

function oauthFailure(
  code: string,
  { operation }: FailureContext,
  headers: Headers,
): RenderedFailure | undefined {
  const error = oauthErrors[code]
  if (operation?.tag !== 'oauth2' || operation.method !== 'POST' || error === undefined) {
    return undefined
  }
  const status = code === 'unauthenticated' ? 401 : 400
  return { status, contentType: 'application/json', body: { error }, headers }
}
