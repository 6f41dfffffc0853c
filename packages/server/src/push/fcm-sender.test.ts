import { createPrivateKey } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { signProviderJwt } from '#custody/provider-signature.ts'
import type { PushNote } from '#domain/push/push-note.ts'
import type { FcmAccess } from '#domain/push/push-sender.ts'
import { issueServiceAccount, openJwt } from '#test/support/push-providers.ts'
import {
  type Answering,
  type Received,
  type Receiver,
  startReceiver,
} from '#test/support/receiver.ts'
import { pushEndpoints } from './endpoints.ts'
import { FcmSender } from './fcm-sender.ts'
import { inTime, note, openWays, startMs } from './push.fixture.ts'

const account = issueServiceAccount()
let google: Receiver
let sender: FcmSender
let nowMs: number
let ways: ReturnType<typeof openWays>
let tokensGiven: number
let answering: Answering
let tokenAnswering: Answering | undefined

beforeEach(async () => {
  nowMs = startMs
  tokensGiven = 0
  answering = 200
  tokenAnswering = undefined
  google = await startReceiver((received, response, request) => {
    const how = received.path === '/token' ? (tokenAnswering ?? giveToken) : answering
    if (typeof how === 'number') response.writeHead(how).end('{}')
    else how(received, response, request)
  })
  ways = openWays(() => nowMs)
  const { origin } = new URL(google.url)
  const endpoints = { ...pushEndpoints, fcm: origin, 'fcm-token': `${origin}/token` }
  sender = new FcmSender({ http: ways.providers.http, endpoints, clock: () => nowMs })
})

afterEach(async () => {
  ways[Symbol.dispose]()
  await google[Symbol.asyncDispose]()
})

const giveToken: Answering = (_received, response) => {
  tokensGiven += 1
  json(response, 200, {
    access_token: `ya29.${tokensGiven}`,
    expires_in: 3599,
    token_type: 'Bearer',
  })
}

function json(response: ServerResponse, status: number, body: object, headers = {}): void {
  response
    .writeHead(status, { 'content-type': 'application/json', ...headers })
    .end(JSON.stringify(body))
}

const answerError = (status: number, error: object, headers = {}): void => {
  answering = (_received, response) =>
    json(response, status, { error: { code: status, ...error } }, headers)
}

const fcmError = (errorCode: string) => ({
  '@type': 'type.googleapis.com/google.firebase.fcm.v1.FcmError',
  errorCode,
})

const access: FcmAccess = {
  id: 'one',
  projectId: 'acme-bank',
  assertion: (atMs) => {
    const iat = Math.floor(atMs / 1000)
    const claims = { iss: 'push@acme-bank', aud: 'google', iat, exp: iat + 3600 }
    const key = createPrivateKey(account.pem)
    return signProviderJwt({ algorithm: 'RS256', key }, { kid: 'k1' }, claims)
  },
}

const send = (changes: Partial<PushNote> = {}, signal = inTime()) =>
  sender.send(access, 'device-token', { ...note, ...changes }, signal)

const messages = () => google.received.filter(({ path }) => path !== '/token')
const message = (received: Received | undefined) => JSON.parse(String(received?.body)).message

describe('what Google gets', () => {
  test('is one message for one token, after an access token for a signed assertion', async () => {
    expect(await send()).toEqual({
      verdict: 'taken',
      isProviderWell: true,
      statusCode: 200,
      error: null,
    })
    const [asked, sent] = google.received
    const form = new URLSearchParams(String(asked?.body))
    expect(asked?.headers['content-type']).toBe('application/x-www-form-urlencoded')
    expect(form.get('grant_type')).toBe('urn:ietf:params:oauth:grant-type:jwt-bearer')
    expect(openJwt(form.get('assertion') ?? '', account.publicKey).header).toEqual({
      alg: 'RS256',
      typ: 'JWT',
      kid: 'k1',
    })
    expect(sent?.path).toBe('/v1/projects/acme-bank/messages:send')
    expect(sent?.headers).toMatchObject({
      authorization: 'Bearer ya29.1',
      'content-type': 'application/json',
    })
    expect(message(sent)).toEqual({
      token: 'device-token',
      data: { 'to.userId': note.userId, 'to.tenantId': 'acme', messageId: note.messageId },
      notification: { title: 'Acme Bank', body: 'Überweisung prüfen' },
      android: { priority: 'HIGH', ttl: '300s', notification: { tag: note.messageId } },
      apns: {
        headers: {
          'apns-push-type': 'alert',
          'apns-priority': '10',
          'apns-expiration': String(Math.floor(note.expiresAtMs / 1000)),
          'apns-collapse-id': note.messageId,
        },
      },
    })
  })

  test('names keys for the app to translate; without title and body nothing is shown', async () => {
    await send({ title: { key: 'com.acme.title' }, body: { text: 'Text' } })
    await send({ title: undefined, body: undefined })
    const [keyed, silent] = messages().map(message)
    expect(keyed.notification).toEqual({ body: 'Text' })
    expect(keyed.android.notification).toEqual({
      tag: note.messageId,
      title_loc_key: 'com.acme.title',
    })
    expect(keyed.apns.payload.aps.alert).toEqual({
      'title-loc-key': 'com.acme.title',
      body: 'Text',
    })
    expect(silent).not.toHaveProperty('notification')
    expect(silent.android).not.toHaveProperty('notification')
    expect(silent.apns.payload).toEqual({ aps: { 'content-available': 1 } })
  })

  test('never lives longer than four weeks, nor less than a second', async () => {
    await send({ expiresAtMs: startMs + 365 * 86_400_000 })
    await send({ expiresAtMs: startMs - 5_000 })
    expect(messages().map((one) => message(one).android.ttl)).toEqual(['2419200s', '1s'])
  })
})

