import type { Clock, Randomness } from './clock.ts'

/** Crockford's base 32: five bits a character. */
export const crockfordAlphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const randomLength = 16
/** Drawn at once, for this many ids of different milliseconds: the system's call costs more than the bytes. */
const drawnAtOnce = 64

export type IdSource = () => string

/**
 * Makes ULIDs: 48 bits of time, 80 bits of randomness, 26 Crockford characters. Within one millisecond the random part
 * of the last one is counted up, so ids of one process never go backwards.
 */
export function createIdSource(clock: Clock, randomness: Randomness): IdSource {
  let lastTimeMs = -1
  let timePart = ''
  /** All but the last character, which is the one that changes within a millisecond. */
  let head = ''
  const digits = new Uint8Array(randomLength)
  let drawn: Uint8Array = new Uint8Array(0)
  let drawnAt = 0

  return () => {
    const nowMs = clock()
    if (nowMs > lastTimeMs) {
      lastTimeMs = nowMs
      timePart = encodeTime(nowMs)
      if (drawnAt >= drawn.length) {
        drawn = randomness(randomLength * drawnAtOnce)
        drawnAt = 0
      }
      for (let index = 0; index < randomLength; index++) {
        digits[index] = (drawn[drawnAt + index] ?? 0) & 31
      }
      drawnAt += randomLength
      // Leaves room above, so that counting up within the millisecond cannot overflow.
      digits[0] = (digits[0] ?? 0) & 15
      head = timePart + encodeDigits(digits.subarray(0, -1))
    } else if (countUp(digits) < randomLength - 1) {
      head = timePart + encodeDigits(digits.subarray(0, -1))
    }
    return head + (crockfordAlphabet[digits[randomLength - 1] ?? 0] ?? '')
  }
}

/** @returns the index of the first digit that changed. */
function countUp(digits: Uint8Array): number {
  for (let index = digits.length - 1; index >= 0; index--) {
    const next = (digits[index] ?? 0) + 1
    digits[index] = next & 31
    if (next < 32) return index
  }
  return 0
}

function encodeDigits(digits: Uint8Array): string {
  let text = ''
  for (const digit of digits) text += crockfordAlphabet[digit] ?? ''
  return text
}

function encodeTime(timeMs: number): string {
  let text = ''
  let rest = timeMs
  for (let index = 0; index < 10; index++) {
    text = crockfordAlphabet[rest % 32] + text
    rest = Math.floor(rest / 32)
  }
  return text
}

/** The smallest ULID of a moment: a bound for searches by time. */
export function firstUlidAt(timeMs: number): string {
  return encodeTime(Math.max(0, timeMs)) + '0'.repeat(randomLength)
}

/** The moment that a ULID names. */
export function ulidTimeMs(ulid: string): number {
  let timeMs = 0
  for (const character of ulid.slice(0, 10))
    timeMs = timeMs * 32 + crockfordAlphabet.indexOf(character)
  return timeMs
}

/** The same 128 bits as 32 lower-case hex digits. */
export function ulidToHex(ulid: string): string {
  let value = 0n
  for (const character of ulid) value = value * 32n + BigInt(crockfordAlphabet.indexOf(character))
  return value.toString(16).padStart(32, '0')
}

/** The ULID of 32 hex digits in either case; undefined for any other text. */
export function hexToUlid(hex: string): string | undefined {
  if (!/^[0-9a-fA-F]{32}$/.test(hex)) return undefined
  let value = BigInt(`0x${hex}`)
  let ulid = ''
  for (let index = 0; index < 26; index++) {
    ulid = crockfordAlphabet[Number(value % 32n)] + ulid
    value /= 32n
  }
  return ulid
}

/** A UUID of version 4 (RFC 9562 section 5.4), lower case. */
export function randomUuid(randomness: Randomness): string {
  const bytes = Buffer.from(randomness(16))
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
