import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { contractOf } from '#test/support/contract-files.ts'
import { createInstallation, type Installation } from './keyless.fixture.ts'
import { toLocalDateTime } from './wire.ts'

const point = `B${'A'.repeat(86)}=`
const samples = contractOf('keyless').operations.map((operation) => ({
  operation,
  target: `${operation.method} ${operation.path
    .replace('{userId}', '0123456789ABCDEF')
    .replace('{publicSigningKey}', encodeURIComponent(point))
    .replace('{customerName}', 'acme')
    .replace(/\{\w+\}/, 'x1')}` as `${string} /${string}`,
}))
const guarded = samples.filter(({ operation }) => operation.security.length > 0)
const withBody = samples.filter(({ operation }) => operation.requestBody !== undefined)

let installation: Installation
beforeAll(async () => {
  installation = await createInstallation()
})
afterAll(() => installation[Symbol.asyncDispose]())
const call: Installation['call'] = (...given) => installation.call(...given)

test('there are fifteen operations, one of them without a key', () => {
  expect(samples).toHaveLength(15)
  expect(guarded).toHaveLength(14)
})

describe('the key', () => {
  test.each(guarded)('401 without a good one: $target', async ({ target }) => {
    const native = await installation.addAccount('acme', ['tenant:write', 'verify'])
    const platform = await installation.addAccount(null, ['platform:admin'])
    const bad = [
      null,
      '',
      'csk_wrong',
      'x'.repeat(5000),
      native,
      platform,
      installation.api.adminSecret,
    ]
    for (const key of bad) {
      const reply = await call(target, { key })
      expect(reply).toMatchObject({ status: 401, body: { code: 10401 } })
    }
  })

  test('401 for the key as bearer, as Basic, in the query, and twice', async () => {
    const { acme } = installation.keys
    const target = 'GET /v2/verify-jwt/public-key' as const
    const basic = Buffer.from(`x:${acme}`).toString('base64')
    for (const headers of [
      { authorization: `Bearer ${acme}` },
      { authorization: `Basic ${basic}` },
    ]) {
      expect(await call(target, { key: null, headers })).toMatchObject({ status: 401 })
    }
    expect(await call(`${target}?x-api-key=${acme}`, { key: null })).toMatchObject({ status: 401 })
    const twice = await installation.send({
      method: 'GET',
      url: '/keyless/v2/verify-jwt/public-key',
      headers: { 'x-api-key': `${acme}, ${acme}` },
    })
    expect(twice).toMatchObject({ status: 401 })
  })

  test('401 comes before 404, 405, 400, 406 and 415', async () => {
    for (const [target, headers] of [
      ['GET /v2/nothing', {}],
      ['PUT /v2/verify-jwt', {}],
      ['GET /v2/users/xyz/devices', {}],
      ['GET /v2/operations/x', { accept: 'text/html' }],
      ['POST /v2/verify-jwt', { 'content-type': 'image/png' }],
    ] as const) {
      expect(await call(target, { key: null, headers })).toMatchObject({ status: 401 })
      expect((await call(target, { headers })).status).toBeGreaterThanOrEqual(400)
    }
    expect(await call('GET /v2/nothing')).toMatchObject({ status: 404, body: { code: 10404 } })
    const wrong = await call('PUT /v2/verify-jwt')
    expect(wrong).toMatchObject({ status: 405, headers: { allow: 'POST' } })
  })

  test('429 after too many failures from one address', async () => {
    await using strict = await createInstallation({
      env: { COUNTERSIGN_AUTH_FAILURES_PER_MINUTE: '3' },
    })
    const tryKey = () => strict.call('GET /v2/verify-jwt/public-key', { key: 'csk_wrong' })
    for (let index = 0; index < 3; index++) expect(await tryKey()).toMatchObject({ status: 401 })
    const refused = await tryKey()
    expect(refused).toMatchObject({ status: 429, body: { code: 10429 } })
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
  })
})