describe('the access token', () => {
  test('is asked for once, however many messages wait, and again a minute before its end', async () => {
    await Promise.all(Array.from({ length: 20 }, () => send()))
    expect([tokensGiven, messages().length]).toEqual([1, 20])
    nowMs += 3_538_000
    await send()
    expect(tokensGiven).toBe(1)
    nowMs += 1_000
    await send()
    expect(tokensGiven).toBe(2)
  })

  test('that is not taken is not used again', async () => {
    answerError(401, { status: 'UNAUTHENTICATED' })
    expect(await send()).toMatchObject({ verdict: 'again', isProviderWell: false, statusCode: 401 })
    answering = 200
    expect(await send()).toMatchObject({ verdict: 'taken' })
    expect(tokensGiven).toBe(2)
  })

  test('that is refused keeps the message, with the reason', async () => {
    tokenAnswering = (_received, response) =>
      json(response, 400, { error: 'invalid_grant', error_description: 'Invalid JWT Signature.' })
    expect(await send()).toEqual({
      verdict: 'again',
      isProviderWell: false,
      statusCode: 400,
      error: null,
      reason: 'invalid_grant',
    })
    expect(messages()).toEqual([])
  })

  test.each([
    ['nothing', ''],
    ['no text', '{"access_token":17}'],
    ['a line end for the header', '{"access_token":"a\\r\\nx: y"}'],
    ['the same member twice', '{"access_token":"a","access_token":"b"}'],
    ['a list', '["access_token"]'],
    ['100 KiB', `{"access_token":"${'x'.repeat(102_400)}"}`],
    ['depth', `${'['.repeat(50_000)}`],
  ])('that is %s is none', async (_name, body) => {
    tokenAnswering = (_received, response) => void response.writeHead(200).end(body)
    expect(await send()).toMatchObject({ verdict: 'again', isProviderWell: false })
    expect(messages()).toEqual([])
  })

  test('of a server that is silent costs a message its own time only', async () => {
    tokenAnswering = () => {}
    const startedAt = performance.now()
    expect(await send({}, inTime(100))).toMatchObject({ verdict: 'again', error: 'TIMEOUT' })
    expect(performance.now() - startedAt).toBeLessThan(1_000)
  })
})

describe('what Google answers', () => {
  test.each([
    [
      404,
      { status: 'NOT_FOUND', details: [fcmError('UNREGISTERED')] },
      'gone',
      true,
      'UNREGISTERED',
    ],
    [404, { status: 'NOT_FOUND' }, 'again', false, 'NOT_FOUND'],
    [
      400,
      {
        status: 'INVALID_ARGUMENT',
        details: [
          fcmError('INVALID_ARGUMENT'),
          { '@type': 'x', fieldViolations: [{ field: 'message.token', description: 'bad' }] },
        ],
      },
      'gone',
      true,
      'INVALID_ARGUMENT',
    ],
    [
      400,
      { details: [{ fieldViolations: [{ field: 'message.data' }] }] },
      'refused',
      true,
      undefined,
    ],
    [403, { details: [fcmError('SENDER_ID_MISMATCH')] }, 'refused', true, 'SENDER_ID_MISMATCH'],
    [403, { status: 'PERMISSION_DENIED' }, 'again', false, 'PERMISSION_DENIED'],
    [
      401,
      { details: [fcmError('THIRD_PARTY_AUTH_ERROR')] },
      'again',
      false,
      'THIRD_PARTY_AUTH_ERROR',
    ],
    [500, { details: [fcmError('INTERNAL')] }, 'again', false, 'INTERNAL'],
    [503, { details: [fcmError('UNAVAILABLE')] }, 'again', false, 'UNAVAILABLE'],
  ])('%i %o: %s', async (status, error, verdict, isProviderWell, reason) => {
    answerError(status, error)
    const answer = await send()
    expect(answer).toMatchObject({ verdict, isProviderWell, statusCode: status })
    expect(answer.reason).toBe(reason)
  })

  test('a pause is as long as it asks for, a minute if it does not say, an hour at most', async () => {
    const pause = async (headers = {}) => {
      answerError(429, { details: [fcmError('QUOTA_EXCEEDED')] }, headers)
      return (await send()).retryAfterMs
    }
    expect(await pause()).toBe(60_000)
    expect(await pause({ 'retry-after': '5' })).toBe(5_000)
    expect(await pause({ 'retry-after': new Date(startMs + 9_000).toUTCString() })).toBe(9_000)
    expect(await pause({ 'retry-after': '999999999' })).toBe(3_600_000)
    expect(await pause({ 'retry-after': '-1, soon' })).toBe(60_000)
  })

  test('a redirect, garbage, silence and a broken connection are trouble; no redirect is followed', async () => {
    answering = (_received, response) => void response.writeHead(302, { location: '/token' }).end()
    expect(await send()).toMatchObject({
      verdict: 'again',
      isProviderWell: false,
      error: 'REDIRECT',
    })
    expect(messages()).toHaveLength(1)
    answering = (_received, response) => void response.writeHead(404).end('<html>no such page')
    expect(await send()).toMatchObject({ verdict: 'again', isProviderWell: false, statusCode: 404 })
    answering = (_received, _response, request) => void request.socket.destroy()
    expect(await send()).toMatchObject({ verdict: 'again', error: 'CONNECTION' })
    answering = () => {}
    expect(await send({}, inTime(100))).toMatchObject({ verdict: 'again', error: 'TIMEOUT' })
  })
})
