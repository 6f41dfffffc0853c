import { describe, expect, test } from 'vitest'
import { refusal } from '#test/support/core.ts'
import { createTestClock } from '#test/support/storage.ts'
import { FailureLimiter } from './failure-limiter.ts'

function failing(limiter: FailureLimiter, address: string, times: number): void {
  for (let time = 0; time < times; time++) limiter.count(address)
}

describe('failed credentials of one address', () => {
  test('are refused from the limit on, until the minute is over', () => {
    const clock = createTestClock()
    const limiter = new FailureLimiter(3, clock)
    failing(limiter, '192.0.2.1', 2)
    limiter.requireRoom('192.0.2.1')
    clock.advance(20_000)
    limiter.count('192.0.2.1')
    expect(() => limiter.requireRoom('192.0.2.1')).toThrow(
      expect.objectContaining({ code: 'too_many_requests', retryAfterSeconds: 40 }),
    )
    clock.advance(39_999)
    expect(() => limiter.requireRoom('192.0.2.1')).toThrow(refusal('too_many_requests'))
    clock.advance(1)
    limiter.requireRoom('192.0.2.1')
    limiter.count('192.0.2.1')
    limiter.requireRoom('192.0.2.1')
  })

  test('do not count for another address', () => {
    const limiter = new FailureLimiter(1, createTestClock())
    failing(limiter, '192.0.2.1', 5)
    limiter.requireRoom('192.0.2.2')
    limiter.requireRoom(null)
  })

  test('count for the whole /64 of an IPv6 address, and for an IPv4 address in both spellings', () => {
    const limiter = new FailureLimiter(2, createTestClock())
    limiter.count('2001:db8:0:1::1')
    limiter.count('2001:db8:0:1:ffff::2')
    expect(() => limiter.requireRoom('2001:db8:0:1:1234::')).toThrow(refusal('too_many_requests'))
    limiter.requireRoom('2001:db8:0:2::1')
    limiter.count('::ffff:192.0.2.9')
    limiter.count('192.0.2.9')
    expect(() => limiter.requireRoom('192.0.2.9')).toThrow(refusal('too_many_requests'))
  })

  test('have no limit at 0', () => {
    const limiter = new FailureLimiter(0, createTestClock())
    failing(limiter, '192.0.2.1', 1000)
    limiter.requireRoom('192.0.2.1')
  })

  test('of very many addresses take bounded memory: the oldest ones are forgotten', () => {
    const limiter = new FailureLimiter(1, createTestClock())
    limiter.count('192.0.2.1')
    for (let index = 0; index < 50_000; index++)
      limiter.count(`10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`)
    limiter.requireRoom('192.0.2.1')
    expect(() => limiter.requireRoom('10.0.195.79')).toThrow(refusal('too_many_requests'))
  })
})
