import { decodeBase32 } from '@countersign/protocol/encoding/base32.ts'
import { decodeBase64 } from '@countersign/protocol/encoding/base64.ts'
import { decodeHex } from '@countersign/protocol/encoding/hex.ts'
import {
  counterMax,
  digitsMax,
  digitsMin,
  type HashAlgorithm,
} from '@countersign/protocol/otp/hotp.ts'
import { periodSecondsMax, periodSecondsMin } from '@countersign/protocol/otp/totp.ts'
import {
  descriptionLengthMax,
  EntryProblem,
  type SecretEncoding,
  secretBytesMax,
  secretBytesMin,
} from './seed-file.ts'

/** The values that every format carries, each read in one place. All throw EntryProblem. */

const serialPattern = /^[\x21-\x7e]{1,64}$/
const integerPattern = /^[+-]?[0-9]{1,19}$/
const hashPattern = /^(?:HMAC-?)?SHA-?(1|256|512)$/i

const decoders: Readonly<Record<SecretEncoding, (text: string) => Uint8Array | undefined>> = {
  BASE32: (text) => decodeBase32(text, { anyCase: true }),
  HEX: decodeHex,
  BASE64: (text) => decodeBase64(text, { xmlWhitespace: true }),
}

const hashes: Readonly<Record<string, HashAlgorithm>> = {
  '1': 'SHA1',
  '256': 'SHA256',
  '512': 'SHA512',
}

/** 1 to 64 visible ASCII characters. */
export function readSerial(text: string | undefined): string {
  if (text === undefined || text === '')
    throw new EntryProblem('required', 'The serial is missing.')
  if (!serialPattern.test(text)) {
    throw new EntryProblem('bad_format', 'A serial is 1 to 64 visible ASCII characters.')
  }
  return text
}

/** @param text in the given encoding, strictly: see `protocol/encoding`. */
export function readSecret(text: string | undefined, encoding: SecretEncoding): Uint8Array {
  if (text === undefined || text === '')
    throw new EntryProblem('required', 'The secret is missing.')
  const secret = decoders[encoding](text)
  if (!secret) throw new EntryProblem('bad_secret', `The secret is not ${encoding}.`)
  return checkSecret(secret)
}

/** RFC 4226 wants at least 128 bits. */
export function checkSecret(secret: Uint8Array): Uint8Array {
  if (secret.length < secretBytesMin || secret.length > secretBytesMax) {
    throw new EntryProblem(
      'bad_secret',
      `A secret has ${secretBytesMin} to ${secretBytesMax} bytes, this one has ${secret.length}.`,
    )
  }
  return secret
}

export interface IntegerRange {
  readonly name: string
  readonly min: number
  readonly max: number
}

export const digitsRange: IntegerRange = { name: 'digits', min: digitsMin, max: digitsMax }
export const counterRange: IntegerRange = { name: 'counter', min: 0, max: counterMax }
export const periodRange: IntegerRange = {
  name: 'time interval',
  min: periodSecondsMin,
  max: periodSecondsMax,
}
export const driftRange: IntegerRange = {
  name: 'time drift',
  min: -(2 ** 31),
  max: 2 ** 31 - 1,
}

/** A whole number in decimal. */
export function readInteger(text: string, { name, min, max }: IntegerRange): number {
  if (!integerPattern.test(text)) {
    throw new EntryProblem('bad_format', `The ${name} is not a whole number.`)
  }
  return checkRange(Number(text), { name, min, max })
}

export function checkRange(value: number, { name, min, max }: IntegerRange): number {
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw new EntryProblem('out_of_range', `The ${name} must be from ${min} to ${max}.`)
  }
  // Never -0, which "-0" would be.
  return value + 0
}

/** SHA1, SHA256 or SHA512, also written HMAC-SHA1, HmacSHA1, SHA-1 and so on. */
export function readHash(text: string): HashAlgorithm {
  const algorithm = hashes[hashPattern.exec(text)?.[1] ?? '']
  if (!algorithm) throw new EntryProblem('unsupported', 'The hash must be SHA1, SHA256 or SHA512.')
  return algorithm
}

export function readDescription(text: string): string {
  if (text.length > descriptionLengthMax) {
    throw new EntryProblem(
      'out_of_range',
      `A description has at most ${descriptionLengthMax} characters.`,
    )
  }
  return text
}
