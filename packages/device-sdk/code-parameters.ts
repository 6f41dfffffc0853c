import { DeviceError } from './device-error.ts'

const lengthMax = 2_048
const version = '1'

/** The parameters of `countersign://…?v=1&…` as a QR code says them. Unknown ones are ignored, none may come twice. */
export class CodeParameters {
  readonly #parameters: URLSearchParams

  /** @throws DeviceError `payload_invalid`; also for an unknown `v`. */
  constructor(text: string, purpose: 'enrol' | 'nonce') {
    const trimmed = text.trim()
    const [, host, query] = /^countersign:\/\/([a-z]{1,16})\?(.*)$/i.exec(trimmed) ?? []
    if (host?.toLowerCase() !== purpose || query === undefined || trimmed.length > lengthMax) {
      throw invalidCode(
        purpose === 'enrol' ? 'This is no enrolment code.' : 'This is no code of a portal.',
      )
    }
    this.#parameters = new URLSearchParams(query)
    if (this.#single('v') !== version) {
      throw invalidCode('This code is of a version that the app does not know.')
    }
  }

  /** Origin, without a path. @throws DeviceError `payload_invalid` for a server that is not to be trusted. */
  server(): string {
    return originOf(this.required('server', /^[\x21-\x7E]{1,1024}$/))
  }

  tenantId(): string {
    return this.required('tenant', /^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$/)
  }

  required(name: string, pattern: RegExp): string {
    const value = this.optional(name, pattern)
    if (value === undefined) throw invalidCode(`The code lacks ${name}.`)
    return value
  }

  optional(name: string, pattern: RegExp): string | undefined {
    const value = this.#single(name)
    if (value !== undefined && !pattern.test(value)) {
      throw invalidCode(`The code has another ${name}.`)
    }
    return value
  }

  #single(name: string): string | undefined {
    const [value, second] = this.#parameters.getAll(name)
    if (second !== undefined) throw invalidCode(`The code has ${name} twice.`)
    return value
  }
}

/** @throws DeviceError `payload_invalid` unless it is https, or http of a loopback address, and nothing but an origin. */
function originOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined) throw invalidCode('The code names no server.')
  const isPlain =
    url.username === '' &&
    url.password === '' &&
    url.pathname === '/' &&
    url.search === '' &&
    url.hash === ''
  const isLoopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(url.hostname)
  const isSafe = url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback)
  if (!isPlain || !isSafe) {
    throw invalidCode('The server of the code is not to be trusted: https only.')
  }
  return url.origin
}

export function invalidCode(message: string): DeviceError {
  return new DeviceError('payload_invalid', message)
}
