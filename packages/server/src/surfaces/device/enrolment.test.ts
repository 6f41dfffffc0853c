import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTestKey } from '#test/support/device-keys.ts'
import { createPlatformApi, type PlatformApi } from '#test/support/platform-api.ts'
import { addTestUser, createCode, enrolDevice, TestDevice } from '#test/support/test-device.ts'

let api: PlatformApi

beforeAll(async () => {
  api = await createPlatformApi()
  await api.createTenant('acme')
})
afterAll(() => api[Symbol.asyncDispose]())

describe('enrolDevice', () => {
  test('201 with a code, a key, a PIN and a biometric key; the user is the one of the code', async () => {
    await addTestUser(api, 'acme', 'ada')
    const device = new TestDevice(api)
    const reply = await device.enrol(await createCode(api, 'acme', 'ada'), { pin: '1234' })
    expect(reply.status).toBe(201)
    expect(reply.headers.location).toBe('/device/v1/device')
    expect(reply.body).toMatchObject({
      userId: 'ada',
      tenantId: 'acme',
      serverTime: new Date(api.clock()).toISOString(),
      factors: ['bio', 'pin'],
      trust: { anchors: [expect.any(String)] },
    })
  })
})

describe('linkUser', () => {
  test('201 for a second user; each has a login of its own', async () => {
    const device = await enrolDevice(api)
    await device.login()
    await addTestUser(api, 'acme', 'second')
    const reply = await device.link(await createCode(api, 'acme', 'second'), { pin: '8520' })
    expect(reply.status).toBe(201)
    expect(reply.body).toMatchObject({ userId: 'second', factors: ['pin'] })
    expect((await device.login({ userId: 'second', pin: '8520' })).body.user_id).toBe('second')
    expect((await device.login({ userId: null })).body).toMatchObject({ code: 'not_linked' })
  })
})

describe('unlinkUser', () => {
  test('204 for the user of the token; the link is gone at once, the device stays', async () => {
    const device = await enrolDevice(api)
    await device.login({ pin: '1234' })
    expect((await device.call(`DELETE /links/${device.userId}`)).status).toBe(204)
    expect(await device.call('GET /device')).toMatchObject({
      status: 403,
      body: { code: 'not_linked' },
    })
    expect((await device.login({ userId: null })).status).toBe(200)
    expect((await device.call('GET /device')).body.links).toEqual([])
  })
})

describe('setPin', () => {
  test('204 after the former PIN was shown; the new one counts', async () => {
    const device = await enrolDevice(api)
    await device.login({ pin: '1234' })
    expect((await device.call('PUT /factors/pin', { body: { pin: '8520' } })).status).toBe(204)
    expect((await device.login({ pin: '1234' })).body).toMatchObject({ code: 'factor_rejected' })
    expect((await device.login({ pin: '8520' })).status).toBe(200)
  })
})

describe('setBioKey', () => {
  test('204 with both proofs; the new key logs in, the former does not', async () => {
    const device = await enrolDevice(api)
    await device.login({ pin: '1234' })
    const bioKey = createTestKey()
    const body = device.statement({ iss: device.id, sub: device.userId }, bioKey)
    expect((await device.call('PUT /factors/bio', { body })).status).toBe(204)
    expect((await device.login({ bio: true })).body).toMatchObject({ code: 'factor_rejected' })
    device.bioKey = bioKey
    expect((await device.login({ bio: true })).body).toMatchObject({ amr: ['bio'] })
  })
})

describe('deleteBioKey', () => {
  test('204; 404 when there is none; 409 when the user would have no factor left', async () => {
    const device = await enrolDevice(api)
    await device.login()
    expect((await device.call('DELETE /factors/bio')).status).toBe(204)
    expect(await device.call('DELETE /factors/bio')).toMatchObject({ status: 404 })
    const bioOnly = await enrolDevice(api, {}, {})
    await bioOnly.login()
    expect(await bioOnly.call('DELETE /factors/bio')).toMatchObject({
      status: 409,
      body: { code: 'last_factor' },
    })
  })
})
