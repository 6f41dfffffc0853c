import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testCaller } from '#test/support/core.ts'
import { createTestKey } from '#test/support/device-keys.ts'
import { createPlatformApi, type PlatformApi } from '#test/support/platform-api.ts'
import {
  addTestUser,
  createCode,
  enrolDevice,
  type TestDevice,
  testApp,
} from '#test/support/test-device.ts'

let api: PlatformApi

beforeAll(async () => {
  api = await createPlatformApi()
  await api.createTenant('acme')
})
afterAll(() => api[Symbol.asyncDispose]())

const admin = testCaller('acme', ['tenant:write'])

describe('the verification that a login without factor repeats', () => {
  test('for 900 s, with its true moment, and no longer', async () => {
    const device = await enrolDevice(api)
    const { auth_time } = (await device.login({ bio: true })).body
    api.clock.advance(899_999)
    expect((await device.login()).body).toMatchObject({ amr: ['bio'], auth_time })
    api.clock.advance(1)
    expect((await device.login()).body).not.toHaveProperty('auth_time')
  })

  test('ends with a lock, a disconnection, an unlinking, and another PIN elsewhere', async () => {
    const { devices } = api.app.core
    const ends: [string, (device: TestDevice) => Promise<unknown>][] = [
      [
        'lock',
        async ({ id }) => {
          await devices.lock(admin, 'acme', { id, reason: null })
          await devices.unlock(admin, 'acme', id)
        },
      ],
      ['disconnect', ({ id }) => devices.disconnect(admin, 'acme', id)],
      [
        'unlink',
        async (device) => {
          await device.call(`DELETE /links/${device.userId}`)
          await device.login({ userId: null })
          await device.link(await createCode(api, 'acme', device.userId), { pin: '1234' })
        },
      ],
      [
        'PIN',
        async ({ userId }) => {
          const other = await enrolDevice(api, { userId }, { pin: '1234' })
          await other.login({ pin: '1234' })
          await other.call('PUT /factors/pin', { body: { pin: '8520' } })
          expect((await other.login()).body).toMatchObject({ amr: ['pin'] })
        },
      ],
    ]
    for (const [name, end] of ends) {
      const device = await enrolDevice(api)
      await device.login({ pin: '1234' })
      await end(device)
      const after = await device.login()
      expect({ name, status: after.status }).toEqual({ name, status: 200 })
      expect({ name, ...after.body }).not.toHaveProperty('amr')
    }
  })
})

describe('a scope beyond `device`', () => {
  test('needs a factor in the same request, lasts 120 s, and is never carried', async () => {
    const device = await enrolDevice(api)
    expect(await device.login({ scope: 'device tms' })).toMatchObject({
      status: 400,
      body: { code: 'invalid_scope', error: 'invalid_scope' },
    })
    const made = await device.login({ scope: 'tms', pin: '1234' })
    expect(made.body).toMatchObject({ scope: 'device tms', expires_in: 120 })
    expect((await device.login()).body).toMatchObject({ scope: 'device', amr: ['pin'] })
    expect((await device.login({ scope: 'admin', pin: '1234' })).body.code).toBe('invalid_scope')
  })

  test('the token ends with its time', async () => {
    const device = await enrolDevice(api)
    await device.login({ scope: 'tms', pin: '1234' })
    api.clock.advance(119_999)
    expect((await device.call('GET /device')).status).toBe(200)
    api.clock.advance(1)
    expect(await device.call('GET /device')).toMatchObject({
      status: 401,
      headers: { 'www-authenticate': expect.stringContaining('error="invalid_token"') },
      body: { code: 'token_invalid' },
    })
  })
})

