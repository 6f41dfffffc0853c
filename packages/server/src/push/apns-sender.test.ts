import { createPrivateKey } from 'node:crypto'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { clientIdentity, signProviderJwt } from '#custody/provider-signature.ts'
import type { PushNote } from '#domain/push/push-note.ts'
import type { ApnsAccess } from '#domain/push/push-sender.ts'
import type { OutboundAllow } from '#domain/tenants/outbound-rule.ts'
import { loopbackAllowed } from '#test/support/delivery.ts'
import {
  type ApnsServer,
  issueSigningKey,
  openJwt,
  providerTls,
  startApnsServer,
  startRouter,
  trustTestProviders,
} from '#test/support/push-providers.ts'
import { ApnsSender } from './apns-sender.ts'
import { pushEndpoints } from './endpoints.ts'
import { Http2Connections } from './http2-connections.ts'
import { inTime, note, openWays, startMs } from './push.fixture.ts'

const issued = issueSigningKey()
const deviceToken = 'ab'.repeat(32)
let server: ApnsServer
let development: ApnsServer
let sender: ApnsSender
let connections: Http2Connections
let nowMs: number
let ways: ReturnType<typeof openWays>
let tokensMade: number

beforeAll(trustTestProviders)

beforeEach(async () => {
  nowMs = startMs
  tokensMade = 0
  server = await startApnsServer()
  development = await startApnsServer()
  ways = openWays(() => nowMs)
  connections = new Http2Connections(ways.providers.guard)
  const endpoints = {
    ...pushEndpoints,
    apns: server.origin,
    'apns-development': development.origin,
  }
  sender = new ApnsSender({ connections, endpoints, clock: () => nowMs })
})

afterEach(async () => {
  connections.close()
  ways[Symbol.dispose]()
  await server[Symbol.asyncDispose]()
  await development[Symbol.asyncDispose]()
})

function access(changes: Partial<ApnsAccess> = {}): ApnsAccess {
  const key = createPrivateKey(issued.pem)
  return {
    id: 'one',
    bundleId: 'com.acme.bank',
    isDevelopment: false,
    providerToken: (atMs) => {
      tokensMade += 1
      const claims = { iss: 'TEAM123456', iat: Math.floor(atMs / 1000) }
      return signProviderJwt({ algorithm: 'ES256', key }, { kid: 'KEY1234567' }, claims)
    },
    ...changes,
  }
}

const send = (changes: Partial<PushNote> = {}, signal = inTime(), as = access()) =>
  sender.send(as, deviceToken, { ...note, ...changes }, signal)

const bearer = (index: number) =>
  String(server.received[index]?.headers.authorization).replace(/^bearer /, '')

describe('what Apple gets', () => {
  test('is an alert for the app, signed with the key of the team, over TLS', async () => {
    expect(await send()).toEqual({
      verdict: 'taken',
      isProviderWell: true,
      statusCode: 200,
      error: null,
    })
    const [call] = server.received
    expect(call?.path).toBe(`/3/device/${deviceToken}`)
    expect(call?.headers).toMatchObject({
      ':method': 'POST',
      ':scheme': 'https',
      'apns-topic': 'com.acme.bank',
      'apns-push-type': 'alert',
      'apns-priority': '10',
      'apns-expiration': String(Math.floor(note.expiresAtMs / 1000)),
      'apns-collapse-id': note.messageId,
    })
    expect(call?.payload).toEqual({
      aps: { alert: { title: 'Acme Bank', body: 'Überweisung prüfen' }, sound: 'default' },
      to: { userId: note.userId, tenantId: 'acme' },
      messageId: note.messageId,
    })
    expect(openJwt(bearer(0), issued.publicKey)).toEqual({
      header: { alg: 'ES256', typ: 'JWT', kid: 'KEY1234567' },
      claims: { iss: 'TEAM123456', iat: Math.floor(startMs / 1000) },
    })
  })

  test('names keys for the app to translate, leaves out what is suppressed, wakes in silence without both', async () => {
    await send({ title: { key: 'com.acme.title' }, body: undefined })
    await send({ title: undefined, body: { key: 'com.acme.body' } })
    await send({ title: undefined, body: undefined })
    expect(server.received.map(({ payload }) => payload.aps)).toEqual([
      { alert: { 'title-loc-key': 'com.acme.title' }, sound: 'default' },
      { alert: { 'loc-key': 'com.acme.body' }, sound: 'default' },
      { 'content-available': 1 },
    ])
    expect(server.received[2]?.headers).toMatchObject({
      'apns-push-type': 'background',
      'apns-priority': '5',
    })
  })

  test('goes to the other gateway for an app in development', async () => {
    expect(await send({}, inTime(), access({ isDevelopment: true }))).toMatchObject({
      verdict: 'taken',
    })
    expect([server.received.length, development.received.length]).toEqual([0, 1])
  })

  test('comes with the certificate of the app where there is no key, over a connection of its own', async () => {
    const { providerToken: _, ...bare } = access({ id: 'two' })
    const identity = clientIdentity(
      providerTls.clientCertificate,
      createPrivateKey(providerTls.clientKey),
    )
    if (identity === undefined) throw new Error('There is no identity.')
    await send()
    // The authority that the process trusts must hold for connections with a certificate as well.
    expect(await send({}, inTime(), { ...bare, identity })).toMatchObject({ verdict: 'taken' })
    expect(server.received.map(({ client }) => client)).toEqual([undefined, 'client'])
    expect(server.received[1]?.headers.authorization).toBeUndefined()
    expect(server.connectionCount).toBe(2)
  })
})

