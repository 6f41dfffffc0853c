import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { PushNote } from '#domain/push/push-note.ts'
import { type Receiver, startReceiver } from '#test/support/receiver.ts'
import { pushEndpoints } from './endpoints.ts'
import { HmsSender } from './hms-sender.ts'
import { inTime, note, openWays, startMs } from './push.fixture.ts'

let huawei: Receiver
let sender: HmsSender
let ways: ReturnType<typeof openWays>
let answer: { status: number; body: string }
let tokensGiven: number

beforeEach(async () => {
  tokensGiven = 0
  answerCode('80000000')
  huawei = await startReceiver(({ path }, response) => {
    if (path === '/oauth2/v3/token') {
      tokensGiven += 1
      const token = { access_token: `DQ/${tokensGiven}==`, expires_in: 3600, token_type: 'Bearer' }
      response.writeHead(200).end(JSON.stringify(token).replaceAll('/', '\\/'))
    } else {
      response.writeHead(answer.status).end(answer.body)
    }
  })
  ways = openWays(() => startMs)
  const { origin } = new URL(huawei.url)
  const endpoints = { ...pushEndpoints, hms: origin, 'hms-token': `${origin}/oauth2/v3/token` }
  sender = new HmsSender({ http: ways.providers.http, endpoints, clock: () => startMs })
})

afterEach(async () => {
  ways[Symbol.dispose]()
  await huawei[Symbol.asyncDispose]()
})

function answerCode(code: string, status = 200): void {
  answer = { status, body: JSON.stringify({ code, msg: 'text', requestId: '1' }) }
}

const access = { id: 'one', appId: '101234567', clientSecret: () => 'a secret & more' }
const send = (changes: Partial<PushNote> = {}) =>
  sender.send(access, 'device-token', { ...note, ...changes }, inTime())

const sent = () => huawei.received.filter(({ path }) => path.endsWith('messages:send'))

describe('what Huawei gets', () => {
  test('is one message for one token, after an access token for client credentials', async () => {
    expect(await send()).toEqual({
      verdict: 'taken',
      isProviderWell: true,
      statusCode: 200,
      error: null,
    })
    const [asked, got] = huawei.received
    expect(Object.fromEntries(new URLSearchParams(String(asked?.body)))).toEqual({
      grant_type: 'client_credentials',
      client_id: '101234567',
      client_secret: 'a secret & more',
    })
    expect(got?.path).toBe('/v1/101234567/messages:send')
    expect(got?.headers.authorization).toBe('Bearer DQ/1==')
    expect(JSON.parse(String(got?.body))).toEqual({
      validate_only: false,
      message: {
        data: JSON.stringify({
          to: { userId: note.userId, tenantId: 'acme' },
          messageId: note.messageId,
        }),
        android: {
          urgency: 'HIGH',
          ttl: '300s',
          notification: {
            title: 'Acme Bank',
            body: 'Überweisung prüfen',
            tag: note.messageId,
            click_action: { type: 3 },
          },
        },
        token: ['device-token'],
      },
    })
  })

  test('names keys for the app to translate; without title and body it is data alone', async () => {
    await send({ title: { key: 'com.acme.title' }, body: { key: 'com.acme.body' } })
    await send({ title: undefined, body: undefined })
    const [keyed, silent] = sent().map(({ body }) => JSON.parse(String(body)).message.android)
    expect(keyed.notification).toMatchObject({
      title_loc_key: 'com.acme.title',
      body_loc_key: 'com.acme.body',
    })
    expect(silent).not.toHaveProperty('notification')
  })
})

describe('what Huawei answers', () => {
  test.each([
    ['80300007', 200, 'gone', true],
    ['80100001', 200, 'refused', true],
    ['80100003', 400, 'refused', true],
    ['80300008', 200, 'refused', true],
    ['80300002', 200, 'again', false],
    ['80200001', 200, 'again', false],
    ['80600003', 500, 'again', false],
    ['81000001', 500, 'again', false],
    ['80000000', 503, 'again', false],
  ])('%s under %i: %s', async (code, status, verdict, isProviderWell) => {
    answerCode(code, status)
    expect(await send()).toMatchObject({
      verdict,
      isProviderWell,
      statusCode: status,
      reason: code,
    })
  })

  test.each(['80200001', '80200003'])(
    'an access token that is over (%s) is not used again',
    async (code) => {
      answerCode(code)
      await send()
      answerCode('80000000')
      expect(await send()).toMatchObject({ verdict: 'taken' })
      expect(tokensGiven).toBe(2)
    },
  )

  test('success is nothing but the code of success', async () => {
    for (const body of [
      '',
      '{}',
      '{"code":80000000}',
      '{"code":"0"}',
      '[]',
      '{"code":"x\\n"}',
      '<html>',
    ]) {
      answer = { status: 200, body }
      expect(await send()).toMatchObject({ verdict: 'again', isProviderWell: false })
    }
  })
})
