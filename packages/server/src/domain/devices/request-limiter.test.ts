import { expect, test } from 'vitest'
import { createTestClock } from '#test/support/storage.ts'
import { RequestLimiter } from './request-limiter.ts'

const refused = (retryAfterSeconds: number) =>
  expect.objectContaining({ code: 'too_many_requests', retryAfterSeconds })

test('each device has its own minute, and is told how long the rest of it is', () => {
  const clock = createTestClock()
  const limiter = new RequestLimiter(2, clock)
  limiter.count('one')
  clock.advance(20_000)
  limiter.count('one')
  expect(() => limiter.count('one')).toThrow(refused(40))
  limiter.count('two')
  clock.advance(39_999)
  expect(() => limiter.count('one')).toThrow(refused(1))
  clock.advance(1)
  limiter.count('one')
})

test('0 is no limit', () => {
  const limiter = new RequestLimiter(0, createTestClock())
  for (let call = 0; call < 1000; call++) limiter.count('one')
})
