import { createHmac, createSecretKey } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  counterMax,
  findCounter,
  findCounterPair,
  type HashAlgorithm,
  hotp,
  searchCountMax,
} from './hotp.ts'

const rfc4226Secret = new TextEncoder().encode('12345678901234567890')
const rfc4226 = { secret: rfc4226Secret, digits: 6, algorithm: 'SHA1' } as const

const rfc4226AppendixD = [
  '755224',
  '287082',
  '359152',
  '969429',
  '338314',
  '254676',
  '287922',
  '162583',
  '399871',
  '520489',
]

describe('RFC 4226 appendix D', () => {
  test.each(rfc4226AppendixD.map((code, counter) => ({ counter, code })))(
    'counter $counter gives $code',
    ({ counter, code }) => {
      expect(hotp({ ...rfc4226, counter })).toBe(code)
      expect(hotp({ ...rfc4226, secret: createSecretKey(rfc4226Secret), counter })).toBe(code)
    },
  )

  test.each([
    [0, 1284755224],
    [1, 1094287082],
    [2, 137359152],
    [9, 645520489],
  ])('counter %i truncates to %i, all ten digits of it', (counter, value) => {
    expect(hotp({ ...rfc4226, digits: 10, counter })).toBe(String(value).padStart(10, '0'))
  })
})

/** RFC 4226 section 5.3 once more, as plainly as possible and with BigInt, to compare against. */
function plainHotp(secret: Uint8Array, counter: number, digits: number, hash: string): string {
  const text = Buffer.alloc(8)
  text.writeBigUInt64BE(BigInt(counter))
  const mac = [...createHmac(hash, secret).update(text).digest()]
  const offset = (mac.at(-1) ?? 0) % 16
  const [first = 0, ...rest] = mac.slice(offset, offset + 4)
  const value = [first % 128, ...rest].reduce((sum, byte) => sum * 256 + byte, 0)
  return String(value % 10 ** digits).padStart(digits, '0')
}

const algorithms = fc.constantFrom<HashAlgorithm>('SHA1', 'SHA256', 'SHA512')
const secrets = fc.uint8Array({ minLength: 1, maxLength: 128 })
const digitCounts = fc.integer({ min: 6, max: 10 })
const counters = fc.oneof(
  fc.integer({ min: 0, max: 1000 }),
  fc.integer({ min: 2 ** 31 - 50, max: 2 ** 31 + 50 }),
  fc.integer({ min: 2 ** 32 - 50, max: 2 ** 32 + 50 }),
  fc.integer({ min: counterMax - 50, max: counterMax }),
  fc.maxSafeNat(),
)

test('a code is exact for every hash, length and counter, also near 2^32 and 2^53 - 1', () => {
  fc.assert(
    fc.property(
      secrets,
      counters,
      digitCounts,
      algorithms,
      (secret, counter, digits, algorithm) => {
        const code = hotp({ secret, counter, digits, algorithm })
        expect(code).toBe(plainHotp(secret, counter, digits, algorithm.toLowerCase()))
        expect(code).toHaveLength(digits)
      },
    ),
    { numRuns: 500 },
  )
})

test('the first counter of the window that shows the code is found, by any window that holds it', () => {
  const offsets = fc.integer({ min: 0, max: 20 })
  fc.assert(
    fc.property(
      secrets,
      counters,
      digitCounts,
      algorithms,
      offsets,
      offsets,
      (secret, counter, digits, algorithm, before, after) => {
        const code = hotp({ secret, counter, digits, algorithm })
        const from = counter - before
        const to = counter + after
        const expected = range(Math.max(from, 0), Math.min(to, counterMax)).find(
          (candidate) => hotp({ secret, counter: candidate, digits, algorithm }) === code,
        )
        expect(findCounter({ secret, algorithm, digits, code, from, to })).toBe(expected)
      },
    ),
    { numRuns: 300 },
  )
})

test('two consecutive codes are found at the counter of the first one, and in that order only', () => {
  const offsets = fc.integer({ min: 0, max: 20 })
  fc.assert(
    fc.property(secrets, counters, algorithms, offsets, (secret, counter, algorithm, before) => {
      fc.pre(counter < counterMax)
      const key = { secret, algorithm, digits: 8 }
      const firstCode = hotp({ ...key, counter })
      const secondCode = hotp({ ...key, counter: counter + 1 })
      const window = { from: counter - before, to: counter + 5 }
      expect(findCounterPair({ ...key, firstCode, secondCode, ...window })).toBe(counter)
      expect(
        findCounterPair({ ...key, firstCode: secondCode, secondCode: firstCode, ...window }),
      ).toBeUndefined()
    }),
  )
})

