import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hotp } from './hotp.ts'
import { totpStep, totpStepStartMs } from './totp.ts'

// The RFC's reference implementation repeats the digits to the length of each hash (erratum 2866).
const rfc6238Secrets = {
  SHA1: new TextEncoder().encode('12345678901234567890'),
  SHA256: new TextEncoder().encode('12345678901234567890123456789012'),
  SHA512: new TextEncoder().encode(
    '1234567890123456789012345678901234567890123456789012345678901234',
  ),
}

const rfc6238AppendixB = [
  { seconds: 59, algorithm: 'SHA1', code: '94287082' },
  { seconds: 59, algorithm: 'SHA256', code: '46119246' },
  { seconds: 59, algorithm: 'SHA512', code: '90693936' },
  { seconds: 1111111109, algorithm: 'SHA1', code: '07081804' },
  { seconds: 1111111109, algorithm: 'SHA256', code: '68084774' },
  { seconds: 1111111109, algorithm: 'SHA512', code: '25091201' },
  { seconds: 1111111111, algorithm: 'SHA1', code: '14050471' },
  { seconds: 1111111111, algorithm: 'SHA256', code: '67062674' },
  { seconds: 1111111111, algorithm: 'SHA512', code: '99943326' },
  { seconds: 1234567890, algorithm: 'SHA1', code: '89005924' },
  { seconds: 1234567890, algorithm: 'SHA256', code: '91819424' },
  { seconds: 1234567890, algorithm: 'SHA512', code: '93441116' },
  { seconds: 2000000000, algorithm: 'SHA1', code: '69279037' },
  { seconds: 2000000000, algorithm: 'SHA256', code: '90698825' },
  { seconds: 2000000000, algorithm: 'SHA512', code: '38618901' },
  { seconds: 20000000000, algorithm: 'SHA1', code: '65353130' },
  { seconds: 20000000000, algorithm: 'SHA256', code: '77737706' },
  { seconds: 20000000000, algorithm: 'SHA512', code: '47863826' },
] as const

describe('RFC 6238 appendix B', () => {
  test.each(rfc6238AppendixB)('$seconds s, $algorithm: $code', ({ seconds, algorithm, code }) => {
    const counter = totpStep(seconds * 1000, 30)
    expect(hotp({ secret: rfc6238Secrets[algorithm], algorithm, digits: 8, counter })).toBe(code)
  })
})

test('every moment lies in the step that began last', () => {
  const times = fc.integer({ min: 0, max: 2 ** 52 })
  fc.assert(
    fc.property(times, fc.integer({ min: 5, max: 3600 }), (timeMs, period) => {
      const step = totpStep(timeMs, period)
      expect(totpStepStartMs(step, period)).toBeLessThanOrEqual(timeMs)
      expect(totpStepStartMs(step + 1, period)).toBeGreaterThan(timeMs)
    }),
  )
})

test('a step changes on the millisecond', () => {
  expect(totpStep(29_999, 30)).toBe(0)
  expect(totpStep(30_000, 30)).toBe(1)
})

test.each([
  [-1, 30],
  [Number.NaN, 30],
  [0, 4],
  [0, 3601],
  [0, 29.5],
])('time %s with period %s is a programming error', (timeMs, period) => {
  expect(() => totpStep(timeMs, period)).toThrow(RangeError)
})
