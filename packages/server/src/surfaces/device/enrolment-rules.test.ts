import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testCaller } from '#test/support/core.ts'
import { createTestKey } from '#test/support/device-keys.ts'
import { hashOf } from '#test/support/device-signing.ts'
import { createPlatformApi, type PlatformApi } from '#test/support/platform-api.ts'
import { addTestUser, createCode, enrolDevice, TestDevice } from '#test/support/test-device.ts'

let api: PlatformApi

beforeAll(async () => {
  api = await createPlatformApi()
  await api.createTenant('acme')
  await api.createTenant('shop')
})
afterAll(() => api[Symbol.asyncDispose]())

const enrolments = '/device/v1/enrolments'
const admin = testCaller('acme', ['tenant:write', 'tenant:read'])

async function statusOfCode(device: TestDevice, userId: string): Promise<unknown> {
  const { core } = device.server.app
  const { items } = await core.enrolmentCodes.list(admin, 'acme', {
    limit: 10,
    userId,
  })
  return items.map((code) => core.enrolmentCodes.statusOf(code))
}

let users = 0
async function newUser(): Promise<string> {
  const id = `user-${++users}`
  await addTestUser(api, 'acme', id)
  return id
}

describe('the factor of an enrolment', () => {
  test('a user without PIN needs a PIN or a biometric key', async () => {
    const code = await createCode(api, 'acme', await newUser())
    const device = new TestDevice(api)
    const refused = await device.enrol(code, { hasBio: false })
    expect(refused).toMatchObject({ status: 403, body: { code: 'factor_required' } })
    const enrolled = await device.enrol(code, {})
    expect(enrolled).toMatchObject({ status: 201, body: { factors: ['bio'] } })
  })

  test('a user with a PIN gives it for every further device; wrong ones count and lock', async () => {
    const userId = await newUser()
    const first = await enrolDevice(api, { userId })
    const codes = [await createCode(api, 'acme', userId), await createCode(api, 'acme', userId)]
    const [code = '', next = ''] = codes
    const second = new TestDevice(api)
    expect((await second.enrol(code, {})).body.code).toBe('factor_required')
    for (let left = 4; left >= 0; left--) {
      expect((await second.enrol(code, { pin: '0000' })).body).toMatchObject({
        code: 'factor_rejected',
        attemptsLeft: left,
      })
    }
    expect((await second.enrol(code, { pin: '1234' })).body.code).toBe('code_invalid')
    expect(await second.enrol(next, { pin: '1234' })).toMatchObject({
      status: 403,
      headers: { 'retry-after': '900' },
      body: { code: 'factor_locked' },
    })
    expect((await first.login({ bio: true })).body.code).toBe('factor_locked')
  })
})