test('a window begins and ends with its bounds', () => {
  const search = { ...rfc4226, code: '969429' }
  expect(findCounter({ ...search, from: 3, to: 3 })).toBe(3)
  expect(findCounter({ ...search, from: 0, to: 3 })).toBe(3)
  expect(findCounter({ ...search, from: 0, to: 2 })).toBeUndefined()
  expect(findCounter({ ...search, from: 4, to: 100 })).toBeUndefined()
  expect(findCounter({ ...search, from: 4, to: 3 })).toBeUndefined()
  expect(findCounter({ ...search, from: -10, to: 3 })).toBe(3)
  expect(findCounter({ ...search, from: -10, to: -1 })).toBeUndefined()
})

test('a pair needs both of its codes, the second may lie one beyond the window', () => {
  const pair = { ...rfc4226, firstCode: '969429', secondCode: '338314' }
  expect(findCounterPair({ ...pair, from: 0, to: 3 })).toBe(3)
  expect(findCounterPair({ ...pair, from: 0, to: 2 })).toBeUndefined()
  expect(findCounterPair({ ...pair, from: 4, to: 9 })).toBeUndefined()
  expect(findCounterPair({ ...pair, secondCode: '254676', from: 0, to: 9 })).toBeUndefined()
  expect(findCounterPair({ ...pair, secondCode: '969429', from: 0, to: 9 })).toBeUndefined()
  expect(findCounterPair({ ...pair, from: counterMax, to: counterMax })).toBeUndefined()
})

test.each([
  ['empty', ''],
  ['too short', '55224'],
  ['too long', '0755224'],
  ['a sign', '+55224'],
  ['a blank', ' 55224'],
  ['hex', '0x5224'],
  ['an exponent', '755e24'],
  ['full-width digits', '\uff17\uff15\uff15\uff12\uff12\uff14'],
  ['Arabic-Indic digits', '\u0667\u0665\u0665\u0662\u0662\u0664'],
])('R2: a code that is %s is found nowhere', (_, code) => {
  expect(findCounter({ ...rfc4226, code, from: 0, to: 9 })).toBeUndefined()
})

test('ten digits above 31 bits are found nowhere', () => {
  const value = 1284755224
  const search = { ...rfc4226, digits: 10, from: 0, to: 0 }
  expect(findCounter({ ...search, code: String(value) })).toBe(0)
  expect(findCounter({ ...search, code: String(value + 2 ** 31) })).toBeUndefined()
  expect(findCounter({ ...search, code: String(value + 2 ** 32) })).toBeUndefined()
  expect(findCounter({ ...search, code: '4294967295' })).toBeUndefined()
})

test('R20: a search takes the same time for a match at its start, at its end, and for none', () => {
  const to = 4999
  const codes = {
    first: hotp({ ...rfc4226, digits: 10, counter: 0 }),
    last: hotp({ ...rfc4226, digits: 10, counter: to }),
    none: '0000000000',
    malformed: 'x',
  }
  const fastest: Record<string, number> = {}
  for (let round = 0; round < 7; round++) {
    for (const [name, code] of Object.entries(codes)) {
      const startedAt = performance.now()
      findCounter({ ...rfc4226, digits: 10, code, from: 0, to })
      fastest[name] = Math.min(
        fastest[name] ?? Number.POSITIVE_INFINITY,
        performance.now() - startedAt,
      )
    }
  }
  const times = Object.values(fastest)
  // An early exit would make the quickest of them thousands of times faster than the slowest.
  expect(Math.max(...times) / Math.min(...times)).toBeLessThan(4)
})

test.each([
  ['five digits', { digits: 5 }],
  ['eleven digits', { digits: 11 }],
  ['half a digit', { digits: 6.5 }],
  ['an empty secret', { secret: new Uint8Array() }],
])('%s are a programming error', (_, wrong) => {
  expect(() => hotp({ ...rfc4226, counter: 0, ...wrong })).toThrow(RangeError)
  expect(() => findCounter({ ...rfc4226, code: '755224', from: 0, to: 1, ...wrong })).toThrow(
    RangeError,
  )
})

test.each([-1, 0.5, counterMax + 1, Number.NaN, Number.POSITIVE_INFINITY])(
  'counter %s is a programming error',
  (counter) => {
    expect(() => hotp({ ...rfc4226, counter })).toThrow(RangeError)
  },
)

test('a window is bounded', () => {
  const search = { ...rfc4226, code: '755224' }
  expect(() => findCounter({ ...search, from: 0, to: searchCountMax })).toThrow(RangeError)
  expect(() => findCounter({ ...search, from: 0, to: Number.POSITIVE_INFINITY })).toThrow(
    RangeError,
  )
  expect(() => findCounter({ ...search, from: 0.5, to: 2 })).toThrow(RangeError)
})

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}
