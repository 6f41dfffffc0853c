/** Tags of DER (X.690): universal types as they stand in certificates, and context-specific ones by number. */
export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const

/** `[number]` around an encoded value (EXPLICIT), or in place of a constructed value's own tag. */
export function constructedTag(number: number): number {
  return 0xa0 + number
}

/** `[number]` in place of a primitive value's own tag (IMPLICIT). */
export function primitiveTag(number: number): number {
  return 0x80 + number
}

/** One element: the tag, its length in the shortest form, and the parts one after another. */
export function element(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) length += part.length
  const headLength = length < 0x80 ? 2 : length < 0x100 ? 3 : length < 0x10000 ? 4 : 6
  const bytes = new Uint8Array(headLength + length)
  bytes[0] = tag
  if (headLength === 2) {
    bytes[1] = length
  } else if (headLength === 3) {
    bytes[1] = 0x81
    bytes[2] = length
  } else if (headLength === 4) {
    bytes[1] = 0x82
    bytes[2] = length >>> 8
    bytes[3] = length & 0xff
  } else {
    return longElement(tag, length, parts)
  }
  let offset = headLength
  for (const part of parts) {
    bytes.set(part, offset)
    offset += part.length
  }
  return bytes
}

function longElement(tag: number, length: number, parts: readonly Uint8Array[]): Uint8Array {
  const lengthBytes = length < 0x1000000 ? 3 : 4
  const bytes = new Uint8Array(2 + lengthBytes + length)
  bytes[0] = tag
  bytes[1] = 0x80 + lengthBytes
  for (let index = 0; index < lengthBytes; index++) {
    bytes[2 + index] = (length >>> (8 * (lengthBytes - 1 - index))) & 0xff
  }
  let offset = 2 + lengthBytes
  for (const part of parts) {
    bytes.set(part, offset)
    offset += part.length
  }
  return bytes
}

export function sequence(...parts: readonly Uint8Array[]): Uint8Array {
  return element(tags.sequence, ...parts)
}

/** SET OF: DER wants the members in the order of their encodings. @param tag another than SET's, where it is implicit. */
export function setOf(members: readonly Uint8Array[], tag: number = tags.set): Uint8Array {
  return element(tag, ...members.toSorted(compareBytes))
}

/** The order of SET OF: by bytes; of two that begin alike the shorter one is first. */
export function compareBytes(one: Uint8Array, other: Uint8Array): number {
  const length = Math.min(one.length, other.length)
  for (let index = 0; index < length; index++) {
    const difference = (one[index] ?? 0) - (other[index] ?? 0)
    if (difference !== 0) return difference
  }
  return one.length - other.length
}

/** Whether two byte strings are the same; for what is public. */
export function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && compareBytes(one, other) === 0
}

/** @param magnitude big-endian, not negative; leading zeros do not matter. */
export function integer(magnitude: Uint8Array): Uint8Array {
  let start = 0
  while (start < magnitude.length - 1 && magnitude[start] === 0) start++
  const digits = magnitude.subarray(start)
  if (digits.length === 0) return element(tags.integer, zeroByte)
  const isHigh = (digits[0] ?? 0) >= 0x80
  return isHigh ? element(tags.integer, zeroByte, digits) : element(tags.integer, digits)
}

const zeroByte: Uint8Array = Uint8Array.of(0)

/** @param value a safe integer, not negative. */
export function smallInteger(value: number): Uint8Array {
  const bytes: number[] = []
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256)
  return integer(Uint8Array.from(bytes.length === 0 ? [0] : bytes))
}

export function enumerated(value: number): Uint8Array {
  return element(tags.enumerated, Uint8Array.of(value))
}

export const trueValue: Uint8Array = Uint8Array.of(tags.boolean, 1, 0xff)
export const nullValue: Uint8Array = Uint8Array.of(tags.null, 0)

/** @param dotted such as `2.5.4.3`. */
export function oid(dotted: string): Uint8Array {
  const known = knownOids.get(dotted)
  if (known !== undefined) return known
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const bytes: number[] = []
  for (const arc of [first * 40 + second, ...rest]) {
    const septets = [arc & 0x7f]
    for (let high = Math.floor(arc / 128); high > 0; high = Math.floor(high / 128)) {
      septets.unshift((high % 128) | 0x80)
    }
    bytes.push(...septets)
  }
  const encoded = element(tags.oid, Uint8Array.from(bytes))
  if (knownOids.size < knownOidsMax) knownOids.set(dotted, encoded)
  return encoded
}

/** Object identifiers of the program itself: a few dozen. */
const knownOids = new Map<string, Uint8Array>()
const knownOidsMax = 200

export function octetString(...parts: readonly Uint8Array[]): Uint8Array {
  return element(tags.octetString, ...parts)
}

/** Whole bytes: no unused bits. */
export function bitString(bytes: Uint8Array): Uint8Array {
  return element(tags.bitString, zeroByte, bytes)
}

/** A named bit list: bit numbers as ASN.1 counts them, without zeros at its end. */
export function namedBits(bits: readonly number[]): Uint8Array {
  const last = Math.max(...bits)
  const bytes = new Uint8Array(Math.floor(last / 8) + 1)
  for (const bit of bits) {
    const index = Math.floor(bit / 8)
    bytes[index] = (bytes[index] ?? 0) | (0x80 >>> (bit % 8))
  }
  return element(tags.bitString, Uint8Array.of(7 - (last % 8)), bytes)
}

const encoder = new TextEncoder()

export function utf8String(text: string): Uint8Array {
  return element(tags.utf8String, encoder.encode(text))
}

/** ASCII text under whatever tag. */
export function asciiString(tag: number, text: string): Uint8Array {
  return element(tag, encoder.encode(text))
}

/** RFC 5280 section 4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050 on; whole seconds. */
export function time(atMs: number): Uint8Array {
  const digits = timeDigits(atMs)
  const year = Number(digits.slice(0, 4))
  return year >= 1950 && year < 2050
    ? asciiString(tags.utcTime, `${digits.slice(2)}Z`)
    : generalizedTime(atMs)
}

/** Whole seconds, as OCSP has it for every year. */
export function generalizedTime(atMs: number): Uint8Array {
  return asciiString(tags.generalizedTime, `${timeDigits(atMs)}Z`)
}

function timeDigits(atMs: number): string {
  return new Date(atMs).toISOString().replaceAll(/\.\d+Z$|[-:T]/g, '')
}