describe('a code', () => {
  test('used up, expired, revoked or invented is code_invalid', async () => {
    const used = await createCode(api, 'acme', null)
    await new TestDevice(api).enrol(used, { pin: '1234' })
    expect(await new TestDevice(api).enrol(used, { pin: '1234' })).toMatchObject({
      status: 401,
      body: { code: 'code_invalid' },
    })
    const short = await createCode(api, 'acme', null, 60)
    api.clock.advance(60_000)
    expect((await new TestDevice(api).enrol(short, { pin: '1234' })).body.code).toBe('code_invalid')
    const invented = 'A'.repeat(43)
    expect((await new TestDevice(api).enrol(invented, { pin: '1234' })).body.code).toBe(
      'code_invalid',
    )
  })

  test('is void after five failures, and shows as REVOKED; a wrong clock is no failure', async () => {
    const userId = await newUser()
    const code = await createCode(api, 'acme', userId)
    const device = new TestDevice(api)
    const late = device.statement({ codeHash: hashOf(code), iat: device.nowSeconds - 121 })
    for (let count = 0; count < 5; count++) {
      const reply = await device.enrol(code, { pin: '1234', hasBio: false, body: late })
      expect(reply.body.code).toBe('clock_skew')
    }
    const other = device.statement({ codeHash: hashOf('another') }, device.bioKey)
    for (let count = 0; count < 5; count++) {
      expect(await statusOfCode(device, userId)).toEqual(['PENDING'])
      expect((await device.enrol(code, { pin: '1234', body: other })).body.code).toBe(
        'proof_invalid',
      )
    }
    expect(await statusOfCode(device, userId)).toEqual(['REVOKED'])
    expect((await device.enrol(code, { pin: '1234' })).body.code).toBe('code_invalid')
  })

  test('the same device key asks again for ten minutes: 200, the same answer, nothing changed', async () => {
    const device = new TestDevice(api)
    const code = await createCode(api, 'acme', null)
    const sent = device.enrolment(code, { pin: '1234' })
    const first = await device.post(enrolments, sent)
    api.clock.advance(599_999)
    const { serverTime: _, ...told } = first.body
    const again = await device.post(enrolments, sent)
    expect(again).toMatchObject({ status: 200, body: told })
    const other = await device.post(enrolments, device.enrolment(code, { pin: '9999' }))
    expect(other).toMatchObject({ status: 200, body: told })
    device.id = told.deviceId
    device.userId = told.userId
    expect((await device.login({ pin: '1234' })).status).toBe(200)
    const thief = new TestDevice(api)
    expect((await thief.enrol(code, { pin: '1234' })).body.code).toBe('code_invalid')
    api.clock.advance(1)
    expect((await device.post(enrolments, sent)).body.code).toBe('code_invalid')
  })

  test('of a device that is gone again answers no repeat', async () => {
    const device = new TestDevice(api)
    const code = await createCode(api, 'acme', null)
    await device.enrol(code, { pin: '1234' })
    await device.login()
    await device.call('DELETE /device')
    expect((await device.enrol(code, { pin: '1234' })).body.code).toBe('code_invalid')
  })
})

describe('the keys of an enrolment', () => {
  test('are new to the whole server: tenants, purposes, deleted devices', async () => {
    const shop = await enrolDevice(api, { tenantId: 'shop' })
    const tries = [
      { deviceKey: shop.deviceKey },
      { deviceKey: shop.bioKey },
      { bioKey: shop.deviceKey },
      { bioKey: shop.bioKey },
    ]
    for (const keys of tries) {
      const device = new TestDevice(api, keys)
      expect(
        await device.enrol(await createCode(api, 'acme', null), { pin: '1234' }),
      ).toMatchObject({ status: 409, body: { code: 'device_key_known' } })
    }
  })

  test('are proven by both of them, over the same bytes', async () => {
    const code = await createCode(api, 'acme', null)
    const device = new TestDevice(api)
    const whole = device.statement({ codeHash: hashOf(code) }, device.bioKey)
    const other = device.statement({ codeHash: hashOf(code) }, device.bioKey)
    const foreign = new TestDevice(api)
    const cases: [string, object][] = [
      ['bio proof missing', { proof: whole.proof, bioProof: undefined }],
      ['other bytes', { proof: whole.proof, bioProof: other.bioProof }],
      ['device key twice', device.statement({ codeHash: hashOf(code) }, device.deviceKey)],
      [
        'another server',
        device.statement({ codeHash: hashOf(code), aud: 'https://x.test' }, device.bioKey),
      ],
      [
        'key of another',
        device.statement(
          { codeHash: hashOf(code), deviceJkt: foreign.deviceKey.thumbprint },
          device.bioKey,
        ),
      ],
    ]
    for (const [name, body] of cases.slice(0, 4)) {
      const reply = await device.enrol(code, { pin: '1234', body: body as never })
      expect({ name, status: reply.status, code: reply.body.code }).toEqual({
        name,
        status: 401,
        code: 'proof_invalid',
      })
    }
    const again = await createCode(api, 'acme', null)
    const linkOnly = device.statement(
      { codeHash: hashOf(again), iss: api.app.composed.nextId() },
      device.bioKey,
    )
    expect((await device.enrol(again, { pin: '1234', body: linkOnly })).body.code).toBe(
      'proof_invalid',
    )
  })
})

