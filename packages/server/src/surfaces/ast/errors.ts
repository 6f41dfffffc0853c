import type { DeviceRefusal, DeviceRefusalCode } from '#domain/devices/device-refusal.ts'
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
  type RenderFailure,
} from '#http/failure.ts'
import type { Headers } from '#http/handler.ts'
import type { Schemas } from './contract.gen.ts'

/** Whatever the request and the caller lack, whichever service it was for (ast.md, section 1). */
const gateway = 519

/** The services behind the tags: their numbers are `subsystem` of what they refuse. */
const subsystemByTag: Readonly<Record<string, number>> = {
  'Certificate Authority': 510,
  'Client Properties': 511,
  Version: 512,
  'Client Management': 513,
  Localization: 514,
  Webhooks: 515,
  'Message Sign': 516,
}

/** Ten times the HTTP status and an ordinal; `g` is said by the gateway, `s` by the service that was asked. */
type WireCode = `${'g' | 's'}${4 | 5}${number}`

/** The core's reasons. Codes mean the same for every service, so that a device's display of them does too. */
export const wireErrors = {
  invalid_request: 'g4000',
  cursor_invalid: 'g4000',
  url_not_allowed: 's4003',
  import_format_unknown: 's4000',
  import_rejected: 's4000',
  import_key_required: 's4000',
  unauthenticated: 'g4010',
  forbidden: 'g4030',
  not_grantable: 'g4030',
  device_not_trusted: 'g4030',
  too_many_requests: 'g4290',
  ...eachOf(missingReasons, 's4040'),
  tenant_not_found: 'g4041',
  user_not_found: 's4043',
  identifier_not_found: 's4043',
  device_not_found: 's4044',
  certificate_not_found: 's4042',
  signer_not_found: 's4041',
  approval_not_found: 's4045',
  property_not_found: 's4047',
  template_not_found: 's4048',
  version_not_found: 's4049',
  ambiguous_reference: 's4043',
  ...eachOf(stateReasons, 's4090'),
  already_exists: 's4091',
  already_assigned: 's4091',
  in_use: 's4092',
  tenant_disabled: 'g4032',
  not_supported: 'g4000',
  limit_reached: 's4093',
  no_matching_device: 's4046',
  approval_final: 's4094',
  not_signed: 's4120',
  unavailable: 'g5030',
} as const satisfies Record<ErrorCode, WireCode>

/** What is wrong with a filter has codes of its own; its faults say so by theirs. */
const filterCodes: Readonly<Record<string, WireCode>> = {
  unknown_member: 'g4001',
  bad_format: 'g4002',
}

/** What a device can meet that calls with its own token; everything else is a matter of the device API. */
const deviceCodes: Partial<Record<DeviceRefusalCode, WireCode>> = {
  token_invalid: 'g4010',
  dpop_invalid: 'g4011',
  use_dpop_nonce: 'g4012',
  clock_skew: 'g4013',
  replayed: 'g4014',
  tenant_disabled: 'g4032',
  device_locked: 'g4033',
  user_disabled: 'g4034',
  not_linked: 'g4036',
}

/** Seconds until a repeat makes sense, where the core does not say. */
const retryAfterSecondsDefault = { too_many_requests: 60, unavailable: 5 } as const
/** Faults that one message tells; the others are as many. */
const toldFaultsMax = 5

interface Parts {
  readonly code: WireCode
  readonly message: string
  readonly headers?: Headers
}

/**
 * Failures of this surface: `{message, code, subsystem}`.
 *
 * @param nonce makes a server nonce for a device's next proof.
 */
export function astFailures(nonce: () => string): RenderFailure {
  return (failure, { operation }) => {
    const { code, message, headers = {} } = partsOf(failure, { operation, nonce })
    const number = code.slice(1)
    return {
      status: Math.floor(Number(number) / 10),
      contentType: 'application/json; charset=utf-8',
      body: {
        message,
        code: number,
        subsystem: subsystemOf(code, operation),
      } satisfies Schemas['Error'],
      headers,
    }
  }
}

interface Context extends Pick<FailureContext, 'operation'> {
  readonly nonce: () => string
}

