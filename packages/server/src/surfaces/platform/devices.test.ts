import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hashOf } from '#test/support/device-signing.ts'
import { createPlatformApi, type PlatformApi } from '#test/support/platform-api.ts'
import { addTestUser, createCode, enrolDevice, TestDevice } from '#test/support/test-device.ts'

let api: PlatformApi
let admin: string
let reader: string
let keyless: string
let foreign: string

const codes = '/api/v1/tenants/acme/enrolment-codes' as const
const devices = '/api/v1/tenants/acme/devices' as const

beforeAll(async () => {
  api = await createPlatformApi()
  await api.createTenant('acme')
  await api.createTenant('shop')
  admin = await api.createAccount('acme', ['tenant:write', 'tenant:read'])
  reader = await api.createAccount('acme', ['tenant:read'])
  keyless = await api.createAccount('acme', ['keyless:backend'])
  foreign = await api.createAccount('shop', ['tenant:write', 'tenant:read'])
  await addTestUser(api, 'acme', 'ada')
})
afterAll(() => api[Symbol.asyncDispose]())

describe('createEnrolmentCode', () => {
  test('201 with a code, a QR code and a status; a device enrols with what the QR code says', async () => {
    const reply = await api.call(`POST ${codes}`, {
      as: admin,
      body: { user: { id: 'ada' }, deviceName: 'Phone of Ada' },
    })
    const { enrolmentCode, secret } = reply.body
    expect(reply).toMatchObject({
      status: 201,
      headers: { 'cache-control': 'no-store', location: `${codes}/${enrolmentCode.id}` },
    })
    expect(enrolmentCode).toMatchObject({ userId: 'ada', status: 'PENDING', usedAt: null })
    const said = new URL(secret.qrPayload).searchParams
    expect(Object.fromEntries(said)).toMatchObject({
      v: '1',
      server: 'https://countersign.test',
      tenant: 'acme',
      code: secret.code,
    })
    const device = new TestDevice(api)
    const enrolled = await device.enrol(said.get('code') ?? '', { pin: '1234' })
    const [anchor = ''] = enrolled.body.trust.anchors
    expect(hashOf(Buffer.from(anchor, 'base64'))).toBe(said.get('anchor'))
    const used = await api.call(`GET ${codes}/${enrolmentCode.id}`, { as: reader })
    expect(used.body).toMatchObject({ status: 'USED', deviceId: device.id, userId: 'ada' })
    const shown = await api.call(`GET ${devices}/${device.id}`, { as: reader })
    expect(shown.body.name).toBe('Phone of Ada')
  })

  test('a repeat with the same key makes no second code, and tells no secret', async () => {
    const request = {
      as: admin,
      headers: { 'idempotency-key': 'code-1' },
      body: { externalUserId: '8a2f1c3e' },
    }
    const first = await api.call(`POST ${codes}`, request)
    const second = await api.call(`POST ${codes}`, request)
    expect(second.body).toEqual({ enrolmentCode: first.body.enrolmentCode })
  })

  test('400 for a user that is not there, 409 for one who is disabled or has all devices', async () => {
    const ask = (id: string) => api.call(`POST ${codes}`, { as: admin, body: { user: { id } } })
    expect(await ask('nobody')).toMatchObject({
      status: 400,
      body: { code: 'reference_not_found', errors: [{ pointer: '/user' }] },
    })
    await addTestUser(api, 'acme', 'off')
    await api.call('PATCH /api/v1/tenants/acme/users/off', {
      as: admin,
      body: { status: 'DISABLED' },
    })
    expect(await ask('off')).toMatchObject({ status: 409, body: { code: 'user_disabled' } })
    await api.call('PATCH /api/v1/tenants/acme/settings', {
      as: admin,
      body: { enrolment: { maxDevicesPerUser: 1 } },
    })
    expect(await ask('ada')).toMatchObject({ status: 409, body: { code: 'limit_reached' } })
    await api.call('PATCH /api/v1/tenants/acme/settings', {
      as: admin,
      body: { enrolment: { maxDevicesPerUser: 10 } },
    })
  })

  test('403 without the right, 404 for another tenant', async () => {
    expect(await api.call(`POST ${codes}`, { as: reader, body: {} })).toMatchObject({ status: 403 })
    expect(await api.call(`POST ${codes}`, { as: foreign, body: {} })).toMatchObject({
      status: 404,
    })
  })
})