describe('the order of checks after the key', () => {
  test('path before Accept, Accept before Content-Type, Content-Type before the body, the body before existence', async () => {
    const body = { payload: '{', headers: { accept: 'text/html', 'content-type': 'image/png' } }
    expect(await call('POST /v2/users/abc/operations', body)).toMatchObject({ status: 400 })
    expect(await call('POST /v2/users/0123456789ABCDEF/operations', body)).toMatchObject({
      status: 406,
    })
    const typed = { payload: '{', headers: { 'content-type': 'image/png' } }
    expect(await call('POST /v2/users/0123456789ABCDEF/operations', typed)).toMatchObject({
      status: 415,
    })
    const json = { payload: '{', headers: { 'content-type': 'application/json' } }
    expect(await call('POST /v2/users/0123456789ABCDEF/operations', json)).toMatchObject({
      status: 400,
    })
    const good = { body: { operationId: 'x' } }
    expect(await call('POST /v2/users/0123456789ABCDEF/operations', good)).toMatchObject({
      status: 404,
    })
  })

  test.each(samples)('406 unless JSON is accepted: $target', async ({ target }) => {
    for (const accept of ['text/html', 'application/xml', 'application/json;q=0']) {
      const reply = await call(target, { headers: { accept } })
      expect(reply).toMatchObject({ status: 406, body: { code: 10406 } })
      expect(reply.headers['content-type']).toBe('application/json; charset=utf-8')
    }
    for (const accept of ['*/*', 'application/*', 'text/html, application/json;q=0.1']) {
      expect((await call(target, { headers: { accept } })).status).not.toBe(406)
    }
  })

  test.each(withBody)(
    '415 for other media types, 400 for what is not JSON: $target',
    async ({ target }) => {
      for (const type of [
        'application/xml',
        'application/x-www-form-urlencoded',
        'application/json; charset=latin1',
      ]) {
        const reply = await call(target, { payload: '{}', headers: { 'content-type': type } })
        expect(reply).toMatchObject({ status: 415, body: { code: 10415 } })
      }
      for (const payload of [
        '',
        '{',
        '{"operationId":"a","operationId":"b"}',
        '{"operationId":"\\ud800","jwt":"\\ud800","externalUserId":"\\ud800"}',
        '{"__proto__":{}}',
        '['.repeat(100_000),
        '\ufeff{}',
        `{"operationPayload":"${'x'.repeat(1_100_000)}"}`,
        Buffer.from([0x7b, 0xff, 0x7d]),
        'null',
        '[]',
        '"x"',
      ]) {
        const reply = await call(target, {
          payload,
          headers: { 'content-type': 'application/json' },
        })
        expect(reply).toMatchObject({ status: 400, body: { code: 10400 } })
      }
    },
  )
})

test('every failure has code, message and the request’s id as UUID; none repeats what was sent', async () => {
  const body = { operationId: 'very secret words' }
  const reply = await call('POST /v2/users/0123456789ABCDEF/operations', { body })
  expect(Object.keys(reply.body).sort()).toEqual(['code', 'message', 'requestId'])
  expect(reply.body.requestId).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
  expect(reply.text).not.toContain('secret words')
})

test('answers are kept by nobody on the way, but the key set', async () => {
  const userId = await installation.addUser()
  for (const target of [
    `GET /v2/users/${userId}/devices`,
    'GET /v2/verify-jwt/public-key',
    'GET /v2/x',
  ] as const) {
    expect((await call(target)).headers['cache-control']).toBe('no-store')
  }
})

test('a disabled customer’s keys are 401; its key set stays for verifiers', async () => {
  await installation.api.createTenant('closing')
  const key = await installation.addAccount('closing', ['keyless:backend'])
  expect(await call('GET /v2/verify-jwt/public-key', { key })).toMatchObject({ status: 200 })
  await installation.api.call('PATCH /api/v1/tenants/closing', { body: { status: 'DISABLED' } })
  expect(await call('GET /v2/verify-jwt/public-key', { key })).toMatchObject({ status: 401 })
  const keys = await call('GET /customers/closing/.well-known/jwks.json', { key: null })
  expect(keys).toMatchObject({ status: 200 })
})

test('a server that is told not to serve the surface has none of its paths', async () => {
  await using without = await createInstallation({ env: { COUNTERSIGN_SURFACES: 'device' } })
  const { http } = without.api.app
  const reply = await http.inject({ url: '/keyless/customers/acme/.well-known/jwks.json' })
  expect(reply.statusCode).toBe(404)
})

test.each([
  [Date.UTC(2020, 0, 2, 3, 4, 5, 680), '2020-01-02T03:04:05.68'],
  [Date.UTC(2026, 4, 21, 10, 30, 41), '2026-05-21T10:30:41'],
  [Date.UTC(2026, 4, 21, 10, 31, 0, 500), '2026-05-21T10:31:00.5'],
  [Date.UTC(2026, 4, 21, 10, 30, 0, 123), '2026-05-21T10:30:00.123'],
  [Date.UTC(2026, 4, 20, 0, 0, 0), '2026-05-20T00:00:00'],
  [Date.UTC(2026, 4, 20, 10, 10, 10, 10), '2026-05-20T10:10:10.01'],
])('times: %d is %s', (atMs, text) => {
  expect(toLocalDateTime(atMs)).toBe(text)
})