describe('wrong factors', () => {
  test('the fifth in a row, over all devices, is rejected with none left and locks; then even right ones wait', async () => {
    const one = await enrolDevice(api)
    const two = await enrolDevice(api, { userId: one.userId })
    for (const [index, device] of [one, two, one, two, one].entries()) {
      expect(await device.login({ pin: '0000' })).toMatchObject({
        status: 403,
        body: { code: 'factor_rejected', error: 'invalid_grant', attemptsLeft: 4 - index },
      })
    }
    for (const options of [{ pin: '1234' }, { bio: true }]) {
      expect(await two.login(options)).toMatchObject({
        status: 403,
        headers: { 'retry-after': '900' },
        body: { code: 'factor_locked', retryAfterSeconds: 900 },
      })
    }
    expect((await one.login()).status).toBe(200)
    api.clock.advance(899_001)
    expect((await one.login({ pin: '1234' })).headers['retry-after']).toBe('1')
    api.clock.advance(999)
    expect((await one.login({ pin: '0000' })).body.attemptsLeft).toBe(4)
    expect((await one.login({ pin: '1234' })).status).toBe(200)
    expect((await two.login({ pin: '0000' })).body.attemptsLeft).toBe(4)
  })

  test('assertions of a wrong key, for another device, user or server count; a stale clock and a replay do not', async () => {
    const device = await enrolDevice(api)
    const other = createTestKey()
    const own = device.bioKey
    const wrong: [string, Parameters<TestDevice['login']>[0]][] = [
      ['iss', { bio: true, login: { iss: api.app.composed.nextId() } }],
      ['sub', { bio: true, login: { sub: 'somebody' } }],
      ['aud', { bio: true, login: { aud: 'https://elsewhere.test/device/v1' } }],
    ]
    let left = 4
    for (const [name, options] of wrong) {
      const { body } = await device.login(options)
      expect({ name, code: body.code, left: body.attemptsLeft }).toEqual({
        name,
        code: 'factor_rejected',
        left: left--,
      })
    }
    device.bioKey = other
    expect((await device.login({ bio: true })).body.attemptsLeft).toBe(left)
    device.bioKey = own
    const iat = device.nowSeconds - 121
    expect((await device.login({ bio: true, login: { iat } })).body.code).toBe('clock_skew')
    const login = { jti: 'A'.repeat(22) }
    expect((await device.login({ bio: true, login })).status).toBe(200)
    expect(await device.login({ bio: true, login })).toMatchObject({
      status: 401,
      body: { code: 'replayed', error: 'invalid_client' },
    })
    expect((await device.login({ pin: '0000' })).body.attemptsLeft).toBe(4)
  })

  test('a PIN is the same in any normal form of Unicode', async () => {
    const device = await enrolDevice(api, {}, { pin: 'passwörd' })
    expect((await device.login({ pin: 'passwo\u0308rd' })).status).toBe(200)
  })
})

