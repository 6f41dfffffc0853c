import fc from 'fast-check'
import { expect, test } from 'vitest'
import { counterMax, type HashAlgorithm } from './hotp.ts'
import { formatOtpauth, OtpauthError, type OtpauthKey, parseOtpauth } from './otpauth.ts'

const secret = new TextEncoder().encode('12345678901234567890')
const acme: OtpauthKey = {
  type: 'TOTP',
  issuer: 'Acme Bank',
  account: 'john.smith',
  secret,
  algorithm: 'SHA1',
  digits: 6,
  period: 30,
}
const acmeUri =
  'otpauth://totp/Acme%20Bank:john.smith?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Acme%20Bank&algorithm=SHA1&digits=6&period=30'

test('writes the example of the contract, with %20 for a blank', () => {
  expect(formatOtpauth(acme)).toBe(acmeUri)
  expect(parseOtpauth(acmeUri)).toEqual(acme)
})

test('writes the counter of an event token and no period', () => {
  const { period: _, ...rest } = acme
  const uri = formatOtpauth({ ...rest, type: 'HOTP', counter: 7 })
  expect(uri).toMatch(/^otpauth:\/\/hotp\//)
  expect(uri).toMatch(/&digits=6&counter=7$/)
})

test('the example of the Key URI format reads as it says', () => {
  const uri =
    'otpauth://totp/ACME%20Co:john.doe@email.com?secret=HXDMVJECJJWSRB3HWIZR4IFUGFTMXBOZ&issuer=ACME%20Co&algorithm=SHA1&digits=6&period=30'
  expect(parseOtpauth(uri)).toMatchObject({ issuer: 'ACME Co', account: 'john.doe@email.com' })
})

test('absent parameters are SHA1, six digits and thirty seconds', () => {
  expect(parseOtpauth('otpauth://totp/john?secret=gezdgnbvgy3tqojq')).toEqual({
    type: 'TOTP',
    account: 'john',
    secret: new TextEncoder().encode('1234567890'),
    algorithm: 'SHA1',
    digits: 6,
    period: 30,
  })
})

test('what is written is read back the same', () => {
  const names = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 40 })
    .filter((name) => !name.startsWith(' ') && encodeURIComponent(name).length < 600)
  const common = {
    issuer: names,
    account: names,
    secret: fc.uint8Array({ minLength: 1, maxLength: 128 }),
    algorithm: fc.constantFrom<HashAlgorithm>('SHA1', 'SHA256', 'SHA512'),
    digits: fc.integer({ min: 6, max: 10 }),
  }
  const keys = fc.oneof(
    fc.record({
      ...common,
      type: fc.constant('TOTP' as const),
      period: fc.integer({ min: 5, max: 3600 }),
    }),
    fc.record({ ...common, type: fc.constant('HOTP' as const), counter: fc.maxSafeNat() }),
  )
  fc.assert(
    fc.property(keys, (key) => {
      expect(parseOtpauth(formatOtpauth(key))).toEqual(key)
    }),
    { numRuns: 500 },
  )
})

test('any text is a key or an OtpauthError, never another failure', () => {
  const pieces = fc.constantFrom(
    ...[
      'otpauth://',
      'totp/',
      'hotp/',
      'a:b',
      '?',
      '&',
      'secret=',
      'GEZDGNBV',
      '=',
      '%',
      '%20',
      '%ff',
    ],
    ...[
      'issuer=',
      'digits=',
      '6',
      'period=',
      'counter=',
      '#',
      '/',
      ':',
      '\u0000',
      '\u00e4',
      '__proto__=',
    ],
  )
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
      try {
        parseOtpauth(parts.join(''))
      } catch (error) {
        expect(error).toBeInstanceOf(OtpauthError)
      }
    }),
    { numRuns: 5000 },
  )
})

const good = 'otpauth://totp/Acme:john?secret=GEZDGNBVGY3TQOJQ'