describe('how many', () => {
  test('devices a user may have is the tenant’s setting', async () => {
    const userId = await newUser()
    const codes = [await createCode(api, 'acme', userId), await createCode(api, 'acme', userId)]
    await api.app.core.settings.update(admin, 'acme', {
      patch: { enrolment: { maxDevicesPerUser: 1 } },
    })
    const [one = '', two = ''] = codes
    expect((await new TestDevice(api).enrol(one, { pin: '1234' })).status).toBe(201)
    const late = new TestDevice(api)
    expect(await late.enrol(two, { pin: '1234' })).toMatchObject({
      status: 409,
      body: { code: 'limit_reached' },
    })
    await api.app.core.settings.update(admin, 'acme', {
      patch: { enrolment: { maxDevicesPerUser: 10 } },
    })
    // What was refused took nothing along: neither the code nor the keys.
    expect((await late.enrol(two, { pin: '1234' })).status).toBe(201)
  })
})

describe('linking', () => {
  test('a code of another tenant is none; a statement without this device neither', async () => {
    const device = await enrolDevice(api)
    await device.login()
    expect(await device.link(await createCode(api, 'shop', null), { pin: '1234' })).toMatchObject({
      status: 401,
      body: { code: 'code_invalid' },
    })
    const code = await createCode(api, 'acme', null)
    const body = device.statement({ codeHash: hashOf(code) })
    expect((await device.link(code, { pin: '1234', body })).body.code).toBe('proof_invalid')
    const other = new TestDevice(api)
    const foreign = other.statement({ codeHash: hashOf(code), iss: device.id })
    expect((await device.link(code, { pin: '1234', body: foreign })).body.code).toBe(
      'proof_invalid',
    )
  })

  test('a user who is linked already gets the new biometric key and keeps everything else', async () => {
    const device = await enrolDevice(api)
    await device.login({ pin: '1234' })
    const former = device.bioKey
    device.bioKey = createTestKey()
    const code = await createCode(api, 'acme', device.userId)
    const renewed = await device.link(code, { pin: '1234', hasBio: true })
    expect(renewed).toMatchObject({
      status: 201,
      body: { userId: device.userId, factors: ['bio', 'pin'] },
    })
    expect((await device.call('GET /device')).body.links).toMatchObject([
      { bioKeyThumbprint: device.bioKey.thumbprint },
    ])
    expect((await device.login({ bio: true })).body.amr).toEqual(['bio'])
    device.bioKey = former
    expect((await device.login({ bio: true })).body.code).toBe('factor_rejected')
  })
})

describe('changing factors', () => {
  test('needs a verification of the last two minutes, with the PIN if there is one', async () => {
    const device = await enrolDevice(api)
    const set = () => device.call('PUT /factors/pin', { body: { pin: '8520' } })
    await device.login()
    expect((await set()).body.code).toBe('verification_required')
    await device.login({ bio: true })
    expect((await set()).body.code).toBe('verification_required')
    const { auth_time } = (await device.login({ pin: '1234' })).body
    api.clock.advance(121_000)
    expect(await set()).toMatchObject({
      status: 403,
      headers: { 'www-authenticate': 'DPoP error="insufficient_user_authentication"' },
      body: { code: 'authentication_too_old', required: { authTimeAtLeast: auth_time + 1 } },
    })
    await device.login({ pin: '1234' })
    api.clock.advance(120_000)
    expect((await set()).status).toBe(204)
  })

  test('a biometric key that the server knows is no new one', async () => {
    const device = await enrolDevice(api)
    const other = await enrolDevice(api)
    await device.login({ pin: '1234' })
    for (const key of [device.bioKey, other.bioKey, other.deviceKey]) {
      const body = device.statement({ iss: device.id, sub: device.userId }, key)
      expect(await device.call('PUT /factors/bio', { body })).toMatchObject({
        status: 422,
        body: { code: 'key_not_allowed' },
      })
    }
    const key = createTestKey()
    const foreign = device.statement({ iss: device.id, sub: other.userId }, key)
    expect((await device.call('PUT /factors/bio', { body: foreign })).body.code).toBe(
      'proof_invalid',
    )
    const own = device.statement({ iss: device.id, sub: device.userId }, key)
    expect((await device.call('PUT /factors/bio', { body: own })).status).toBe(204)
    expect((await device.call('PUT /factors/bio', { body: own })).body.code).toBe('replayed')
  })
})
