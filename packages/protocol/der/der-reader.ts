import { compareBytes, constructedTag, primitiveTag, tags } from './der-writer.ts'

/** Bytes that are no DER, or not the structure that was asked for. */
export class DerError extends Error {
  override readonly name = 'DerError'
}

/** Deepest nesting of what is passed over unread. */
export const derDepthMax = 16
const lengthBytesMax = 4
const oidBytesMax = 64
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Reads DER and nothing else: definite lengths in their shortest form, tags of one byte, canonical values. Structures are
 * walked by their reader, so that the depth is theirs; what is not looked into is checked by {@link checkDer}.
 * All methods throw {@link DerError}.
 */
export class DerReader {
  readonly #bytes: Uint8Array
  #offset: number
  readonly #end: number

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.#bytes = bytes
    this.#offset = start
    this.#end = end
  }

  get isAtEnd(): boolean {
    return this.#offset === this.#end
  }

  /** The tag of the next element; undefined at the end. */
  get nextTag(): number | undefined {
    return this.#offset < this.#end ? this.#bytes[this.#offset] : undefined
  }

  /** Nothing may follow. */
  finish(): void {
    if (!this.isAtEnd) throw new DerError('There is something behind the last element.')
  }

  /** The next element as it stands, with tag and length; its inside is not looked at. */
  raw(tag?: number): Uint8Array {
    const start = this.#offset
    const { end } = this.#enter(tag)
    this.#offset = end
    return this.#bytes.subarray(start, end)
  }

  /** The content of a primitive element. */
  content(tag: number): Uint8Array {
    const { start, end } = this.#enter(tag)
    this.#offset = end
    return this.#bytes.subarray(start, end)
  }

  /** The inside of a constructed element. */
  constructed(tag: number): DerReader {
    const { start, end } = this.#enter(tag)
    this.#offset = end
    return new DerReader(this.#bytes, start, end)
  }

  sequence(): DerReader {
    return this.constructed(tags.sequence)
  }

  /** The inside of `[number]` around one value. */
  explicit(number: number): DerReader {
    return this.constructed(constructedTag(number))
  }

  /** Whether `[number]` comes next, constructed. */
  hasExplicit(number: number): boolean {
    return this.nextTag === constructedTag(number)
  }

  /** Members of a SET OF in DER's order, as they stand. @param countMax more are refused. */
  setOf(countMax: number, tag: number = tags.set): Uint8Array[] {
    const inside = this.constructed(tag)
    const members: Uint8Array[] = []
    while (!inside.isAtEnd) {
      if (members.length >= countMax) throw new DerError('A set has too many members.')
      const member = inside.raw()
      const last = members.at(-1)
      if (last !== undefined && compareBytes(last, member) > 0) {
        throw new DerError('The members of a set are not in order.')
      }
      members.push(member)
    }
    return members
  }

  boolean(): boolean {
    const content = this.content(tags.boolean)
    const [value] = content
    if (content.length !== 1 || (value !== 0 && value !== 0xff)) {
      throw new DerError('A boolean is neither 00 nor FF.')
    }
    return value === 0xff
  }

  /** `DEFAULT FALSE`: absent or true; false is not written. */
  optionalTrue(): boolean {
    if (this.nextTag !== tags.boolean) return false
    if (!this.boolean()) throw new DerError('A default value is written out.')
    return true
  }

  /** The magnitude of an integer that is not negative, without leading zeros; empty for zero. */
  unsigned(bytesMax: number): Uint8Array {
    return unsignedMagnitude(this.content(tags.integer), bytesMax)
  }

  /** @returns an integer from 0 to `max`, a safe one. */
  smallInteger(max: number, tag: number = tags.integer): number {
    let value = 0
    for (const byte of unsignedMagnitude(this.content(tag), 6)) value = value * 256 + byte
    if (value > max) throw new DerError('An integer is too large.')
    return value
  }

  oid(): string {
    return decodeOid(this.content(tags.oid))
  }

  /** The object identifier that must come next. */
  expectOid(dotted: string): void {
    if (this.oid() !== dotted) throw new DerError('Another object identifier was expected.')
  }

  octetString(): Uint8Array {
    return this.content(tags.octetString)
  }

  /** A BIT STRING of whole bytes. */
  bitString(): Uint8Array {
    const content = this.content(tags.bitString)
    if (content[0] !== 0) throw new DerError('A bit string does not end with a whole byte.')
    return content.subarray(1)
  }

  /** Numbers of the bits that are set in a named bit list, at most 16 bits. */
  namedBits(tag: number = tags.bitString): number[] {
    const [unused = 0, ...bytes] = this.content(tag)
    const last = bytes.at(-1)
    if (bytes.length === 0 || bytes.length > 2 || unused > 7 || last === undefined) {
      throw new DerError('A bit list has no bits or too many.')
    }
    // DER drops zeros at the end, and fills what is unused with zeros.
    if ((last & (0xff >>> (8 - unused))) !== 0 || ((last >>> unused) & 1) === 0) {
      throw new DerError('A bit list is not in its shortest form.')
    }
    const bits: number[] = []
    for (const [index, byte] of bytes.entries()) {
      for (let bit = 0; bit < 8; bit++)
        if ((byte & (0x80 >>> bit)) !== 0) bits.push(index * 8 + bit)
    }
    return bits
  }

  null(): void {
    if (this.content(tags.null).length !== 0) throw new DerError('A null has a content.')
  }

  /** UTF8String or PrintableString. */
  text(): string {
    const tag = this.nextTag
    if (tag !== tags.utf8String && tag !== tags.printableString) {
      throw new DerError('A text is neither UTF8String nor PrintableString.')
    }
    const content = this.content(tag)
    const text = decodeUtf8(content)
    if (tag === tags.printableString && !/^[A-Za-z0-9 '()+,./:=?-]*$/.test(text)) {
      throw new DerError('A PrintableString has other characters.')
    }
    return text
  }

  /** Visible ASCII under `[number]`: the form of URLs. */
  implicitAscii(number: number): string {
    const text = decodeUtf8(this.content(primitiveTag(number)))
    if (!/^[\x21-\x7e]*$/.test(text)) throw new DerError('A URL has other characters than ASCII.')
    return text
  }

  /** RFC 5280's Time. @returns epoch milliseconds. */
  time(): number {
    if (this.nextTag === tags.generalizedTime) {
      const atMs = this.generalizedTime()
      const year = new Date(atMs).getUTCFullYear()
      if (year >= 1950 && year < 2050) throw new DerError('A year before 2050 wants UTCTime.')
      return atMs
    }
    const text = decodeUtf8(this.content(tags.utcTime))
    const century = Number(text.slice(0, 2)) >= 50 ? '19' : '20'
    return parseTime(century + text)
  }

  /** Whole seconds in UTC. @returns epoch milliseconds. */
  generalizedTime(tag: number = tags.generalizedTime): number {
    return parseTime(decodeUtf8(this.content(tag)))
  }

  #enter(tag: number | undefined): { start: number; end: number } {
    const bytes = this.#bytes
    const found = this.nextTag
    if (found === undefined) throw new DerError('An element is missing.')
    if (tag !== undefined && found !== tag) throw new DerError('Another element was expected.')
    if ((found & 0x1f) === 0x1f) throw new DerError('A tag has more than one byte.')
    let start = this.#offset + 2
    let length = this.#byteAt(this.#offset + 1)
    if (length >= 0x80) {
      const count = length - 0x80
      if (count === 0 || count > lengthBytesMax) throw new DerError('A length has no DER form.')
      length = 0
      for (let index = 0; index < count; index++)
        length = length * 256 + this.#byteAt(start + index)
      if (length < 0x80 || (count > 1 && bytes[start] === 0)) {
        throw new DerError('A length is not in its shortest form.')
      }
      start += count
    }
    const end = start + length
    if (end > this.#end) throw new DerError('An element ends behind its container.')
    return { start, end }
  }

  #byteAt(offset: number): number {
    const byte = offset < this.#end ? this.#bytes[offset] : undefined
    if (byte === undefined) throw new DerError('An element is cut off.')
    return byte
  }
}