describe('listEnrolmentCodes', () => {
  test('200: the newest first, by user and status, page by page', async () => {
    await addTestUser(api, 'acme', 'lists')
    const made: string[] = []
    for (let index = 0; index < 3; index++) {
      const body = { user: { id: 'lists' } }
      made.unshift((await api.call(`POST ${codes}`, { as: admin, body })).body.enrolmentCode.id)
    }
    const first = await api.call(`GET ${codes}?userId=lists&limit=2`, { as: reader })
    const rest = await api.call(
      `GET ${codes}?userId=lists&limit=2&cursor=${first.body.nextCursor}`,
      { as: reader },
    )
    const seen = [...first.body.items, ...rest.body.items].map(({ id }) => id)
    expect(seen).toEqual(made)
    const used = await api.call(`GET ${codes}?userId=lists&status=USED`, { as: reader })
    expect(used.body.items).toEqual([])
  })
})

describe('getEnrolmentCode', () => {
  test('200; a caller with keyless:backend alone sees its own; an expired one says so', async () => {
    const own = await api.call(`POST ${codes}`, { as: keyless, body: { expiresInSeconds: 60 } })
    const other = await api.call(`POST ${codes}`, { as: admin, body: {} })
    const read = (id: string) => api.call(`GET ${codes}/${id}`, { as: keyless })
    expect((await read(own.body.enrolmentCode.id)).status).toBe(200)
    expect((await read(other.body.enrolmentCode.id)).status).toBe(404)
    api.clock.advance(60_000)
    expect((await read(own.body.enrolmentCode.id)).body.status).toBe('EXPIRED')
  })
})

describe('revokeEnrolmentCode', () => {
  test('204, and again; nobody enrols with it; 409 once it was used', async () => {
    const { body } = await api.call(`POST ${codes}`, { as: admin, body: {} })
    const path = `${codes}/${body.enrolmentCode.id}` as const
    expect((await api.call(`DELETE ${path}`, { as: admin })).status).toBe(204)
    expect((await api.call(`DELETE ${path}`, { as: admin })).status).toBe(204)
    const late = await new TestDevice(api).enrol(body.secret.code, { pin: '1234' })
    expect(late.body.code).toBe('code_invalid')
    const { body: used } = await api.call(`POST ${codes}`, { as: admin, body: {} })
    await new TestDevice(api).enrol(used.secret.code, { pin: '1234' })
    const usedPath = `DELETE ${codes}/${used.enrolmentCode.id}` as const
    expect(await api.call(usedPath, { as: admin })).toMatchObject({ status: 409 })
    expect(await api.call(usedPath, { as: foreign })).toMatchObject({ status: 404 })
  })
})

describe('clearDevicePin', () => {
  test('204: the PIN counts nowhere any more, the lock of the factors is lifted', async () => {
    const device = await enrolDevice(api)
    for (let wrong = 0; wrong < 5; wrong++) await device.login({ pin: '0000' })
    expect((await device.login({ pin: '1234' })).body.code).toBe('factor_locked')
    const path = `DELETE /api/v1/tenants/acme/users/${device.userId}/device-pin` as const
    expect((await api.call(path, { as: reader })).status).toBe(403)
    expect((await api.call(path, { as: admin })).status).toBe(204)
    expect((await api.call(path, { as: admin })).status).toBe(204)
    expect((await device.login({ pin: '1234' })).body.code).toBe('factor_rejected')
    expect((await device.login({ bio: true })).status).toBe(200)
    expect((await device.call('PUT /factors/pin', { body: { pin: '8520' } })).status).toBe(204)
    expect((await device.login({ pin: '8520' })).status).toBe(200)
    const nobody = 'DELETE /api/v1/tenants/acme/users/nobody/device-pin'
    expect((await api.call(nobody, { as: admin })).status).toBe(404)
  })
})

