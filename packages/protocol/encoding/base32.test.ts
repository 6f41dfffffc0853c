import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeBase32, encodeBase32 } from './base32.ts'

const rfc4648Section10 = [
  ['', ''],
  ['f', 'MY======'],
  ['fo', 'MZXQ===='],
  ['foo', 'MZXW6==='],
  ['foob', 'MZXW6YQ='],
  ['fooba', 'MZXW6YTB'],
  ['foobar', 'MZXW6YTBOI======'],
] as const

describe('RFC 4648 section 10', () => {
  test.each(rfc4648Section10)('"%s" is %s', (plain, encoded) => {
    const bytes = new TextEncoder().encode(plain)
    expect(decodeBase32(encoded)).toEqual(bytes)
    expect(decodeBase32(encoded.replaceAll('=', ''))).toEqual(bytes)
    expect(encodeBase32(bytes)).toBe(encoded.replaceAll('=', ''))
  })
})

test('whatever is encoded is decoded to the same bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 128 }), (bytes) => {
      expect(decodeBase32(encodeBase32(bytes))).toEqual(bytes)
      expect(decodeBase32(encodeBase32(bytes).toLowerCase(), { anyCase: true })).toEqual(bytes)
    }),
  )
})

test('an accepted text is the one spelling of its bytes', () => {
  const letters = fc.string({ unit: fc.constantFrom(...'AZ27MY=a '), maxLength: 24 })
  fc.assert(
    fc.property(letters, (text) => {
      const bytes = decodeBase32(text)
      if (bytes) expect(encodeBase32(bytes)).toBe(text.replaceAll('=', ''))
    }),
    { numRuns: 2000 },
  )
})

test.each([
  ['one letter is no byte', 'A'],
  ['three letters', 'MZX'],
  ['six letters', 'MZXW6Y'],
  ['bits beyond the last byte', 'MZ'],
  ['incomplete padding', 'MY====='],
  ['too much padding', 'MY======='],
  ['padding of a whole group', 'MZXW6YTB========'],
  ['padding alone', '========'],
  ['padding inside', 'MY======MY======'],
  ['lower case without leave', 'my'],
  ['a blank', 'MZ XQ'],
  ['a line end', 'MZXQ\n'],
  ['digit 0', 'M0'],
  ['digit 1', 'M1'],
  ['digit 8', 'M8'],
  ['full-width letter', '\uff2dY'],
  ['NUL', 'MY\u0000\u0000'],
])('refuses %s', (_, text) => {
  expect(decodeBase32(text)).toBeUndefined()
})

test('anyCase adds the lower-case ASCII letters and nothing else', () => {
  expect(decodeBase32('mzXq', { anyCase: true })).toEqual(new TextEncoder().encode('fo'))
  expect(decodeBase32('\u212aY', { anyCase: true })).toBeUndefined()
  expect(decodeBase32('\u0131Y', { anyCase: true })).toBeUndefined()
})