/** Makes sure that bytes are exactly one DER element, whatever it says: shape, lengths, order of sets, common types. */
export function checkDer(bytes: Uint8Array): void {
  const reader = new DerReader(bytes)
  checkNext(reader, derDepthMax)
  reader.finish()
}

function checkNext(reader: DerReader, depthLeft: number): void {
  if (depthLeft === 0) throw new DerError('The nesting is too deep.')
  const tag = reader.nextTag
  if (tag === undefined) throw new DerError('An element is missing.')
  if ((tag & 0x20) !== 0) {
    const isSet = tag === tags.set
    const inside = reader.constructed(tag)
    let last: Uint8Array | undefined
    while (!inside.isAtEnd) {
      const member = inside.raw()
      if (isSet && last !== undefined && compareBytes(last, member) > 0) {
        throw new DerError('The members of a set are not in order.')
      }
      checkNext(new DerReader(member), depthLeft - 1)
      last = member
    }
    return
  }
  checkPrimitive(reader, tag)
}

function checkPrimitive(reader: DerReader, tag: number): void {
  switch (tag) {
    case tags.boolean:
      reader.boolean()
      return
    case tags.integer:
    case tags.enumerated:
      checkInteger(reader.content(tag))
      return
    case tags.oid:
      reader.oid()
      return
    case tags.null:
      reader.null()
      return
    case tags.utf8String:
      decodeUtf8(reader.content(tag))
      return
    case 0:
    case tags.sequence & 0x1f:
    case tags.set & 0x1f:
      throw new DerError('A tag has no meaning here.')
    default:
      reader.content(tag)
  }
}