describe('listDevices', () => {
  test('200 in order of enrolment, by user, lock and app, page by page; nothing of another tenant', async () => {
    const one = await enrolDevice(api)
    const code = await createCode(api, 'acme', one.userId)
    const two = new TestDevice(api)
    await two.enrol(code, { pin: '1234' })
    const all = await api.call(`GET ${devices}?userId=${one.userId}&limit=1`, { as: reader })
    expect(all.body.items).toMatchObject([{ id: one.id }])
    const rest = await api.call(
      `GET ${devices}?userId=${one.userId}&limit=1&cursor=${all.body.nextCursor}`,
      { as: reader },
    )
    expect(rest.body.items).toMatchObject([{ id: two.id }])
    await api.call(`POST ${devices}/${two.id}/lock`, { as: admin, body: {} })
    const locked = await api.call(`GET ${devices}?userId=${one.userId}&lockState=LOCKED`, {
      as: reader,
    })
    expect(locked.body.items).toMatchObject([{ id: two.id }])
    const other = await api.call(`GET ${devices}?appName=another`, { as: reader })
    expect(other.body.items).toEqual([])
    const shop = await api.call('GET /api/v1/tenants/shop/devices', { as: foreign })
    expect(shop.body.items).toEqual([])
  })
})

describe('getDevice', () => {
  test('200 with key, facts and lock: what a relying party checks requests with', async () => {
    const device = await enrolDevice(api, {}, { pin: '1234', body: { pushToken: 'FCMF:abc' } })
    const verifier = await api.createAccount('acme', ['verify'])
    const { status, body } = await api.call(`GET ${devices}/${device.id}`, { as: verifier })
    expect(status).toBe(200)
    expect(body).toMatchObject({
      id: device.id,
      links: [{ userId: device.userId, factors: ['BIOMETRIC', 'PIN'] }],
      enrolledVia: 'DEVICE',
      lock: { state: 'NONE', reason: null, changedAt: null },
      keyThumbprint: device.deviceKey.thumbprint,
      appName: 'acme-bank',
      pushProvider: 'FCMF',
      connected: false,
      lastSuccessAt: null,
    })
    const { crv, kty, x, y } = body.publicKey
    const thumbprint = createHash('sha256').update(JSON.stringify({ crv, kty, x, y }))
    expect(thumbprint.digest('base64url')).toBe(body.keyThumbprint)
    expect((await api.call(`GET ${devices}/${device.id}`, { as: foreign })).status).toBe(404)
    const shop = `GET /api/v1/tenants/shop/devices/${device.id}` as const
    expect((await api.call(shop, { as: foreign })).status).toBe(404)
  })

  test('connected while an event stream is open', async () => {
    const device = await enrolDevice(api)
    const { deviceWakeups } = api.app.core
    const listener = { look: () => {} }
    deviceWakeups.listen('acme', device.id, listener)
    const read = () => api.call(`GET ${devices}/${device.id}`, { as: reader })
    expect((await read()).body.connected).toBe(true)
    deviceWakeups.unlisten('acme', device.id, listener)
    expect((await read()).body.connected).toBe(false)
  })
})

describe('deleteDevice', () => {
  test('204: sessions, certificates and key are void; 404 afterwards', async () => {
    const device = await enrolDevice(api)
    await device.login({ pin: '1234' })
    const { body: certificate } = await device.certify()
    const path = `${devices}/${device.id}` as const
    expect((await api.call(`DELETE ${path}`, { as: reader })).status).toBe(403)
    expect((await api.call(`DELETE ${path}`, { as: foreign })).status).toBe(404)
    expect((await api.call(`DELETE ${path}`, { as: admin })).status).toBe(204)
    expect((await api.call(`DELETE ${path}`, { as: admin })).status).toBe(404)
    expect((await device.call('GET /device')).body.code).toBe('token_invalid')
    const revoked = await api.call(`GET /api/v1/tenants/acme/certificates/${certificate.certRef}`, {
      as: reader,
    })
    expect(revoked.body).toMatchObject({
      status: 'REVOKED',
      revocationReason: 'CESSATION_OF_OPERATION',
    })
  })
})

describe('lockDevice', () => {
  test('200: every call and login is refused with the reason, also by tokens of before', async () => {
    const device = await enrolDevice(api)
    await device.login({ pin: '1234' })
    const path = `POST ${devices}/${device.id}/lock` as const
    const locked = await api.call(path, { as: admin, body: { reason: 'reported lost' } })
    expect(locked).toMatchObject({
      status: 200,
      body: { lock: { state: 'LOCKED', reason: 'reported lost' } },
    })
    const refused = { status: 403, body: { code: 'device_locked', lockReason: 'reported lost' } }
    expect(await device.call('GET /device')).toMatchObject(refused)
    expect(await device.login({ pin: '1234' })).toMatchObject(refused)
    const again = await api.call(path, { as: admin, body: {} })
    expect(again.body.lock).toMatchObject({ state: 'LOCKED', reason: null })
    expect((await api.call(path, { as: foreign, body: {} })).status).toBe(404)
    expect((await api.call(path, { as: reader, body: {} })).status).toBe(403)
  })
})

