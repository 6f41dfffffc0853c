import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { encryptWebPush } from '#custody/web-push-encryption.ts'
import { type Receiver, startReceiver } from '#test/support/receiver.ts'
import { createWebPushBrowser } from '#test/support/web-push-browser.ts'
import { inTime, note, openWays, startMs } from './push.fixture.ts'
import { WebPushSender } from './web-push-sender.ts'

const browser = createWebPushBrowser()
let service: Receiver
let ways: ReturnType<typeof openWays>

beforeEach(async () => {
  service = await startReceiver(201)
  ways = openWays(() => startMs)
})

afterEach(async () => {
  ways[Symbol.dispose]()
  await service[Symbol.asyncDispose]()
})

const send = (endpoint = service.url, way = ways) =>
  new WebPushSender({ http: way.browsers, clock: () => startMs }).send(
    {
      endpoint,
      authorization: 'vapid t=x, k=y',
      encrypt: (plain) => encryptWebPush(plain, browser.keys, randomBytes(16)),
    },
    '',
    { ...note, title: { key: 'com.acme.title' } },
    inTime(),
  )

test('the push service gets what it needs, and only the browser can read the rest', async () => {
  expect(await send()).toEqual({
    verdict: 'taken',
    isProviderWell: true,
    statusCode: 201,
    error: null,
  })
  const [got] = service.received
  expect(got?.headers).toMatchObject({
    authorization: 'vapid t=x, k=y',
    'content-encoding': 'aes128gcm',
    'content-type': 'application/octet-stream',
    ttl: '300',
    urgency: 'high',
    topic: note.messageId,
  })
  expect(String(got?.body)).not.toContain(note.userId)
  expect(JSON.parse(browser.open(got?.body ?? Buffer.of()).toString())).toEqual({
    to: { userId: note.userId, tenantId: 'acme' },
    messageId: note.messageId,
    title: 'com.acme.title',
    body: 'Überweisung prüfen',
  })
})

test.each([
  [200, 'taken', true],
  [202, 'taken', true],
  [404, 'gone', true],
  [410, 'gone', true],
  [400, 'refused', true],
  [403, 'refused', true],
  [413, 'refused', true],
  [307, 'refused', true],
  [429, 'again', false],
  [500, 'again', false],
])('%i: %s', async (status, verdict, isProviderWell) => {
  service.answerWith((_received, response) => {
    response.writeHead(status, { location: 'http://127.0.0.1:1/', 'retry-after': '3' }).end()
  })
  const answer = await send()
  expect(answer).toMatchObject({ verdict, isProviderWell, statusCode: status })
  expect(answer.retryAfterMs).toBe(verdict === 'again' ? 3_000 : undefined)
  expect(service.received).toHaveLength(1)
})

test('a subscription never leads to where tenants may not call', async () => {
  using closed = openWays(() => startMs, { hosts: [], ranges: [] }, ['169.254.169.254'])
  for (const endpoint of [service.url, 'https://127.0.0.1/', 'https://metadata.example/latest']) {
    expect(await send(endpoint, closed)).toMatchObject({
      verdict: 'refused',
      error: 'ADDRESS_REFUSED',
    })
  }
  expect(service.received).toEqual([])
})
