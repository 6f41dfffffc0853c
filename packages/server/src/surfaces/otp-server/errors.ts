import {
  DomainError,
  type ErrorCode,
  type Fault,
  missingReasons,
  stateReasons,
} from '#domain/errors.ts'
import type { Contract } from '#http/contract.ts'
import { eachOf, type HttpFault, type RenderedFailure, type RenderFailure } from '#http/failure.ts'
import type { Headers } from '#http/handler.ts'
import { writeXml } from '#http/xml.ts'
import type { Schemas } from './contract.gen.ts'
import { isReserved, type NamedPath, namedPathOf, ReservedNames } from './named-path.ts'

export const xmlContentType = 'application/xml;charset=UTF-8'

export type WireStatus = Schemas['Error']['status']

/** Contract, header `X-Error-Reason`. */
export type WireReason =
  | 'unauthorized'
  | 'not-an-admin'
  | 'unknown-method'
  | 'unknown-list'
  | 'unknown-user'
  | 'unknown-identifier'
  | 'list-not-free'
  | 'invalid-parameter'
  | 'conflicting-parameters'
  | 'missing-parameter'
  | 'method-not-allowed'
  | 'payload-too-large'
  | 'unsupported-media-type'
  | 'too-many-requests'
  | 'unavailable'
  | 'internal'

interface WireError {
  readonly status: WireStatus
  readonly reason: WireReason
}

/** Contract, schema Error: the short name of each status. */
export const shortNames = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  413: 'Payload Too Large',
  415: 'Unsupported Media Type',
  429: 'Too Many Requests',
  500: 'Server Error',
  503: 'Service Unavailable',
} as const satisfies Record<WireStatus, Schemas['Error']['message']>

const unauthorized = { status: 401, reason: 'unauthorized' } as const
const notAnAdmin = { status: 403, reason: 'not-an-admin' } as const
const listNotFree = { status: 403, reason: 'list-not-free' } as const
const unknownMethod = { status: 404, reason: 'unknown-method' } as const
const unknownList = { status: 404, reason: 'unknown-list' } as const
const unknownUser = { status: 404, reason: 'unknown-user' } as const
const unknownIdentifier = { status: 404, reason: 'unknown-identifier' } as const
const invalidParameter = { status: 400, reason: 'invalid-parameter' } as const
const conflictingParameters = { status: 400, reason: 'conflicting-parameters' } as const
const missingParameter = { status: 400, reason: 'missing-parameter' } as const
/** For reasons that no operation of this surface can meet. */
const internal = { status: 500, reason: 'internal' } as const

/** The core's reasons in the words of this surface. */
export const wireErrors = {
  invalid_request: invalidParameter,
  cursor_invalid: invalidParameter,
  url_not_allowed: internal,
  import_format_unknown: internal,
  import_rejected: internal,
  import_key_required: internal,
  unauthenticated: unauthorized,
  forbidden: notAnAdmin,
  not_grantable: internal,
  device_not_trusted: internal,
  too_many_requests: { status: 429, reason: 'too-many-requests' },
  ...eachOf(missingReasons, internal),
  tenant_not_found: notAnAdmin,
  user_not_found: unknownUser,
  method_not_found: unknownMethod,
  list_not_found: unknownList,
  ambiguous_reference: unknownUser,
  ...eachOf(stateReasons, internal),
  list_not_free: listNotFree,
  tenant_disabled: notAnAdmin,
  limit_reached: invalidParameter,
  unavailable: { status: 503, reason: 'unavailable' },
} as const satisfies Record<ErrorCode, WireError>

/** Failures of this surface: the element as it was published, and the detail in a header beside it. */
export function otpServerFailures(contract: Contract): RenderFailure {
  const reserved = new ReservedNames(contract)
  return (failure, { request }) => {
    switch (failure.kind) {
      case 'device':
      case 'internal':
        return rendered(internal)
      case 'http': {
        const path = namedPathOf(request.url)
        const isUnknown =
          failure.fault.kind === 'method_not_allowed' && reserved.isMeaningless(path)
        return isUnknown
          ? rendered(unknownIdentifier)
          : rendered(httpFailure(failure.fault, path), allowOf(failure.fault))
      }
      case 'domain':
        return rendered(domainFailure(failure.error), retryOf(failure.error))
    }
  }
}

function rendered({ status, reason }: WireError, headers: Headers = {}): RenderedFailure {
  const challenge = { 'www-authenticate': 'Basic realm="OTP Server", charset="UTF-8"' }
  return {
    status,
    contentType: xmlContentType,
    body: writeXml({ name: 'error', attributes: { status }, content: shortNames[status] }),
    headers: { 'x-error-reason': reason, ...(status === 401 ? challenge : {}), ...headers },
  }
}

function httpFailure(fault: HttpFault, path: NamedPath): WireError {
  switch (fault.kind) {
    case 'route_not_found':
    case 'url_malformed':
      return unknownIdentifier
    case 'url_too_long':
    case 'not_acceptable':
      return invalidParameter
    case 'method_not_allowed':
      return { status: 405, reason: 'method-not-allowed' }
    case 'path_parameter_invalid':
      return pathFailure(fault.faults[0], path)
    case 'payload_too_large':
      return { status: 413, reason: 'payload-too-large' }
    case 'unsupported_media_type':
      return { status: 415, reason: 'unsupported-media-type' }
    case 'malformed_body':
      if (fault.reason === 'empty') return missingParameter
      return fault.reason === 'duplicate_member' ? conflictingParameters : invalidParameter
    case 'validation_failed':
      return faultFailure(fault.faults[0])
  }
}

function pathFailure(fault: Fault | undefined, path: NamedPath): WireError {
  if (fault?.pointer === 'method-name') return unknownMethod
  return isReserved(path) ? unknownIdentifier : unknownList
}

function domainFailure(error: DomainError): WireError {
  const { code, faults } = error
  return code === 'invalid_request' && faults.length > 0
    ? faultFailure(faults[0])
    : wireErrors[code]
}

function faultFailure(fault: Fault | undefined): WireError {
  switch (fault?.code) {
    case 'required':
      return missingParameter
    case 'mutually_exclusive':
    case 'not_unique':
      return conflictingParameters
    default:
      return invalidParameter
  }
}

function allowOf(fault: HttpFault): Headers {
  return fault.kind === 'method_not_allowed' ? { allow: fault.allow.join(', ') } : {}
}

function retryOf({ code, retryAfterSeconds }: DomainError): Headers {
  if (code !== 'too_many_requests' && code !== 'unavailable') return {}
  return { 'retry-after': String(Math.max(1, Math.ceil(retryAfterSeconds ?? 5))) }
}

/** A parameter that is missing, or that contradicts another one, or cannot be. */
export function refusedParameter(
  name: string,
  code: 'required' | 'mutually_exclusive' | 'bad_format',
): DomainError {
  const message = `The parameter ${name} is not acceptable.`
  return new DomainError('invalid_request', message, {
    faults: [{ pointer: `query:${name}`, code, message: 'is not acceptable' }],
  })
}
