import type { FastifyRequest } from 'fastify'
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
  malformedMessages,
  type RenderedFailure,
  type RenderFailure,
} from '#http/failure.ts'
import type { Headers } from '#http/handler.ts'
import type { Schemas } from './contract.gen.ts'
import { toFieldProblems } from './faults.ts'

type WireCode = Schemas['Error']['error_code'] | Schemas['SubscriptionError']['error_code']

interface WireError {
  readonly status: number
  readonly code: WireCode
  /** `{thing}` is what the operation is about; `{name}` and `{id}` are how the path names it. */
  readonly text: string
}

const invalid = {
  status: 400,
  code: 'VALIDATION_FAILED',
  text: 'Validation failed for the request',
} as const
const missingScope = {
  status: 403,
  code: 'UNAUTHORIZED_ACCESS',
  text: 'Missing required scopes',
} as const
const foreignCustomer = {
  status: 403,
  code: 'UNAUTHORIZED_ACCESS',
  text: 'Customer not allowed for this token',
} as const
const badRequest = { status: 400, code: 'BAD_REQUEST', text: 'Bad request' } as const
const missing = { status: 404, code: 'NOT_FOUND', text: 'Not found' } as const
const existing = { status: 400, code: 'ALREADY_EXISTS', text: '{thing} already exists' } as const
const badToken = {
  status: 401,
  code: 'INVALID_ACCESS_TOKEN',
  text: 'The accessToken is invalid or has been revoked.',
} as const
/** Of the audit subscription, whatever the key lacks. */
const badKey = {
  status: 401,
  code: 'AUDIT_UNAUTHORIZED',
  text: 'Missing/MisMatch API KEY',
} as const
const untrustedDevice = {
  status: 403,
  code: 'UNAUTHORIZED_ACCESS',
  text: 'Device not allowed',
} as const
const internal = { status: 500, code: 'INTERNAL_ERROR', text: 'Internal server error' } as const

/** The core's reasons in the words of this surface. */
export const wireErrors = {
  invalid_request: invalid,
  cursor_invalid: invalid,
  url_not_allowed: invalid,
  import_format_unknown: badRequest,
  import_rejected: badRequest,
  import_key_required: badRequest,
  unauthenticated: badToken,
  forbidden: missingScope,
  not_grantable: missingScope,
  device_not_trusted: untrustedDevice,
  too_many_requests: { status: 429, code: 'TOO_MANY_REQUESTS', text: 'Too many requests' },
  ...eachOf(missingReasons, missing),
  tenant_not_found: foreignCustomer,
  account_not_found: { ...missing, text: 'Token not found' },
  user_not_found: { ...missing, text: 'User not found' },
  cabinet_not_found: { ...missing, text: 'OKM with {name} {id} not found' },
  cabinet_user_not_found: { ...missing, text: 'User not found' },
  acl_not_found: { ...missing, text: 'ACL with id {id} not found' },
  acl_link_not_found: { ...missing, text: 'Error: acl-okm record not found' },
  firmware_not_found: { ...missing, text: 'The firmware entry was not found.' },
  subscription_not_found: { ...missing, text: 'Subscription record not found' },
  ambiguous_reference: { ...missing, text: 'User not found' },
  ...eachOf(stateReasons, badRequest),
  already_exists: existing,
  already_assigned: existing,
  owned_by_other: existing,
  tenant_disabled: foreignCustomer,
  no_matching_device: missing,
  approval_final: missing,
  not_signed: missing,
  unavailable: { status: 503, code: 'UNAVAILABLE', text: 'Service unavailable' },
} as const satisfies Record<ErrorCode, WireError>

/** Why nothing is there, by the parameter of the path that names it. */
const missingByParameter: Readonly<Record<string, ErrorCode>> = {
  okmId: 'cabinet_not_found',
  aclId: 'acl_not_found',
  aclOkmId: 'acl_link_not_found',
  firmwareId: 'firmware_not_found',
  tokenId: 'account_not_found',
}

const thingByTag: Readonly<Record<string, string>> = {
  OKM: 'OKM',
  ACL: 'ACL',
  'ACL-OKM': 'acl-okm',
  Firmware: 'Firmware',
  'Audit Subscription': 'Audit subscription',
  Tokens: 'Token',
}

/** What the audit subscription answers in a form of its own: with `status: false` in front. */
const subscriptionCodes: readonly WireCode[] = [
  'NOT_FOUND',
  'AUDIT_UNAUTHORIZED',
  'ALREADY_EXISTS',
  'VALIDATION_FAILED',
]

/** Seconds until a repeat makes sense, where the core does not say. */
const retryAfterSecondsDefault = { too_many_requests: 60, unavailable: 5 } as const

/** Failures of this surface: `{error_code, error_msg}`. */
export const renderFailure: RenderFailure = (failure, context) => {
  const { wire, faults = [], headers = {} } = partsOf(failure, context)
  const { operation, request } = context
  const errors = wire === invalid ? toFieldProblems(faults, operation) : []
  return {
    status: wire.status,
    contentType: 'application/json; charset=utf-8',
    body: {
      ...(isSubscription(operation) && subscriptionCodes.includes(wire.code)
        ? { status: false }
        : {}),
      ...errorBody(wire.code, filled(wire.text, request, operation)),
      ...(errors.length === 0 ? {} : { errors }),
    },
    headers,
  } satisfies RenderedFailure
}

