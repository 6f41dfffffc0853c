import { describe, expect, test } from 'vitest'
import { isStoredScheme, normalIdentifierValue, splitLogin } from './identifier.ts'

const guid = '3f2504e0-4f89-11d3-9a0c-0305e82c3301'

describe('normal forms (platform.md, section 3)', () => {
  test.each([
    ['login', 'John.SMITH', 'john.smith'],
    ['login', 'ACME\\John', 'acme\\john'],
    ['email', 'John@ACME.com', 'john@acme.com'],
    ['uniqueID', 'User1', 'User1'],
    ['external', 'E-17 / Ä', 'E-17 / Ä'],
    ['staffNumber', ' 007', ' 007'],
    ['objectGuid', guid.toUpperCase(), guid],
    ['objectGuid', `{${guid}}`, guid],
    ['objectGuid', guid.replaceAll('-', ''), guid],
    ['objectGuid', `{${guid.replaceAll('-', '')}}`, guid],
    ['keyless', 'ab'.repeat(32), 'AB'.repeat(32)],
    ['keyless', '0123456f', '0123456F'],
    ['keyless', 'f'.repeat(128), 'F'.repeat(128)],
  ])('%s %j is %j', (scheme, value, normal) => {
    expect(normalIdentifierValue({ scheme, value })).toBe(normal)
  })

  test.each([
    ['objectGuid', `{${guid}`],
    ['objectGuid', `${guid}}`],
    ['objectGuid', guid.slice(1)],
    ['objectGuid', guid.replace('-', '')],
    ['objectGuid', guid.replace('f', 'g')],
    ['objectGuid', ` ${guid}`],
    ['keyless', 'abcdef0'],
    ['keyless', 'f'.repeat(129)],
    ['keyless', '0x123456'],
    // Arabic-Indic and full-width digits are digits to Unicode, not to us.
    ['keyless', '٠١٢٣٤٥٦٧'],
    ['keyless', '０１２３４５６７'],
    ['login', ''],
    ['external', 'a\0b'],
    ['external', 'a\nb'],
    ['external', 'a\x7fb'],
    ['external', '\ud800'],
    ['external', 'a\udc00b'],
    ['external', 'a'.repeat(256)],
    // 128 characters that become 256.
    ['login', 'İ'.repeat(128)],
    ['external', 'x'.repeat(100_000)],
  ])('%s %j is refused', (scheme, value) => {
    expect(normalIdentifierValue({ scheme, value })).toBeUndefined()
  })

  test('two spellings of one text are one value', () => {
    const composed = 'Ren\u00e9'
    const decomposed = 'Rene\u0301'
    for (const scheme of ['login', 'external', 'email', 'uniqueID']) {
      expect(normalIdentifierValue({ scheme, value: decomposed })).toBe(
        normalIdentifierValue({ scheme, value: composed }),
      )
    }
    expect(normalIdentifierValue({ scheme: 'login', value: 'RENE\u0301' })).toBe('ren\u00e9')
  })

  test('a normal form is its own normal form', () => {
    for (const value of ['ÀÉÎ', 'ΟΔΟΣ', 'İstanbul', 'ﬁ', 'e\u0301\u0327', 'ẞ', '\u212b']) {
      for (const scheme of ['login', 'email', 'external']) {
        const normal = normalIdentifierValue({ scheme, value })
        expect(normal).toBeDefined()
        expect(normalIdentifierValue({ scheme, value: normal ?? '' })).toBe(normal)
      }
    }
  })

  test('255 characters count as characters, not as UTF-16 units', () => {
    const faces = '😀'.repeat(255)
    expect(normalIdentifierValue({ scheme: 'external', value: faces })).toBe(faces)
    expect(normalIdentifierValue({ scheme: 'external', value: `${faces}😀` })).toBeUndefined()
  })
})

test.each([
  ['login', true],
  ['x-1._Y', true],
  ['id', false],
  ['', false],
  ['1st', false],
  ['a b', false],
  ['x'.repeat(65), false],
])('scheme %j can be stored: %j', (scheme, can) => {
  expect(isStoredScheme(scheme)).toBe(can)
})

test.each([
  ['john', undefined, 'john'],
  ['acme\\john', 'acme', 'john'],
  ['acme\\x\\john', 'acme', 'x\\john'],
  ['\\john', '', 'john'],
])('%j names domain %j and login %j', (login, domain, loginName) => {
  expect(splitLogin(login)).toEqual({ domain, loginName })
})
