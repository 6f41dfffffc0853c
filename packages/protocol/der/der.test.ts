import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeHex } from '../encoding/hex.ts'
import { checkDer, DerError, DerReader } from './der-reader.ts'
import {
  element,
  generalizedTime,
  integer,
  namedBits,
  oid,
  sequence,
  setOf,
  smallInteger,
  tags,
  time,
  utf8String,
} from './der-writer.ts'

const bytes = (hex: string): Uint8Array => decodeHex(hex.replaceAll(' ', '')) ?? new Uint8Array()

describe('the reader refuses', () => {
  test.each([
    ['an indefinite length', '30 80 00 00'],
    ['a length in a longer form than needed', '04 81 01 00'],
    ['a length with a leading zero', `04 82 00 80 ${'00'.repeat(128)}`],
    ['a length of five bytes', '04 85 00 00 00 00 01 00'],
    ['a length behind the end', '04 02 00'],
    ['a length behind its container', '30 03 04 02 00 00'],
    ['a tag of more than one byte', '1f 81 00 00'],
    ['nothing', ''],
    ['half a header', '30'],
    ['something behind the last element', '05 00 00'],
    ['a boolean that is 01', '01 01 01'],
    ['a boolean of two bytes', '01 02 ff ff'],
    ['an integer without bytes', '02 00'],
    ['an integer with a zero too many', '02 02 00 7f'],
    ['a negative integer with a byte too many', '02 02 ff 80'],
    ['an object identifier with padding', '06 02 80 01'],
    ['an object identifier that is cut off', '06 01 80'],
    ['a null with a content', '05 01 00'],
    ['a set that is not in order', '31 06 02 01 02 02 01 01'],
    ['a text that is not UTF-8', '0c 01 ff'],
    ['a primitive sequence', '10 00'],
    ['end-of-contents', '00 00'],
  ])('%s', (_name, hex) => {
    expect(() => checkDer(bytes(hex))).toThrow(DerError)
  })

  test('nesting deeper than 16', () => {
    let nested = new Uint8Array()
    for (let depth = 0; depth < 16; depth++) nested = Uint8Array.from(sequence(nested))
    expect(() => checkDer(nested)).not.toThrow()
    expect(() => checkDer(sequence(nested))).toThrow('deep')
  })

  test.each([
    ['a day that does not exist', '260230000000Z'],
    ['the 25th hour', '260101250000Z'],
    ['no seconds', '2601010000Z'],
    ['a zone', '260101000000+0100'],
    ['a fraction', '260101000000.5Z'],
  ])('a UTCTime with %s', (_name, text) => {
    const der = element(tags.utcTime, new TextEncoder().encode(text))
    expect(() => new DerReader(der).time()).toThrow(DerError)
  })

  test('a GeneralizedTime for a year that wants UTCTime', () => {
    expect(() => new DerReader(generalizedTime(Date.UTC(2049, 11, 31))).time()).toThrow('UTCTime')
  })

  test.each([
    ['without bits', '03 01 00'],
    ['with a zero at its end', '03 02 06 80'],
    ['with something in its unused bits', '03 02 07 c0'],
    ['of three bytes', '03 04 00 01 01 01'],
  ])('a bit list %s', (_name, hex) => {
    expect(() => new DerReader(bytes(hex)).namedBits()).toThrow(DerError)
  })
})

describe('what is written is read', () => {
  test('integers', () => {
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 31 - 1 }), (value) => {
        expect(new DerReader(smallInteger(value)).smallInteger(2 ** 31)).toBe(value)
      }),
    )
    expect(integer(bytes('0000ff'))).toEqual(bytes('020200ff'))
    expect(smallInteger(0)).toEqual(bytes('020100'))
  })

  test('lengths at every boundary', () => {
    for (const length of [0, 127, 128, 255, 256, 65_535, 65_536, 70_000]) {
      const der = element(tags.octetString, new Uint8Array(length))
      expect(new DerReader(der).octetString()).toHaveLength(length)
      expect(() => checkDer(der)).not.toThrow()
    }
  })

  test.each(['2.5.4.3', '1.2.840.113549.1.9.16.2.47', '0.9.2342.19200300.100.1.1', '2.999.1'])(
    'the object identifier %s',
    (dotted) => {
      expect(new DerReader(oid(dotted)).oid()).toBe(dotted)
    },
  )

  test('times on both sides of 2050', () => {
    for (const atMs of [Date.UTC(1950, 0), Date.UTC(2049, 11, 31, 23, 59, 59), Date.UTC(2050, 0)]) {
      expect(new DerReader(time(atMs)).time()).toBe(atMs)
    }
  })

  test('bit lists, sets and texts', () => {
    expect(new DerReader(namedBits([0, 1])).namedBits()).toEqual([0, 1])
    expect(new DerReader(namedBits([8])).namedBits()).toEqual([8])
    const members = [smallInteger(300), smallInteger(2), smallInteger(1)]
    expect(new DerReader(setOf(members)).setOf(3)).toEqual(members.toReversed())
    expect(new DerReader(utf8String('Zürich')).text()).toBe('Zürich')
  })
})

test('R17: any bytes are read or refused, nothing else happens', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (input) => {
      try {
        checkDer(input)
      } catch (error) {
        expect(error).toBeInstanceOf(DerError)
      }
    }),
    { numRuns: 2_000 },
  )
})