test.each([
  ['another scheme', 'https://totp/Acme:john?secret=GEZDGNBVGY3TQOJQ', 'uri'],
  ['another type', good.replace('totp', 'steam'), 'uri'],
  ['a port', good.replace('totp/', 'totp:1/'), 'uri'],
  ['a longer path', good.replace('john', 'john/doe'), 'uri'],
  ['a fragment', `${good}#x`, 'uri'],
  ['a blank', good.replace('john', 'john doe'), 'uri'],
  ['a character beyond ASCII', good.replace('john', 'j\u00f6hn'), 'uri'],
  ['an overlong text', `${good}&x=${'y'.repeat(2048)}`, 'uri'],
  ['no query', 'otpauth://totp/Acme:john', 'secret'],
  ['a parameter without name', `${good}&=1`, 'uri'],
  ['a parameter without value', `${good}&digits`, 'uri'],
  ['an empty parameter', `${good}&`, 'uri'],
  ['two secrets', `${good}&secret=GEZDGNBVGY3TQOJQ`, 'secret'],
  ['two secrets, one of them escaped', `${good}&%73ecret=GEZDGNBVGY3TQOJQ`, 'secret'],
  ['two unknown parameters of one name', `${good}&image=a&image=b`, 'image'],
  ['an empty secret', good.replace(/secret=.*/, 'secret='), 'secret'],
  ['a secret with other characters', good.replace(/secret=.*/, 'secret=GEZDGNB1'), 'secret'],
  ['a secret with bits left over', good.replace(/secret=.*/, 'secret=MZ'), 'secret'],
  ['a secret of 129 bytes', good.replace(/secret=.*/, `secret=${'A'.repeat(207)}`), 'secret'],
  ['a wrong escape', good.replace('john', 'j%zzhn'), 'label'],
  ['an escape that is no UTF-8', good.replace('john', '%ff'), 'label'],
  ['no account', good.replace('john', ''), 'label'],
  ['no label', 'otpauth://totp/?secret=GEZDGNBVGY3TQOJQ', 'label'],
  ['an empty issuer before the colon', good.replace('Acme:', ':'), 'label'],
  ['an empty issuer', `${good}&issuer=`, 'issuer'],
  ['two different issuers', `${good}&issuer=Other`, 'issuer'],
  ['another issuer of the same length', `${good}&issuer=Bcme`, 'issuer'],
  ['an unknown hash', `${good}&algorithm=MD5`, 'algorithm'],
  ['a name every object has', `${good}&algorithm=constructor`, 'algorithm'],
  ['five digits', `${good}&digits=5`, 'digits'],
  ['eleven digits', `${good}&digits=11`, 'digits'],
  ['digits that are no number', `${good}&digits=6.0`, 'digits'],
  ['digits with a leading zero', `${good}&digits=06`, 'digits'],
  ['a period of four seconds', `${good}&period=4`, 'period'],
  ['a period of an hour and a second', `${good}&period=3601`, 'period'],
  ['a counter of a time token', `${good}&counter=1`, 'counter'],
  ['an event token without counter', good.replace('totp', 'hotp'), 'counter'],
  ['a period of an event token', `${good.replace('totp', 'hotp')}&counter=1&period=30`, 'period'],
  [
    'a counter beyond 2^53 - 1',
    `${good.replace('totp', 'hotp')}&counter=9007199254740992`,
    'counter',
  ],
  ['a negative counter', `${good.replace('totp', 'hotp')}&counter=-1`, 'counter'],
])('%s is refused, and the message names the place', (_, uri, place) => {
  let thrown: unknown
  try {
    parseOtpauth(uri)
  } catch (error) {
    thrown = error
  }
  expect(thrown).toBeInstanceOf(OtpauthError)
  expect(thrown).toMatchObject({ place, message: expect.stringMatching(`^${place}: `) })
  expect(String(thrown)).not.toContain('GEZDGNBV')
})

test.each([
  ['an account may have colons when the issuer is named', 'Acme%3Aa%3Ab', 'Acme', 'a:b'],
  ['an issuer may have a colon when it is named', 'A%3AB:john', 'A%3AB', 'john'],
  ['a prefix may be absent', 'john', 'Acme', 'john'],
  ['blanks after the colon are no part of the account', 'Acme:%20john', 'Acme', 'john'],
  ['+ stands for itself', 'a+b:john', 'a+b', 'john'],
])('%s', (_, label, issuer, account) => {
  expect(
    parseOtpauth(`otpauth://totp/${label}?secret=GEZDGNBVGY3TQOJQ&issuer=${issuer}`),
  ).toMatchObject({
    issuer: decodeURIComponent(issuer),
    account,
  })
})

test.each([
  ['an empty account', { account: '' }],
  ['an account that begins with a blank', { account: ' john' }],
  ['an empty issuer', { issuer: '' }],
  ['a colon without issuer', { issuer: undefined, account: 'a:b' }],
  ['a lone surrogate', { account: '\ud800' }],
  ['an empty secret', { secret: new Uint8Array() }],
  ['five digits', { digits: 5 }],
  ['a period of four seconds', { period: 4 }],
  ['a counter of a time token', { counter: 1 }],
  ['a counter beyond 2^53 - 1', { type: 'HOTP', period: undefined, counter: counterMax + 1 }],
  ['a name that makes the URI too long', { account: 'x'.repeat(2048) }],
] satisfies [string, Partial<OtpauthKey>][])('%s is not written', (_, wrong) => {
  expect(() => formatOtpauth({ ...acme, ...wrong })).toThrow(OtpauthError)
})
