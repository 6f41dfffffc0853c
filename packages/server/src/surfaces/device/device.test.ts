import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createPlatformApi, type PlatformApi } from '#test/support/platform-api.ts'
import { createCode, enrolDevice, TestDevice, testApp } from '#test/support/test-device.ts'

let api: PlatformApi

beforeAll(async () => {
  api = await createPlatformApi()
  await api.createTenant('acme')
})
afterAll(() => api[Symbol.asyncDispose]())

describe('getDevice', () => {
  test('200 with what the server knows', async () => {
    const device = await enrolDevice(api)
    await device.login()
    const reply = await device.call('GET /device')
    const now = new Date(api.clock()).toISOString()
    expect(reply).toMatchObject({
      status: 200,
      body: {
        deviceId: device.id,
        tenantId: 'acme',
        keyThumbprint: device.deviceKey.thumbprint,
        app: testApp,
        pushRegistered: false,
        locales: [],
        createdAt: now,
        links: [
          {
            userId: device.userId,
            linkedAt: now,
            factors: ['bio', 'pin'],
            bioKeyThumbprint: device.bioKey.thumbprint,
          },
        ],
      },
    })
  })
})

describe('updateDevice', () => {
  test('200: only the members given change, null removes; a push token moves', async () => {
    const device = await enrolDevice(api, {}, { pin: '1234', body: { pushToken: 'FCM:one' } })
    const other = await enrolDevice(api)
    await Promise.all([device.login(), other.login()])
    const body = { name: 'Phone of Ada', model: 'Pixel 9', locales: ['de-DE', 'en'] }
    const changed = await device.call('PATCH /device', { body })
    expect(changed).toMatchObject({ status: 200, body: { ...body, pushRegistered: true } })
    const less = await device.call('PATCH /device', { body: { model: null } })
    expect(less.body).toMatchObject({ name: 'Phone of Ada', locales: ['de-DE', 'en'] })
    expect(less.body).not.toHaveProperty('model')
    const moved = await other.call('PATCH /device', { body: { pushToken: 'FCM:one' } })
    expect(moved.body.pushRegistered).toBe(true)
    expect((await device.call('GET /device')).body.pushRegistered).toBe(false)
  })
})

describe('deleteDevice', () => {
  test('204; token, login and key are void for ever', async () => {
    const device = await enrolDevice(api)
    await device.login()
    expect((await device.call('DELETE /device')).status).toBe(204)
    expect(await device.call('GET /device')).toMatchObject({
      status: 401,
      body: { code: 'token_invalid' },
    })
    expect((await device.login()).body).toMatchObject({ code: 'client_invalid' })
    const again = new TestDevice(api, { deviceKey: device.deviceKey })
    const reply = await again.enrol(await createCode(api, 'acme', null), { pin: '1234' })
    expect(reply).toMatchObject({ status: 409, body: { code: 'device_key_known' } })
  })
})
