import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createPlatformApi, type PlatformApi } from '#test/support/platform-api.ts'
import { createCode, enrolDevice, sendToDeviceApi, TestDevice } from '#test/support/test-device.ts'

const page = 'https://portal.acme.example'
let api: PlatformApi

beforeAll(async () => {
  api = await createPlatformApi({
    COUNTERSIGN_AUTH_FAILURES_PER_MINUTE: '60',
    COUNTERSIGN_DEVICE_REQUESTS_PER_MINUTE: '120',
    COUNTERSIGN_CORS_ORIGINS: page,
  })
  await api.createTenant('acme')
})
afterAll(() => api[Symbol.asyncDispose]())

describe('how often a device may call', () => {
  test('30 logins a minute, 120 other requests; then 429 with the wait, for this device alone', async () => {
    const device = await enrolDevice(api)
    const other = await enrolDevice(api)
    for (let login = 0; login < 30; login++) expect((await device.login()).status).toBe(200)
    const login = await device.login()
    expect(login).toMatchObject({
      status: 429,
      headers: { 'retry-after': '60' },
      body: { code: 'too_many_requests', retryAfterSeconds: 60 },
    })
    for (let call = 0; call < 120; call++) {
      expect((await device.call('GET /approvals')).status).toBe(200)
    }
    expect((await device.call('GET /approvals')).status).toBe(429)
    await other.login()
    expect((await other.call('GET /approvals')).status).toBe(200)
    api.clock.advance(60_000)
    expect((await device.call('GET /approvals')).status).toBe(200)
    expect((await device.login()).status).toBe(200)
  })

  test('what nobody signed with its key does not count for a device', async () => {
    const device = await enrolDevice(api)
    await device.login()
    const thief = new TestDevice(api)
    thief.accessToken = device.accessToken
    for (let call = 0; call < 121; call++) {
      expect((await thief.call('GET /device')).status).toBe(401)
    }
    expect((await device.call('GET /device')).status).toBe(200)
  })

  test('ten codes a minute that nobody made, from one address; codes that are known do not count', async () => {
    const device = new TestDevice(api)
    const guess = (address: string, code: string) =>
      sendToDeviceApi(api, {
        method: 'POST',
        path: '/device/v1/enrolments',
        headers: { 'content-type': 'application/json', 'x-forwarded-for': address },
        payload: JSON.stringify(device.enrolment(code, { pin: '1234' })),
      })
    const unknown = 'A'.repeat(43)
    for (let count = 0; count < 10; count++) {
      expect((await guess('198.51.100.7', unknown)).body.code).toBe('code_invalid')
    }
    const code = await createCode(api, 'acme', null)
    expect(await guess('198.51.100.7', code)).toMatchObject({
      status: 429,
      headers: { 'retry-after': '60' },
    })
    expect((await guess('198.51.100.8', code)).status).toBe(201)
    expect((await guess('198.51.100.8', code)).status).toBe(200)
  })
})

describe('pages of browsers', () => {
  const preflight = (origin: string, path: string, method = 'POST') =>
    api.app.http.inject({
      method: 'OPTIONS',
      url: path,
      headers: {
        origin,
        'access-control-request-method': method,
        'access-control-request-headers': 'authorization, dpop, content-type',
      },
    })

  test('204 to the preflight of an allowed origin, with what a device needs', async () => {
    for (const path of [
      '/device/v1/token',
      '/device/v1/device',
      '/device/v1/approvals/x/decision',
    ]) {
      const reply = await preflight(page, path)
      expect(reply.statusCode).toBe(204)
      expect(reply.headers).toMatchObject({
        'access-control-allow-origin': page,
        vary: 'Origin',
        'access-control-max-age': '3600',
      })
      const allowed = String(reply.headers['access-control-allow-headers']).toLowerCase()
      for (const name of ['dpop', 'authorization', 'last-event-id', 'if-match', 'content-type']) {
        expect(allowed.split(', ')).toContain(name)
      }
      expect(reply.headers).not.toHaveProperty('access-control-allow-credentials')
    }
  })

  test('answers, refusals too, show what a device reads', async () => {
    const path = '/device/v1/device'
    const refused = await sendToDeviceApi(api, { method: 'GET', path, headers: { origin: page } })
    expect(refused.status).toBe(401)
    expect(refused.headers['access-control-allow-origin']).toBe(page)
    const exposed = refused.headers['access-control-expose-headers']?.split(', ')
    expect(exposed).toEqual(
      expect.arrayContaining(['DPoP-Nonce', 'ETag', 'Location', 'Retry-After', 'WWW-Authenticate']),
    )
  })

  test('any other origin, and any other surface, gets nothing', async () => {
    const foreign = await preflight('https://evil.example', '/device/v1/token')
    expect(foreign.statusCode).toBe(405)
    expect(foreign.headers).not.toHaveProperty('access-control-allow-origin')
    const elsewhere = await preflight(page, '/api/v1/tenants')
    expect(elsewhere.statusCode).not.toBe(204)
    expect(elsewhere.headers).not.toHaveProperty('access-control-allow-origin')
  })
})
