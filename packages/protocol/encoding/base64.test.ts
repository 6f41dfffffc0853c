import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeBase64, decodeBase64url, encodeBase64, encodeBase64url } from './base64.ts'

const rfc4648Section10 = [
  ['', ''],
  ['f', 'Zg=='],
  ['fo', 'Zm8='],
  ['foo', 'Zm9v'],
  ['foob', 'Zm9vYg=='],
  ['fooba', 'Zm9vYmE='],
  ['foobar', 'Zm9vYmFy'],
] as const

describe('RFC 4648 section 10', () => {
  test.each(rfc4648Section10)('"%s" is %s', (plain, encoded) => {
    const bytes = new TextEncoder().encode(plain)
    expect(decodeBase64(encoded)).toEqual(bytes)
    expect(encodeBase64(bytes)).toBe(encoded)
    expect(decodeBase64url(encoded.replaceAll('=', ''))).toEqual(bytes)
    expect(encodeBase64url(bytes)).toBe(encoded.replaceAll('=', ''))
  })
})

test('whatever is encoded is decoded to the same bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 128 }), (bytes) => {
      expect(decodeBase64(encodeBase64(bytes))).toEqual(bytes)
      expect(decodeBase64url(encodeBase64url(bytes))).toEqual(bytes)
    }),
  )
})

test('R16: an accepted base64url text is the one spelling of its bytes', () => {
  const texts = fc.string({ unit: fc.constantFrom(...'AQgwZ-_+/= \n'), maxLength: 12 })
  fc.assert(
    fc.property(texts, (text) => {
      const bytes = decodeBase64url(text)
      if (bytes) expect(encodeBase64url(bytes)).toBe(text)
    }),
    { numRuns: 2000 },
  )
})

const malformed: [string, string][] = [
  ['bits beyond the last byte', 'Zh'],
  ['bits beyond the last two bytes', 'Zm9'],
  ['one letter', 'Z'],
  ['a blank', 'Zm9v Zm9v'],
  ['a line end', 'Zm9v\n'],
  ['padding inside', 'Zg==Zm9v'],
  ['full-width letter', '\uff3am9v'],
  ['text after the padding', 'Zg==x'],
  ['NUL', 'Zm9v\u0000'],
]

test.each([...malformed, ['padding', 'Zg=='], ['the other alphabet', '+/+/']])(
  'R16: base64url refuses %s',
  (_, text) => {
    expect(decodeBase64url(text)).toBeUndefined()
  },
)

test.each([
  ...malformed,
  ['missing padding', 'Zg'],
  ['too little padding', 'Zg='],
  ['too much padding', 'Zm8=='],
  ['padded bits beyond the last byte', 'Zh=='],
  ['the other alphabet', '-_-_'],
])('Base64 refuses %s', (_, text) => {
  expect(decodeBase64(text)).toBeUndefined()
})

test('xmlWhitespace allows the four blanks of XML and no others', () => {
  const foo = new TextEncoder().encode('foo')
  expect(decodeBase64('\r\n\tZm 9v\n', { xmlWhitespace: true })).toEqual(foo)
  expect(decodeBase64('Zm\u00a09v', { xmlWhitespace: true })).toBeUndefined()
  expect(decodeBase64('Zm\u000b9v', { xmlWhitespace: true })).toBeUndefined()
})
