import type { Place } from '#custody/vault.ts'
import type { Fault } from '../errors.ts'
import { characterCount, isStorable } from '../users/name-text.ts'

/** Which code is asked for next. */
export type AskOrder = 'SEQUENTIAL' | 'RANDOM'

/** How codes are labelled on the sheet: 1, 2, 3 or A1, A2, … B1. */
export type IndexFormat = 'NUMERIC' | 'BLOCK'

/** What a method says of its lists (OTP Server contract, `x-method-settings`). Times are seconds. */
export interface OtpListSettings {
  /** Codes from the next one on that are accepted; 1: none may be skipped. */
  readonly otpWindowSize: number
  readonly otpLength: number
  readonly otpAlphabet: string
  readonly listSize: number
  readonly order: AskOrder
  readonly indexFormat: IndexFormat
  readonly indexBlockSize: number
  readonly freeListMaxAgeSeconds: number
  /** 0: no expiry. */
  readonly associatedListMaxAgeSeconds: number
  readonly maxAgeLimitSeconds: number
  readonly renewThreshold: number
  readonly maxFailures: number
  readonly lockSeconds: number
}

/** A kind of printed list; `name` is what callers know it by. */
export interface OtpListMethod extends OtpListSettings {
  readonly tenantId: string
  readonly id: string
  readonly name: string
  readonly description: string
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

export const defaultSettings: OtpListSettings = {
  otpWindowSize: 1,
  otpLength: 6,
  otpAlphabet: '0123456789',
  listSize: 50,
  order: 'SEQUENTIAL',
  indexFormat: 'NUMERIC',
  indexBlockSize: 10,
  freeListMaxAgeSeconds: 2_592_000,
  associatedListMaxAgeSeconds: 0,
  maxAgeLimitSeconds: 315_360_000,
  renewThreshold: 10,
  maxFailures: 5,
  lockSeconds: 900,
}

const ranges = {
  otpWindowSize: [1, 10],
  otpLength: [4, 16],
  listSize: [1, 1_000],
  indexBlockSize: [1, 100],
  freeListMaxAgeSeconds: [60, 315_360_000],
  associatedListMaxAgeSeconds: [0, 315_360_000],
  maxAgeLimitSeconds: [60, 315_360_000],
  renewThreshold: [0, 1_000],
  maxFailures: [1, 100],
  lockSeconds: [1, 31_536_000],
} as const satisfies Partial<Record<keyof OtpListSettings, readonly [number, number]>>

/** Blocks are A to Z, then AA to ZZ. */
export const blocksMax = 26 + 26 * 26

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const alphabetPattern = /^([0-9A-Z]{2,36}|[0-9a-z]{2,36})$/
const descriptionCharactersMax = 255

export function isMethodName(text: string): boolean {
  return namePattern.test(text)
}

/** Where the key of a method's codes is bound to. */
export function methodKeyPlace(tenantId: string, name: string): Place {
  return { tenantId, table: 'otp_list_method', row: name, column: 'sealed_key' }
}

/** What is wrong with settings as a whole: an update is judged by what it would leave. */
export function faultsOf(settings: OtpListSettings): Fault[] {
  const faults: Fault[] = []
  const add = (member: keyof OtpListSettings, code: string, message: string) => {
    faults.push({ pointer: `/${member}`, code, message })
  }
  for (const [name, [min, max]] of Object.entries(ranges)) {
    const member = name as keyof typeof ranges
    const value = settings[member]
    if (!Number.isInteger(value) || value < min || value > max) {
      add(member, 'out_of_range', `must be from ${min} to ${max}`)
    }
  }
  const { otpAlphabet, order, otpWindowSize, indexFormat, listSize, indexBlockSize } = settings
  if (!alphabetPattern.test(otpAlphabet)) {
    add('otpAlphabet', 'bad_format', 'must be 2 to 36 digits and letters of one case')
  } else if (new Set(otpAlphabet).size < otpAlphabet.length) {
    add('otpAlphabet', 'not_unique', 'must name no character twice')
  }
  if (order === 'RANDOM' && otpWindowSize !== 1) {
    add('otpWindowSize', 'mutually_exclusive', 'must be 1 where the order is RANDOM')
  }
  if (indexFormat === 'BLOCK' && listSize > blocksMax * indexBlockSize) {
    add('indexBlockSize', 'out_of_range', `must not make more than ${blocksMax} blocks`)
  }
  return faults
}

export function faultsOfDescription(description: string): Fault[] {
  const pointer = '/description'
  if (
    description.length > 2 * descriptionCharactersMax ||
    characterCount(description) > descriptionCharactersMax
  ) {
    const message = `must have at most ${descriptionCharactersMax} characters`
    return [{ pointer, code: 'out_of_range', message }]
  }
  if (isStorable(description)) return []
  return [{ pointer, code: 'bad_format', message: 'must be valid Unicode without U+0000' }]
}
