import { decodeBase32, encodeBase32 } from '../encoding/base32.ts'
import { counterMax, digitsMax, digitsMin, type HashAlgorithm } from './hotp.ts'
import { periodSecondsMax, periodSecondsMin } from './totp.ts'

/** What a key URI tells an authenticator app. `period` is in seconds and of TOTP only, `counter` of HOTP only. */
export interface OtpauthKey {
  readonly type: 'HOTP' | 'TOTP'
  readonly issuer?: string | undefined
  readonly account: string
  readonly secret: Uint8Array
  readonly algorithm: HashAlgorithm
  readonly digits: number
  readonly period?: number | undefined
  readonly counter?: number | undefined
}

/** A key URI is wrong; the message begins with the place: `uri`, `label` or the parameter's name. */
export class OtpauthError extends Error {
  override readonly name = 'OtpauthError'
  readonly place: string

  constructor(place: string, reason: string) {
    super(`${place}: ${reason}`)
    this.place = place
  }
}

const uriLengthMax = 2048
const secretBytesMax = 128
const defaultPeriodSeconds = 30
const defaultDigits = 6

const uriPattern = /^otpauth:\/\/([^/?#]*)\/([^/?#]*)(?:\?([^#]*))?$/i
const printableAscii = /^[\x21-\x7e]*$/
const algorithms: Readonly<Record<string, HashAlgorithm>> = {
  SHA1: 'SHA1',
  SHA256: 'SHA256',
  SHA512: 'SHA512',
}

/**
 * Writes a key URI, for example
 * `otpauth://totp/Acme%20Bank:john.smith?secret=...&issuer=Acme%20Bank&algorithm=SHA1&digits=6&period=30`.
 * Blanks are `%20`, because apps read `+` as itself.
 *
 * @throws OtpauthError if `parseOtpauth` would not read it back.
 */
export function formatOtpauth(key: OtpauthKey): string {
  if (key.issuer === '') throw new OtpauthError('issuer', 'is empty')
  if (key.account === '' || key.account.startsWith(' ')) {
    throw new OtpauthError('label', 'the account is empty or begins with a blank')
  }
  if (key.issuer === undefined && key.account.includes(':')) {
    throw new OtpauthError('label', 'without issuer, the account must have no colon')
  }
  checkSecret(key.secret)
  const label = key.issuer === undefined ? '' : `${encode('issuer', key.issuer)}:`
  const parameters = [`secret=${encodeBase32(key.secret)}`]
  if (key.issuer !== undefined) parameters.push(`issuer=${encode('issuer', key.issuer)}`)
  parameters.push(`algorithm=${key.algorithm}`)
  parameters.push(`digits=${inRange('digits', key.digits, digitsMin, digitsMax)}`)
  parameters.push(movingFactor(key))
  const uri = `otpauth://${key.type.toLowerCase()}/${label}${encode('label', key.account)}?${parameters.join('&')}`
  if (uri.length > uriLengthMax) throw new OtpauthError('uri', 'is too long')
  return uri
}

/**
 * Reads a key URI. Strict where apps differ: a parameter may come once, the issuer before the label's colon and the
 * parameter `issuer` must agree, `period` belongs to TOTP and `counter` to HOTP, which needs it. Absent: SHA1, 6 digits,
 * 30 seconds. Parameters of other names are ignored (`image` and such are common). `+` stands for itself.
 *
 * @throws OtpauthError naming the place; the text itself is not repeated, because it holds a secret.
 */
export function parseOtpauth(uri: string): OtpauthKey {
  if (uri.length > uriLengthMax) throw new OtpauthError('uri', 'is too long')
  if (!printableAscii.test(uri)) throw new OtpauthError('uri', 'has characters that need %-escapes')
  const [whole, typeName = '', label = '', query = ''] = uriPattern.exec(uri) ?? []
  if (whole === undefined) {
    throw new OtpauthError('uri', 'is not otpauth://type/label?parameters')
  }
  const type = typeName.toUpperCase()
  if (type !== 'TOTP' && type !== 'HOTP') throw new OtpauthError('uri', 'type must be totp or hotp')

  const parameters = parseQuery(query)
  const common = {
    ...parseLabel(decode('label', label), parameters.get('issuer')),
    secret: parseSecret(parameters.get('secret')),
    algorithm: parseAlgorithm(parameters.get('algorithm')),
    digits: parseNumber('digits', parameters.get('digits') ?? `${defaultDigits}`, {
      min: digitsMin,
      max: digitsMax,
    }),
  }
  const period = parameters.get('period')
  const counter = parameters.get('counter')
  if (type === 'TOTP') {
    if (counter !== undefined) throw new OtpauthError('counter', 'belongs to hotp only')
    return {
      type,
      ...common,
      period: parseNumber('period', period ?? `${defaultPeriodSeconds}`, {
        min: periodSecondsMin,
        max: periodSecondsMax,
      }),
    }
  }
  if (period !== undefined) throw new OtpauthError('period', 'belongs to totp only')
  if (counter === undefined) throw new OtpauthError('counter', 'is missing')
  return { type, ...common, counter: parseNumber('counter', counter, { min: 0, max: counterMax }) }
}

function parseQuery(query: string): Map<string, string> {
  const parameters = new Map<string, string>()
  if (query === '') return parameters
  for (const pair of query.split('&')) {
    const equals = pair.indexOf('=')
    if (equals < 1) throw new OtpauthError('uri', 'parameters must be name=value')
    const name = decode('uri', pair.slice(0, equals))
    if (parameters.has(name)) throw new OtpauthError(name, 'comes more than once')
    parameters.set(name, decode(name, pair.slice(equals + 1)))
  }
  return parameters
}

function parseLabel(
  label: string,
  issuerParameter: string | undefined,
): { issuer?: string; account: string } {
  if (issuerParameter === '') throw new OtpauthError('issuer', 'is empty')
  // An issuer may have a colon itself, so the parameter decides where the label's prefix ends.
  const prefixLength = issuerParameter?.length ?? label.indexOf(':')
  const hasPrefix = label[prefixLength] === ':'
  const issuer = hasPrefix ? label.slice(0, prefixLength) : issuerParameter
  const hasOtherPrefix = !hasPrefix && label.includes(':')
  if (issuerParameter !== undefined && (issuer !== issuerParameter || hasOtherPrefix)) {
    throw new OtpauthError('issuer', 'differs from the one in the label')
  }
  const account = (hasPrefix ? label.slice(prefixLength + 1) : label).replace(/^ +/, '')
  if (account === '') throw new OtpauthError('label', 'has no account')
  if (issuer === '') throw new OtpauthError('label', 'has an empty issuer')
  return issuer === undefined ? { account } : { issuer, account }
}

function parseSecret(text: string | undefined): Uint8Array {
  if (text === undefined) throw new OtpauthError('secret', 'is missing')
  const secret = decodeBase32(text, { anyCase: true })
  if (!secret) throw new OtpauthError('secret', 'is not Base32')
  checkSecret(secret)
  return secret
}

function checkSecret(secret: Uint8Array): void {
  if (secret.length === 0 || secret.length > secretBytesMax) {
    throw new OtpauthError('secret', `must have 1 to ${secretBytesMax} bytes`)
  }
}

function parseAlgorithm(text = 'SHA1'): HashAlgorithm {
  const name = text.toUpperCase()
  const algorithm = Object.hasOwn(algorithms, name) ? algorithms[name] : undefined
  if (!algorithm) throw new OtpauthError('algorithm', 'must be SHA1, SHA256 or SHA512')
  return algorithm
}

function parseNumber(
  name: string,
  text: string,
  { min, max }: { min: number; max: number },
): number {
  if (!/^(?:0|[1-9][0-9]{0,15})$/.test(text)) throw new OtpauthError(name, 'is not a number')
  return inRange(name, Number(text), min, max)
}

function movingFactor(key: OtpauthKey): string {
  if (key.type === 'TOTP') {
    const period = key.period ?? defaultPeriodSeconds
    if (key.counter !== undefined) throw new OtpauthError('counter', 'belongs to hotp only')
    return `period=${inRange('period', period, periodSecondsMin, periodSecondsMax)}`
  }
  if (key.period !== undefined) throw new OtpauthError('period', 'belongs to totp only')
  return `counter=${inRange('counter', key.counter ?? 0, 0, counterMax)}`
}

function inRange(name: string, value: number, min: number, max: number): number {
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw new OtpauthError(name, `must be from ${min} to ${max}`)
  }
  return value
}

function encode(place: string, text: string): string {
  if (!text.isWellFormed()) throw new OtpauthError(place, 'is not valid Unicode')
  return encodeURIComponent(text)
}

function decode(place: string, text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new OtpauthError(place, 'has a wrong %-escape')
  }
}