/** The two members that every refusal has. */
export function errorBody<Code extends WireCode>(
  code: Code,
  text: string,
): { readonly error_code: Code; readonly error_msg: string } {
  return { error_code: code, error_msg: text }
}

interface FailureParts {
  readonly wire: WireError
  readonly faults?: readonly Fault[]
  readonly headers?: Headers
}

function partsOf(failure: Failure, context: FailureContext): FailureParts {
  switch (failure.kind) {
    case 'device':
    case 'internal':
      return { wire: internal }
    case 'http':
      return httpParts(failure.fault, context)
    case 'domain':
      return domainParts(failure.error, context)
  }
}

function domainParts(error: DomainError, { operation }: FailureContext): FailureParts {
  switch (error.code) {
    case 'unauthenticated':
      return isSubscription(operation)
        ? { wire: badKey }
        : { wire: badToken, headers: { 'www-authenticate': 'Bearer' } }
    case 'forbidden':
    case 'not_grantable':
      return { wire: isSubscription(operation) ? badKey : missingScope }
    case 'tenant_disabled':
      return { wire: isForDevices(operation) ? untrustedDevice : foreignCustomer }
    case 'too_many_requests':
    case 'unavailable': {
      const seconds = error.retryAfterSeconds ?? retryAfterSecondsDefault[error.code]
      const headers = { 'retry-after': String(Math.max(1, Math.ceil(seconds))) }
      return { wire: wireErrors[error.code], headers }
    }
    case 'limit_reached':
      return { wire: { ...badRequest, text: error.message } }
    default:
      return { wire: wireErrors[error.code], faults: faultsOf(error) }
  }
}

/** What is allowed where the contract has PATCH only to refuse it, by operation. */
export const methodsBesidePatch: Readonly<Record<string, readonly string[]>> = {
  patchOkmCollection: ['GET', 'POST'],
  patchOkm: ['GET', 'PUT', 'DELETE'],
}

function faultsOf({ faults, pointer, code, message }: DomainError): readonly Fault[] {
  return faults.length > 0 || pointer === undefined ? faults : [{ pointer, code, message }]
}

function httpParts(fault: HttpFault, context: FailureContext): FailureParts {
  const { request, operation } = context
  switch (fault.kind) {
    case 'route_not_found':
    case 'url_malformed':
    case 'url_too_long':
    case 'not_acceptable':
      return { wire: missing }
    case 'method_not_allowed':
      return {
        wire: { status: 405, code: 'METHOD_NOT_ALLOWED', text: `Cannot ${request.method}` },
        // PATCH is in the contract only to be refused.
        headers: { allow: fault.allow.filter((method) => method !== 'PATCH').join(', ') },
      }
    case 'path_parameter_invalid':
      return pathParts(fault.faults, operation)
    case 'payload_too_large':
      if (operation !== undefined && operation.id in methodsBesidePatch) {
        return httpParts(
          { kind: 'method_not_allowed', allow: methodsBesidePatch[operation.id] ?? [] },
          context,
        )
      }
      return { wire: { status: 413, code: 'PAYLOAD_TOO_LARGE', text: 'Payload too large' } }
    case 'unsupported_media_type':
      return {
        wire: { status: 415, code: 'UNSUPPORTED_MEDIA_TYPE', text: 'Unsupported media type' },
      }
    case 'malformed_body': {
      const message = malformedMessages[fault.reason]
      return { wire: invalid, faults: [{ pointer: '', code: 'bad_format', message }] }
    }
    case 'validation_failed':
      return { wire: invalid, faults: fault.faults }
  }
}

/** A name that nothing can have is not there, unless the operation says that it looks at names. */
function pathParts(faults: readonly Fault[], operation: Operation | undefined): FailureParts {
  const isChecked =
    isForDevices(operation) || operation?.id === 'getAclOkm' || isSubscription(operation)
  return isChecked
    ? { wire: invalid, faults: faults.map((one) => ({ ...one, pointer: `/${one.pointer}` })) }
    : { wire: missingOf(operation) }
}

function missingOf(operation: Operation | undefined): WireError {
  const code = missingByParameter[parameterOf(operation)]
  return code === undefined ? missing : wireErrors[code]
}

function parameterOf(operation: Operation | undefined): string {
  return /\{([^}]+)\}/.exec(operation?.path ?? '')?.[1] ?? ''
}

function filled(text: string, request: FastifyRequest, operation: Operation | undefined): string {
  if (!text.includes('{')) return text
  const { p0 = '' } = request.params as Readonly<Record<string, string>>
  return text
    .replace('{thing}', () => thingByTag[operation?.tag ?? ''] ?? 'It')
    .replace('{name}', () => (parameterOf(operation) === 'serialNumber' ? 'serial' : 'id'))
    .replace('{id}', () => p0)
}

function isSubscription(operation: Operation | undefined): boolean {
  return operation?.tag === 'Audit Subscription'
}

/** Devices have no token: their operations say so. */
export function isForDevices(operation: Operation | undefined): boolean {
  return operation?.security.some((scheme) => 'deviceCertificate' in scheme) === true
}
