import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'
import { CounterHmacSha1 } from './hmac-sha1.ts'

/** The hashes of RFC 6238; RFC 4226 itself knows SHA1 only. */
export type HashAlgorithm = 'SHA1' | 'SHA256' | 'SHA512'

/** The bytes of a token's secret, or a key object of them that a caller keeps for many codes. */
export type OtpSecret = Uint8Array | KeyObject

export interface OtpParameters {
  readonly secret: OtpSecret
  /** Of the code, 6 to 10. RFC 4226 codes have 31 bits, so the first of ten digits is 0, 1 or 2. */
  readonly digits: number
  readonly algorithm: HashAlgorithm
}

export const digitsMin = 6
export const digitsMax = 10

/** The largest counter: counters are kept as JavaScript numbers, exact up to here. */
export const counterMax = Number.MAX_SAFE_INTEGER

/** How many counters one search may try. */
export const searchCountMax = 100_000

const hashNames: Readonly<Record<Exclude<HashAlgorithm, 'SHA1'>, string>> = {
  SHA256: 'sha256',
  SHA512: 'sha512',
}

const twoTo32 = 2 ** 32

/** Holds the counter while its HMAC is computed. Everything here is synchronous, so one buffer is enough. */
const counterBytes = Buffer.alloc(8)

/** Never the value of a code: those have 31 bits and are positive. */
const noCode = -1

/**
 * One code, RFC 4226 section 5.3, with leading zeros.
 *
 * @throws RangeError for digits, counter or secret out of range.
 */
export function hotp({
  secret,
  counter,
  digits,
  algorithm,
}: OtpParameters & { readonly counter: number }): string {
  checkCounter(counter)
  const modulus = codeModulus(digits)
  const value = truncatorOf(secret, algorithm)(counter) % modulus
  return String(value).padStart(digits, '0')
}

export interface CodeSearch extends OtpParameters {
  readonly code: string
  /** First counter tried. */
  readonly from: number
  /** Last counter tried, itself included. */
  readonly to: number
}

/**
 * Finds the first counter from `from` to `to` whose code is `code`; undefined if there is none.
 *
 * Every counter of the window is computed and compared without a branch on the result, also after a match and also for
 * a `code` that no token could show (other length, not all ASCII digits): the time tells the size of the window only.
 * Counters below 0 and above `counterMax` do not exist and are left out.
 *
 * @throws RangeError for digits or secret out of range, for fractions, and beyond `searchCountMax` counters.
 */
export function findCounter({
  secret,
  algorithm,
  digits,
  code,
  from,
  to,
}: CodeSearch): number | undefined {
  const window = searchWindow(from, to)
  const modulus = codeModulus(digits)
  const wanted = codeValue(code, digits)
  const truncated = truncatorOf(secret, algorithm)

  // Position of the first match in the window, counted from 1; 0 while there is none.
  let found = 0
  for (let position = 1; position <= window.count; position++) {
    const value = truncated(window.first + position - 1) % modulus
    const isFirstMatch = isEqual(value, wanted) & isZero(found)
    found |= position & -isFirstMatch
  }
  return found === 0 ? undefined : window.first + found - 1
}

export interface CodePairSearch extends OtpParameters {
  /** The code shown first. */
  readonly firstCode: string
  /** The code shown right after it. */
  readonly secondCode: string
  /** First counter tried for `firstCode`. */
  readonly from: number
  /** Last counter tried for `firstCode`, itself included. */
  readonly to: number
}

/**
 * Finds the first counter from `from` to `to` whose code is `firstCode` while the next counter's is `secondCode`: the
 * search for resynchronisation, RFC 4226 section 7.4. Takes the same time wherever and whether the pair is found.
 *
 * @returns the counter of the first code.
 * @throws RangeError as `findCounter` does.
 */
export function findCounterPair({
  secret,
  algorithm,
  digits,
  firstCode,
  secondCode,
  from,
  to,
}: CodePairSearch): number | undefined {
  const window = searchWindow(from, Math.min(to, counterMax - 1))
  const modulus = codeModulus(digits)
  const wantedFirst = codeValue(firstCode, digits)
  const wantedSecond = codeValue(secondCode, digits)
  const truncated = truncatorOf(secret, algorithm)

  let found = 0
  let value = window.count > 0 ? truncated(window.first) % modulus : noCode
  for (let position = 1; position <= window.count; position++) {
    const nextValue = truncated(window.first + position) % modulus
    const isFirstMatch =
      isEqual(value, wantedFirst) & isEqual(nextValue, wantedSecond) & isZero(found)
    found |= position & -isFirstMatch
    value = nextValue
  }
  return found === 0 ? undefined : window.first + found - 1
}

/** Gives the 31 bits of any counter's code (RFC 4226 section 5.3) under one secret. */
function truncatorOf(secret: OtpSecret, algorithm: HashAlgorithm): (counter: number) => number {
  const isBytes = secret instanceof Uint8Array
  if (isBytes && secret.length === 0) throw new RangeError('A secret must not be empty.')
  if (algorithm === 'SHA1') {
    const hmac = new CounterHmacSha1(isBytes ? secret : secret.export())
    return (counter) => hmac.truncated(counter)
  }
  const hashName = hashNames[algorithm]
  // An HMAC of a key object takes a fraction of the time that one of bytes takes in Node 24.
  const key = isBytes ? createSecretKey(secret) : secret
  return (counter) => truncatedHmac(key, hashName, counter)
}

function truncatedHmac(key: KeyObject, hashName: string, counter: number): number {
  counterBytes.writeUInt32BE(Math.floor(counter / twoTo32), 0)
  counterBytes.writeUInt32BE(counter % twoTo32, 4)
  const mac = createHmac(hashName, key).update(counterBytes).digest()
  const offset = mac.readUInt8(mac.length - 1) & 0x0f
  return mac.readUInt32BE(offset) & 0x7fffffff
}

function codeModulus(digits: number): number {
  if (!Number.isInteger(digits) || digits < digitsMin || digits > digitsMax) {
    throw new RangeError(`A code has ${digitsMin} to ${digitsMax} digits.`)
  }
  return 10 ** digits
}

/** The code as a number of 31 bits, or `noCode`. Looks at the caller's own input only, which is no secret. */
function codeValue(code: string, digits: number): number {
  if (code.length !== digits || !/^[0-9]+$/.test(code)) return noCode
  const value = Number(code)
  return value <= 0x7fffffff ? value : noCode
}

function checkCounter(counter: number): void {
  if (!Number.isSafeInteger(counter) || counter < 0) {
    throw new RangeError('A counter is a whole number from 0 to 2^53 - 1.')
  }
}

function searchWindow(from: number, to: number): { first: number; count: number } {
  if (!Number.isInteger(from) || !Number.isInteger(to)) {
    throw new RangeError('A window is bounded by whole numbers.')
  }
  const first = Math.max(from, 0)
  const count = Math.max(Math.min(to, counterMax) - first + 1, 0)
  if (count > searchCountMax) {
    throw new RangeError(`A search tries at most ${searchCountMax} counters.`)
  }
  return { first, count }
}

/** 1 if both 32-bit numbers are equal, else 0, without a branch. */
function isEqual(left: number, right: number): number {
  return isZero(left ^ right)
}

/** 1 for 0, 0 for any other 32-bit number, without a branch: of a number and its negative one has the sign bit. */
function isZero(value: number): number {
  return ((value | -value) >>> 31) ^ 1
}