describe('the token of the provider', () => {
  test('serves for fifty minutes, then there is a new one', async () => {
    await send()
    nowMs += 49 * 60_000
    await send()
    expect(tokensMade).toBe(1)
    nowMs += 60_000
    await send()
    expect(tokensMade).toBe(2)
    expect(bearer(0)).toBe(bearer(1))
    expect(bearer(2)).not.toBe(bearer(0))
  })

  test('that Apple calls expired is made anew, though never twice in twenty minutes', async () => {
    server.answerWith({ status: 403, reason: 'ExpiredProviderToken' })
    expect(await send()).toMatchObject({
      verdict: 'again',
      isProviderWell: false,
      reason: 'ExpiredProviderToken',
    })
    await send()
    expect(tokensMade).toBe(1)
    nowMs += 21 * 60_000
    await send()
    await send()
    expect(tokensMade).toBe(2)
  })
})

describe('what Apple answers', () => {
  test.each([
    [410, 'Unregistered', 'gone', true],
    [410, 'ExpiredToken', 'gone', true],
    [400, 'BadDeviceToken', 'gone', true],
    [400, 'DeviceTokenNotForTopic', 'refused', true],
    [400, 'PayloadEmpty', 'refused', true],
    [413, 'PayloadTooLarge', 'refused', true],
    [403, 'InvalidProviderToken', 'again', false],
    [403, 'BadCertificateEnvironment', 'again', false],
    [404, 'BadPath', 'again', false],
    [429, 'TooManyRequests', 'again', true],
    [429, 'TooManyProviderTokenUpdates', 'again', false],
    [500, 'InternalServerError', 'again', false],
    [503, 'ServiceUnavailable', 'again', false],
  ])('%i %s: %s', async (status, reason, verdict, isProviderWell) => {
    server.answerWith({ status, reason })
    expect(await send()).toMatchObject({ verdict, isProviderWell, statusCode: status, reason })
  })

  test('a pause that is asked for is told; garbage, a redirect and too much are trouble, never success', async () => {
    server.answerWith({ status: 429, reason: 'TooManyRequests', headers: { 'retry-after': '7' } })
    expect(await send()).toMatchObject({ retryAfterMs: 7_000 })
    server.answerWith((_, stream) => {
      stream.respond({ ':status': 403 })
      stream.end('{"reason":"<script>\u0000')
    })
    expect(await send()).toEqual({
      verdict: 'again',
      isProviderWell: false,
      statusCode: 403,
      error: null,
    })
    server.answerWith({ status: 308, headers: { location: development.origin } })
    expect(await send()).toMatchObject({ verdict: 'again', error: 'REDIRECT' })
    expect(development.received).toEqual([])
    server.answerWith((_, stream) => {
      stream.respond({ ':status': 500 })
      const more = (): void => {
        if (!stream.destroyed) stream.write(Buffer.alloc(16_384), () => setImmediate(more))
      }
      more()
    })
    expect(await send()).toMatchObject({ verdict: 'again', statusCode: 500 })
  })

  test('a token that is no token is not sent anywhere, whatever path it would make', async () => {
    for (const token of ['../../evil', 'xyz', '', 'ab'.repeat(300), 'abc']) {
      expect(await sender.send(access(), token, note, inTime())).toMatchObject({ verdict: 'gone' })
    }
    expect(server.received).toEqual([])
  })
})

