import { decodeBase64 } from '@countersign/protocol/encoding/base64.ts'
import { readInstant } from '../filter/filter-values.ts'
import { isStorable } from '../users/name-text.ts'

/** What a value is, and so how it is written and compared. */
export type PropertyType = 'OCTETSTRING' | 'INTEGER' | 'BOOLEAN' | 'UTF8STRING' | 'DATE'

/** Types whose values sort otherwise than their texts do. */
export const orderedTypes = ['INTEGER', 'DATE'] as const
export type OrderedType = (typeof orderedTypes)[number]

/** A value's text in UTF-8. */
export const valueBytesMax = 16_384

const integerText = /^(?:0|-?[1-9]\d{0,18})$/
/** RFC 3339: hours, minutes and seconds that there are, no leap second. */
const dateText =
  /^\d{4}-\d{2}-\d{2}[Tt](?:[01]\d|2[0-3])(?::[0-5]\d){2}(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/
const numberText = /^(-?)(\d+)(?:\.(\d+))?$/
const half = 2n ** 63n
const integerDigits = 20
/** Seconds from before the first day that can be written to 1970. */
const secondsBefore1970 = 62_200_000_000
const secondDigits = 12
/** Below and above all keys. */
const lowest = ''
const highest = '~'

/** True for a text that writes a value of the type in the one way that is taken. */
export function isValue(type: PropertyType, text: string): boolean {
  if (text === '' || text.length > valueBytesMax || !isStorable(text)) return false
  if (Buffer.byteLength(text) > valueBytesMax) return false
  switch (type) {
    case 'OCTETSTRING':
      return decodeBase64(text) !== undefined
    case 'INTEGER':
      return integerText.test(text) && isIn64Bits(BigInt(text))
    case 'BOOLEAN':
      return text === 'true' || text === 'false'
    case 'UTF8STRING':
      return true
    case 'DATE':
      return dateText.test(text) && readInstant(text) !== undefined
  }
}

/**
 * A text that sorts by bytes as what was written sorts by its type. Integers take any decimal number, also one that is
 * between two of them or beyond all.
 *
 * @returns undefined for a text of another type.
 */
export function orderKey(type: OrderedType, text: string): string | undefined {
  return type === 'INTEGER' ? numberKey(text) : momentKey(text)
}

export function isOrdered(type: PropertyType): type is OrderedType {
  return orderedTypes.some((ordered) => ordered === type)
}

function isIn64Bits(value: bigint): boolean {
  return value >= -half && value < half
}

/** Behind the digits of the floor, those of the fraction: a shorter text comes first. */
function numberKey(text: string): string | undefined {
  const [, sign, digits, written = ''] = numberText.exec(text) ?? []
  if (digits === undefined) return undefined
  const fraction = written.replace(/0+$/, '')
  const size = digits.replace(/^0+(?=\d)/, '')
  if (size.length > integerDigits) return sign === '-' ? lowest : highest
  const isBelowZero = sign === '-'
  const floor = isBelowZero ? -BigInt(size) - (fraction === '' ? 0n : 1n) : BigInt(size)
  if (floor < -half) return lowest
  if (floor >= half) return highest
  const rest = isBelowZero && fraction !== '' ? complement(fraction) : fraction
  return withFraction(String(floor + half).padStart(integerDigits, '0'), rest)
}

/** The digits of one less the fraction; there are no zeros at its end. */
function complement(fraction: string): string {
  const whole = 10n ** BigInt(fraction.length)
  return String(whole - BigInt(fraction)).padStart(fraction.length, '0')
}

function momentKey(text: string): string | undefined {
  const moment = readInstant(text)
  if (moment === undefined) return undefined
  const seconds = Math.floor(moment.floor / 1_000) + secondsBefore1970
  const [, fraction = ''] = /\.(\d+)/.exec(text) ?? []
  return withFraction(String(seconds).padStart(secondDigits, '0'), fraction.replace(/0+$/, ''))
}

function withFraction(digits: string, fraction: string): string {
  return fraction === '' ? digits : `${digits}.${fraction}`
}