function checkInteger(content: Uint8Array): void {
  const [first, second = 0] = content
  if (first === undefined) throw new DerError('An integer has no bytes.')
  if (content.length > 1 && (first === 0 ? second < 0x80 : first === 0xff && second >= 0x80)) {
    throw new DerError('An integer is not in its shortest form.')
  }
}

function unsignedMagnitude(content: Uint8Array, bytesMax: number): Uint8Array {
  checkInteger(content)
  if ((content[0] ?? 0) >= 0x80) throw new DerError('An integer is negative.')
  const magnitude = content[0] === 0 ? content.subarray(1) : content
  if (magnitude.length > bytesMax) throw new DerError('An integer is too large.')
  return magnitude
}

function decodeOid(content: Uint8Array): string {
  if (content.length === 0 || content.length > oidBytesMax || (content.at(-1) ?? 0) >= 0x80) {
    throw new DerError('An object identifier is empty, cut off or too long.')
  }
  const arcs: number[] = []
  let arc = 0
  let isFirst = true
  for (const byte of content) {
    if (isFirst && byte === 0x80) throw new DerError('An object identifier has padding.')
    arc = arc * 128 + (byte & 0x7f)
    if (!Number.isSafeInteger(arc)) throw new DerError('An object identifier is out of range.')
    isFirst = byte < 0x80
    if (!isFirst) continue
    arcs.push(arc)
    arc = 0
  }
  const [head = 0, ...rest] = arcs
  const root = Math.min(2, Math.floor(head / 40))
  return [root, head - root * 40, ...rest].join('.')
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch {
    throw new DerError('A text is not UTF-8.')
  }
}

function parseTime(text: string): number {
  const [, year = '', month = '', day = '', hour = '', minute = '', second = ''] =
    /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text) ?? []
  const iso = `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`
  const atMs = Date.parse(iso)
  // A day that does not exist would be moved to another one.
  if (Number.isNaN(atMs) || new Date(atMs).toISOString() !== iso) {
    throw new DerError('A time does not exist or has no DER form.')
  }
  return atMs
}
