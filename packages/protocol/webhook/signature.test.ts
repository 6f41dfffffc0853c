import { describe, expect, test } from 'vitest'
import { signWebhook, webhookKey, webhookSecret } from './signature.ts'

const secret = 'whsec_Y291bnRlcnNpZ24td2ViaG9vay10ZXN0LXZlY3RvciE='
const message = {
  id: 'msg_01M7YRRT804BJ15E9Y34TGMDVJ',
  timestampSeconds: 1_795_255_200,
  body: Buffer.from(
    '{"type":"webhook.test","timestamp":"2026-11-21T10:00:00.000Z","data":{"tenantId":"acme"}}',
  ),
}
const signature = 'v1,vK2Nzgco/z3hhlMgisB1pbdeLSh6ILFelsCrR079QjY='

test('the vector of platform.md, section 6', () => {
  expect(signWebhook(message, [secret])).toBe(signature)
})

// https://github.com/standard-webhooks/standard-webhooks, the example of its libraries' tests.
test('the vector of Standard Webhooks', () => {
  const published = {
    id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    timestampSeconds: 1_614_265_330,
    body: Buffer.from('{"test": 2432232314}'),
  }
  expect(signWebhook(published, ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'])).toBe(
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  )
})

test('two secrets give two signatures, the first one first', () => {
  const other = webhookSecret(Buffer.alloc(32, 7))
  expect(signWebhook(message, [secret, other])).toBe(
    `${signature} ${signWebhook(message, [other])}`,
  )
})

describe('a secret', () => {
  test.each([24, 32, 64])('of %i bytes is one', (length) => {
    const key = Buffer.alloc(length, 1)
    expect(webhookKey(webhookSecret(key))).toEqual(key)
  })

  test.each([
    ['too short', webhookSecret(Buffer.alloc(23))],
    ['too long', webhookSecret(Buffer.alloc(65))],
    ['without its prefix', Buffer.alloc(32).toString('base64')],
    ['in base64url', `whsec_${Buffer.alloc(32, 0xff).toString('base64url')}`],
    ['with a blank', `whsec_ ${Buffer.alloc(32).toString('base64')}`],
    ['with bits behind its end', 'whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB='],
    ['without its padding', `whsec_${Buffer.alloc(32).toString('base64').slice(0, -1)}`],
  ])('%s is none', (_what, text) => {
    expect(webhookKey(text)).toBeUndefined()
    expect(() => signWebhook(message, [text])).toThrow(RangeError)
  })
})