describe('who logs in', () => {
  test('client_invalid for whatever does not name and prove the device', async () => {
    const device = await enrolDevice(api)
    const other = await enrolDevice(api)
    const { nowSeconds: iat } = device
    const cases: [string, Parameters<TestDevice['login']>[0]][] = [
      ['another device', { assertion: { iss: other.id, sub: other.id } }],
      ['sub is not iss', { assertion: { sub: other.id } }],
      ['another server', { assertion: { aud: 'https://elsewhere.test/device/v1' } }],
      ['lives too long', { assertion: { exp: iat + 121 } }],
      ['ends as it begins', { assertion: { exp: iat } }],
      ['another client_id', { form: { client_id: other.id } }],
      ['another app', { assertion: { app: { ...testApp, name: 'evil-bank' } } }],
      ['another platform', { assertion: { app: { ...testApp, platform: 'Web' } } }],
      ['malformed version', { assertion: { app: { ...testApp, versionStr: '2.04.1' } } }],
      ['facts nobody knows', { assertion: { app: { ...testApp, root: 'yes' } } }],
    ]
    for (const [name, options] of cases) {
      const { status, body } = await device.login(options)
      expect({ name, status, code: body.code, error: body.error }).toEqual({
        name,
        status: 401,
        code: 'client_invalid',
        error: 'invalid_client',
      })
    }
  })

  test('facts of the app may change where they may', async () => {
    const device = await enrolDevice(api)
    const app = { ...testApp, versionStr: '2.5.0', sdkVersion: '1.1.0', risks: 'rooted' }
    await device.login({ assertion: { app } })
    expect((await device.call('GET /device')).body.app).toEqual(app)
  })

  test('the clock: 120 s are fine, 121 s are told the time of the server', async () => {
    const device = await enrolDevice(api)
    const { nowSeconds: now } = device
    const at = (iat: number) => device.login({ dpop: { iat }, assertion: { iat, exp: iat + 60 } })
    expect((await at(now - 120)).status).toBe(200)
    expect((await at(now + 120)).status).toBe(200)
    for (const iat of [now - 121, now + 121]) {
      expect(await at(iat)).toMatchObject({
        status: 401,
        body: { code: 'clock_skew', serverTime: new Date(api.clock()).toISOString() },
      })
    }
  })

  test('an assertion or a proof counts once', async () => {
    const device = await enrolDevice(api)
    const jti = 'B'.repeat(22)
    expect((await device.login({ assertion: { jti } })).status).toBe(200)
    expect((await device.login({ assertion: { jti } })).body.code).toBe('replayed')
    expect((await device.login({ dpop: { jti } })).body.code).toBe('replayed')
  })

  test('R5: a proof without a nonce of this server is answered with one', async () => {
    const device = await enrolDevice(api)
    for (const dpop of [{ nonce: undefined }, { nonce: 'A'.repeat(43) }]) {
      const { dpop: proof, form } = await device.loginRequest({ dpop })
      const reply = await device.sendToken(form, { dpop: proof })
      expect(reply).toMatchObject({
        status: 400,
        headers: { 'dpop-nonce': expect.stringMatching(/^[A-Za-z0-9_-]{43}$/) },
        body: { code: 'use_dpop_nonce', error: 'use_dpop_nonce' },
      })
    }
    const { dpop, form } = await device.loginRequest()
    api.clock.advance(300_001)
    expect((await device.sendToken(form, { dpop })).body.code).toBe('use_dpop_nonce')
  })

  test('400 for a proof that is missing, there twice, of another key, method or URL', async () => {
    const device = await enrolDevice(api)
    const other = await enrolDevice(api)
    const { dpop, form } = await device.loginRequest()
    const refused = { status: 400, body: { code: 'dpop_invalid', error: 'invalid_dpop_proof' } }
    expect(await device.sendToken(form, {})).toMatchObject(refused)
    expect(await device.sendToken(form, { dpop: [dpop, dpop] as never })).toMatchObject(refused)
    const { dpop: foreign } = await other.loginRequest()
    expect(await device.sendToken(form, { dpop: foreign })).toMatchObject(refused)
    expect(await device.login({ dpop: { htm: 'GET' } })).toMatchObject(refused)
    const htu = 'https://elsewhere.test/device/v1/token'
    expect(await device.login({ dpop: { htu } })).toMatchObject(refused)
  })

  test('the form: unknown members are ignored, empty ones absent, both factors at once refused', async () => {
    const device = await enrolDevice(api)
    const form = { foo: 'bar', pin: '', scope: '', bio_assertion: '' }
    expect((await device.login({ form })).body).not.toHaveProperty('amr')
    expect(await device.login({ pin: '1234', bio: true })).toMatchObject({
      status: 400,
      body: { code: 'validation_failed', error: 'invalid_request' },
    })
    expect((await device.login({ form: { grant_type: 'password' } })).body.error).toBe(
      'invalid_request',
    )
    const { dpop } = await device.loginRequest()
    const json = await device.sendToken('{}', { dpop, 'content-type': 'application/json' })
    expect(json).toMatchObject({ status: 415, body: { code: 'unsupported_media_type' } })
  })

  test('without a user that is linked there is no login for it; a device without users logs in for itself', async () => {
    const device = await enrolDevice(api)
    await addTestUser(api, 'acme', 'stranger')
    expect(await device.login({ userId: 'stranger' })).toMatchObject({
      status: 403,
      body: { code: 'not_linked', error: 'invalid_grant' },
    })
    await device.login()
    await device.call(`DELETE /links/${device.userId}`)
    const { body } = await device.login({ userId: null })
    expect(body).not.toHaveProperty('user_id')
    for (const target of ['GET /approvals', 'GET /certificates'] as const) {
      expect({ target, code: (await device.call(target)).body.code }).toEqual({
        target,
        code: 'not_linked',
      })
    }
    expect((await device.call('PUT /factors/pin', { body: { pin: '1234' } })).status).toBe(403)
    expect((await device.call('PATCH /device', { body: { name: 'Spare' } })).status).toBe(200)
    expect(
      (await device.link(await createCode(api, 'acme', 'stranger'), { pin: '1234' })).status,
    ).toBe(201)
    expect((await device.login({ userId: null })).body.user_id).toBe('stranger')
  })

  test('every login and every wrong factor is in the journal, and no PIN', async () => {
    const device = await enrolDevice(api)
    await device.login({ pin: '97531' })
    await device.login({ pin: '1234', scope: 'tms' })
    const reader = testCaller('acme', ['audit:read'])
    const query = { limit: 200, order: 'desc', userId: device.userId } as const
    const text = JSON.stringify(await api.app.core.journal.list(reader, 'acme', query))
    expect(text).toContain('device.logged-in')
    expect(text).toContain('WRONG_FACTOR')
    expect(text).not.toContain('97531')
  })
})