describe('unlockDevice', () => {
  test('200: it logs in again; what it had before stays void, and nothing is verified', async () => {
    const device = await enrolDevice(api)
    await device.login({ pin: '1234' })
    await api.call(`POST ${devices}/${device.id}/lock`, { as: admin, body: {} })
    const unlocked = await api.call(`POST ${devices}/${device.id}/unlock`, { as: admin })
    expect(unlocked.body.lock).toMatchObject({ state: 'UNLOCKED', reason: null })
    expect((await device.call('GET /device')).body.code).toBe('token_invalid')
    const reply = await device.login()
    expect(reply.status).toBe(200)
    expect(reply.body).not.toHaveProperty('amr')
  })
})

describe('disconnectDevice', () => {
  test('204: tokens are void; the next login carries nothing until a factor comes', async () => {
    const device = await enrolDevice(api)
    await device.login({ pin: '1234' })
    const path = `POST ${devices}/${device.id}/disconnect` as const
    expect((await api.call(path, { as: admin })).status).toBe(204)
    expect((await device.call('GET /device')).body.code).toBe('token_invalid')
    expect((await device.login()).body).not.toHaveProperty('amr')
    expect((await device.login({ pin: '1234' })).body.amr).toEqual(['pin'])
  })
})

describe('devices and their users', () => {
  test('a user who is deleted takes links, PIN, codes and certificates along, and devices nobody else uses', async () => {
    await addTestUser(api, 'acme', 'leaver')
    const alone = await enrolDevice(api, { userId: 'leaver' })
    const shared = await enrolDevice(api)
    await shared.login()
    await shared.link(await createCode(api, 'acme', 'leaver'), { pin: '1234' })
    await alone.login({ pin: '1234' })
    const { body: certificate } = await alone.certify()
    const open = await createCode(api, 'acme', 'leaver')
    await shared.login({ userId: 'leaver', pin: '1234' })

    const deleted = await api.call('DELETE /api/v1/tenants/acme/users/leaver', { as: admin })
    expect(deleted.status).toBe(204)

    expect((await alone.call('GET /device')).body.code).toBe('token_invalid')
    expect((await api.call(`GET ${devices}/${alone.id}`, { as: reader })).status).toBe(404)
    expect((await shared.call('GET /device')).body.code).toBe('not_linked')
    const kept = await api.call(`GET ${devices}/${shared.id}`, { as: reader })
    expect(kept.body.links).toMatchObject([{ userId: shared.userId }])
    expect((await shared.login()).status).toBe(200)
    expect((await new TestDevice(api).enrol(open, { pin: '1234' })).body.code).toBe('code_invalid')
    const revoked = await api.call(`GET /api/v1/tenants/acme/certificates/${certificate.certRef}`, {
      as: reader,
    })
    expect(revoked.body.status).toBe('REVOKED')
  })

  test('a user or tenant that is disabled is refused at the next call', async () => {
    await api.createTenant('closing')
    const owner = await api.createAccount('closing', ['tenant:write'])
    const device = await enrolDevice(api, { tenantId: 'closing' })
    await device.login()
    const user = `PATCH /api/v1/tenants/closing/users/${device.userId}` as const
    await api.call(user, { as: owner, body: { status: 'DISABLED' } })
    expect((await device.call('GET /device')).body.code).toBe('user_disabled')
    expect((await device.login()).body).toMatchObject({
      code: 'user_disabled',
      error: 'unauthorized_client',
    })
    await api.call(user, { as: owner, body: { status: 'ACTIVE' } })
    expect((await device.call('GET /device')).status).toBe(200)
    const tenant = 'PATCH /api/v1/tenants/closing'
    await api.call(tenant, { body: { status: 'DISABLED' } })
    expect((await device.call('GET /device')).body.code).toBe('tenant_disabled')
    expect((await device.login()).body.code).toBe('tenant_disabled')
  })
})
