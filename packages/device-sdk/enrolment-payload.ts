import { DeviceError } from './device-error.ts'

/** What a QR code of an enrolment says. Show server and tenant to the user before going on. */
export interface EnrolmentPayload {
  /** Origin, without a path. */
  readonly server: string
  readonly tenantId: string
  readonly code: string
  /** base64url SHA-256 of the DER of the one trust anchor that is to be trusted. */
  readonly anchor: string | undefined
}

const lengthMax = 2_048
const version = '1'

/**
 * Reads `countersign://enrol?v=1&server=…&tenant=…&code=…[&anchor=…]`. Unknown parameters are ignored.
 *
 * @throws DeviceError `payload_invalid`; also for an unknown `v`, a parameter that comes twice, and a server that is not
 *   https (http for a loopback address).
 */
export function parseEnrolmentPayload(text: string): EnrolmentPayload {
  const trimmed = text.trim()
  const query = /^countersign:\/\/enrol\?(.*)$/i.exec(trimmed)?.[1]
  if (query === undefined || trimmed.length > lengthMax) throw invalid('This is no enrolment code.')
  const parameters = new URLSearchParams(query)
  if (single(parameters, 'v') !== version) {
    throw invalid('This code is of a version that the app does not know.')
  }
  return {
    server: originOf(required(parameters, 'server', /^[\x21-\x7E]{1,1024}$/)),
    tenantId: required(parameters, 'tenant', /^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$/),
    code: required(parameters, 'code', /^[A-Za-z0-9_-]{43}$/),
    anchor: optional(parameters, 'anchor', /^[A-Za-z0-9_-]{43}$/),
  }
}

/** @throws DeviceError `payload_invalid` unless it is https, or http of a loopback address, and nothing but an origin. */
export function originOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined) throw invalid('The code names no server.')
  const isPlain =
    url.username === '' &&
    url.password === '' &&
    url.pathname === '/' &&
    url.search === '' &&
    url.hash === ''
  const isLoopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(url.hostname)
  const isSafe = url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback)
  if (!isPlain || !isSafe) throw invalid('The server of the code is not to be trusted: https only.')
  return url.origin
}

function required(parameters: URLSearchParams, name: string, pattern: RegExp): string {
  const value = optional(parameters, name, pattern)
  if (value === undefined) throw invalid(`The code lacks ${name}.`)
  return value
}

function optional(parameters: URLSearchParams, name: string, pattern: RegExp): string | undefined {
  const value = single(parameters, name)
  if (value !== undefined && !pattern.test(value)) throw invalid(`The code has another ${name}.`)
  return value
}

function single(parameters: URLSearchParams, name: string): string | undefined {
  const [value, second] = parameters.getAll(name)
  if (second !== undefined) throw invalid(`The code has ${name} twice.`)
  return value
}

function invalid(message: string): DeviceError {
  return new DeviceError('payload_invalid', message)
}