describe('the connection', () => {
  test('is one for a hundred messages at once', async () => {
    const answers = await Promise.all(Array.from({ length: 100 }, () => send()))
    expect(answers.every(({ verdict }) => verdict === 'taken')).toBe(true)
    expect(server.connectionCount).toBe(1)
  })

  test('that says goodbye is replaced; what it had not answered comes over the next one', async () => {
    await send()
    const first = server.received[0]?.session
    // Everything up to the last stream will still be answered: what is under way ends well.
    server.answerWith((_call, stream) => {
      first?.goaway(0)
      setTimeout(() => {
        stream.respond({ ':status': 200 })
        stream.end()
      }, 20)
    })
    expect(await send()).toMatchObject({ verdict: 'taken' })
    server.answerWith({ status: 200 })
    expect(await send()).toMatchObject({ verdict: 'taken' })
    expect(server.received.map(({ connection }) => connection)).toEqual([1, 1, 2])
    // An error, with nothing answered any more.
    let isFirst = true
    server.answerWith((call, stream) => {
      if (isFirst) {
        isFirst = false
        call.session.goaway(2, 0, Buffer.from('{"reason":"Shutdown"}'))
        call.session.destroy()
      } else {
        stream.respond({ ':status': 200 })
        stream.end()
      }
    })
    expect(await send()).toMatchObject({ verdict: 'taken' })
    expect(server.connectionCount).toBe(3)
  })

  test('that was forgotten on the way while it was quiet costs no message its time', async () => {
    await using router = await startRouter(server.origin)
    const quiet = new Http2Connections(ways.providers.guard, { quietMs: 0 })
    const target = { origin: router.origin, credentials: 'x' }
    const call = { path: '/3/device/ab', headers: {}, body: Buffer.from('{}') }
    expect((await quiet.post(target, call, inTime())).statusCode).toBe(200)
    expect((await quiet.post(target, call, inTime())).statusCode).toBe(200)
    expect(server.connectionCount).toBe(1)
    router.forget()
    expect((await quiet.post(target, call, inTime())).statusCode).toBe(200)
    expect(server.connectionCount).toBe(2)
    quiet.close()
  })

  test('that is asked whether it still stands costs its message no more than the time given', async () => {
    const quiet = new Http2Connections(ways.providers.guard, { quietMs: 0 })
    const target = { origin: server.origin, credentials: 'x' }
    const call = { path: '/3/device/ab', headers: {}, body: Buffer.from('{}') }
    expect((await quiet.post(target, call, inTime())).statusCode).toBe(200)
    const ending = new AbortController()
    server.received[0]?.session.once('ping', () => ending.abort())
    server.answerWith(() => {})
    expect(await quiet.post(target, call, ending.signal)).toMatchObject({ error: 'TIMEOUT' })
    expect(server.received).toHaveLength(1)
    quiet.close()
  })

  test('that always breaks is given up after two tries', async () => {
    server.answerWith((call) => call.session.destroy())
    expect(await send()).toMatchObject({
      verdict: 'again',
      isProviderWell: false,
      statusCode: null,
      error: 'CONNECTION',
    })
    expect(server.received).toHaveLength(2)
  })

  test('that is silent costs its message the time given, not the next one', async () => {
    server.answerWith(() => {})
    const startedAt = performance.now()
    expect(await send({}, inTime(100))).toMatchObject({ verdict: 'again', error: 'TIMEOUT' })
    expect(performance.now() - startedAt).toBeLessThan(1_000)
    server.answerWith({ status: 200 })
    expect(await send()).toMatchObject({ verdict: 'taken' })
    expect(server.connectionCount).toBe(2)
  })

  test('is not made to who cannot prove to be the provider, or to where it may not lead', async () => {
    const post = async (origin: string, allow: OutboundAllow) => {
      const theirs = openWays(() => nowMs, allow, ['127.0.0.1'])
      const others = new Http2Connections(theirs.providers.guard)
      const call = { path: '/', headers: {}, body: Buffer.from('{}') }
      const { error } = await others.post({ origin, credentials: 'x' }, call, inTime())
      others.close()
      theirs[Symbol.dispose]()
      return error
    }
    const { port } = new URL(server.origin)
    expect(await post(server.origin, { hosts: [], ranges: [] })).toBe('ADDRESS_REFUSED')
    expect(await post(`https://apple.example:${port}`, { hosts: [], ranges: [] })).toBe(
      'ADDRESS_REFUSED',
    )
    // The certificate is for 127.0.0.1.
    expect(await post(`https://apple.example:${port}`, loopbackAllowed)).toBe('TLS')
    expect(server.received).toEqual([])
  })

  test('ends with the server: what is under way is told, nothing new begins', async () => {
    server.answerWith(() => {})
    const sending = send()
    await expect.poll(() => server.received.length).toBe(1)
    connections.close()
    expect(await sending).toMatchObject({ error: 'CONNECTION' })
    expect(await send()).toMatchObject({ error: 'CONNECTION' })
  })
})
