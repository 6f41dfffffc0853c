import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createPlatformApi, type PlatformApi } from '#test/support/platform-api.ts'
import { enrolDevice, sendToDeviceApi } from '#test/support/test-device.ts'

let api: PlatformApi

beforeAll(async () => {
  api = await createPlatformApi()
  await api.createTenant('acme')
})
afterAll(() => api[Symbol.asyncDispose]())

describe('getConfiguration', () => {
  test('200 to anybody: the facts, the time, a nonce', async () => {
    const path = '/device/v1/configuration'
    const reply = await sendToDeviceApi(api, { method: 'GET', path })
    expect(reply.status).toBe(200)
    expect(reply.body).toEqual({
      issuer: 'https://countersign.test/device/v1',
      protocol: 1,
      serverTime: new Date(api.clock()).toISOString(),
      algorithms: ['ES256'],
      scopes: ['device', 'tms'],
      clockSkewSeconds: 120,
    })
    expect(reply.headers['cache-control']).toBe('no-store')
    expect(reply.headers['dpop-nonce']).toMatch(/^[A-Za-z0-9_-]{43}$/)
  })
})

describe('createToken', () => {
  test('200 without factor: after the enrolment nothing is verified', async () => {
    const device = await enrolDevice(api)
    const reply = await device.login()
    expect(reply.status).toBe(200)
    expect(reply.body).toEqual({
      access_token: expect.stringMatching(/^dat_[A-Za-z0-9_-]{43}$/),
      token_type: 'DPoP',
      expires_in: 300,
      scope: 'device',
      user_id: device.userId,
    })
    expect(reply.headers['cache-control']).toBe('no-store')
  })

  test('200 with PIN or biometric key: the factor and its moment', async () => {
    const device = await enrolDevice(api)
    const authTime = Math.floor(api.clock() / 1000)
    const byPin = await device.login({ pin: '1234' })
    expect(byPin.body).toMatchObject({ amr: ['pin'], auth_time: authTime, expires_in: 300 })
    const byBio = await device.login({ bio: true, scope: 'device tms' })
    expect(byBio.body).toMatchObject({ amr: ['bio'], scope: 'device tms', expires_in: 120 })
  })
})