function partsOf(failure: Failure, context: Context): Parts {
  switch (failure.kind) {
    case 'http':
      return httpParts(failure.fault)
    case 'domain':
      return domainParts(failure.error)
    case 'device':
      return deviceParts(failure.refusal, context)
    case 'internal':
      return { code: 'g5000', message: 'Internal server error.' }
  }
}

function subsystemOf(code: WireCode, operation: Operation | undefined): number {
  return code.startsWith('g') ? gateway : (subsystemByTag[operation?.tag ?? ''] ?? gateway)
}

function domainParts(error: DomainError): Parts {
  const { code, message } = error
  switch (code) {
    case 'unauthenticated':
      return {
        code: wireErrors[code],
        message: 'No valid credential.',
        headers: { 'www-authenticate': 'Bearer realm="countersign"' },
      }
    case 'too_many_requests':
    case 'unavailable': {
      const seconds = error.retryAfterSeconds ?? retryAfterSecondsDefault[code]
      const headers = { 'retry-after': String(Math.max(1, Math.ceil(seconds))) }
      return { code: wireErrors[code], message, headers }
    }
    case 'invalid_request': {
      const [first] = error.faults
      const isFilter = first?.pointer === 'query:filter'
      const own = isFilter ? filterCodes[first.code] : undefined
      return own === undefined
        ? { code: wireErrors[code], message: withFaults(message, error.faults) }
        : { code: own, message }
    }
    default:
      return { code: wireErrors[code], message }
  }
}

function deviceParts({ code, facts }: DeviceRefusal, { nonce }: Context): Parts {
  const wire = deviceCodes[code]
  if (wire === undefined) return { code: 'g5000', message: 'Internal server error.' }
  const message = facts.detail ?? deviceMessages[code] ?? 'The device is refused.'
  if (!wire.startsWith('g401')) return { code: wire, message }
  const error =
    code === 'use_dpop_nonce'
      ? code
      : code === 'token_invalid'
        ? 'invalid_token'
        : 'invalid_dpop_proof'
  return {
    code: wire,
    message,
    headers: {
      'www-authenticate': `DPoP error="${error}", algs="ES256"`,
      ...(code === 'use_dpop_nonce' ? { 'dpop-nonce': nonce() } : {}),
    },
  }
}

const deviceMessages: Partial<Record<DeviceRefusalCode, string>> = {
  token_invalid: 'The token is not valid.',
  dpop_invalid: 'The proof does not fit the request.',
  use_dpop_nonce: 'The nonce of the proof has expired.',
  clock_skew: 'The clock of the device is wrong.',
  replayed: 'The proof was used before.',
  tenant_disabled: 'The tenant is disabled.',
  device_locked: 'The client is locked.',
  user_disabled: 'The user is disabled.',
  not_linked: 'The client is not linked to the user.',
}

function httpParts(fault: HttpFault): Parts {
  switch (fault.kind) {
    case 'route_not_found':
    case 'url_malformed':
    case 'url_too_long':
      return { code: 'g4040', message: 'No such path.' }
    case 'method_not_allowed':
      return {
        code: 'g4050',
        message: 'The path does not know the method.',
        headers: { allow: fault.allow.join(', ') },
      }
    case 'not_acceptable':
      return { code: 'g4060', message: 'No such form of the answer.' }
    case 'payload_too_large':
      return { code: 'g4130', message: 'The body is too large.' }
    case 'unsupported_media_type':
      return { code: 'g4150', message: 'The body has another media type than it should.' }
    case 'malformed_body':
      return { code: 'g4003', message: malformedMessages[fault.reason] }
    case 'path_parameter_invalid':
    case 'validation_failed':
      return { code: 'g4000', message: withFaults('The request does not fit.', fault.faults) }
  }
}

/** `The request does not fit. /name: is required.` */
function withFaults(message: string, faults: readonly Fault[]): string {
  const told = faults
    .slice(0, toldFaultsMax)
    .map((fault) => ` ${fault.pointer === '' ? 'body' : fault.pointer}: ${fault.message}.`)
  return message + told.join('')
}
