import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines, testCaller, testMasterKeyBytes } from '#test/support/core.ts'
import { until } from '#test/support/delivery.ts'
import { createPlatformApi, type Json, type PlatformApi } from '#test/support/platform-api.ts'
import { createTestDatabase } from '#test/support/postgres.ts'
import { type Receiver, startReceiver } from '#test/support/receiver.ts'
import { createCode, enrolDevice, TestDevice } from '#test/support/test-device.ts'

const types = ['device.enrolled', 'device.locked', 'device.unlocked', 'device.deleted'] as const

/** What a backend is told of a tenant's devices. */
interface Backend extends AsyncDisposable {
  readonly told: () => readonly Json[]
  readonly texts: () => readonly string[]
}

describe.each(engines)('webhooks of devices on %s', (engine) => {
  let api: PlatformApi
  let bank: Backend
  let shop: Backend
  let drop = async (): Promise<void> => {}

  beforeAll(async () => {
    const database = engine === 'postgres' ? await createTestDatabase() : undefined
    drop = database?.drop ?? drop
    api = await createPlatformApi({
      COUNTERSIGN_OUTBOUND_ALLOW: '127.0.0.0/8',
      ...(database && {
        COUNTERSIGN_DATABASE_URL: database.url,
        COUNTERSIGN_MASTER_KEY: Buffer.from(testMasterKeyBytes).toString('base64'),
      }),
    })
    for (const id of ['acme', 'shop']) await api.createTenant(id)
    bank = await startBackend('acme')
    shop = await startBackend('shop')
  })
  afterAll(async () => {
    await bank[Symbol.asyncDispose]()
    await shop[Symbol.asyncDispose]()
    await api[Symbol.asyncDispose]()
    await drop()
  })

  async function startBackend(tenantId: string): Promise<Backend> {
    const receiver: Receiver = await startReceiver()
    const { secret } = await api.app.core.webhooks.create(
      testCaller(tenantId, ['tenant:write']),
      tenantId,
      { url: receiver.url, eventTypes: [...types] },
    )
    const webhook = new Webhook(secret)
    return {
      told: () =>
        receiver.received.map(({ body, headers }) => {
          const sentAt = new Date(Number(headers['webhook-timestamp']) * 1000)
          const text = body.toString()
          const signature = webhook.sign(headers['webhook-id'] ?? '', sentAt, text)
          expect(headers['webhook-signature']).toBe(signature)
          return JSON.parse(text)
        }),
      texts: () => receiver.received.map(({ body }) => body.toString()),
      [Symbol.asyncDispose]: () => receiver[Symbol.asyncDispose](),
    }
  }
  const toldOf = (backend: Backend, id: string) =>
    backend.told().filter(({ data }) => data.device.id === id)

  test('enrolled, locked, unlocked and deleted are told as the native API shows the device, signed, once each', async () => {
    const { devices } = api.app.core
    const admin = testCaller('acme', ['tenant:write'])
    const device = await enrolDevice(api)
    await until(() => toldOf(bank, device.id).length === 1)
    await devices.lock(admin, 'acme', { id: device.id, reason: 'Lost phone' })
    await until(() => toldOf(bank, device.id).length === 2)
    await devices.unlock(admin, 'acme', device.id)
    await until(() => toldOf(bank, device.id).length === 3)
    const account = await api.createAccount('acme', ['tenant:read'])
    const { body: shown } = await api.call(`GET /api/v1/tenants/acme/devices/${device.id}`, {
      as: account,
    })
    await devices.delete(admin, 'acme', device.id)
    await until(() => toldOf(bank, device.id).length === 4)

    const told = toldOf(bank, device.id)
    expect(told.map(({ type }) => type)).toEqual([...types])
    expect(told.every(({ data }) => data.tenantId === 'acme')).toBe(true)
    expect(told.map(({ data }) => data.device.lock)).toMatchObject([
      { state: 'NONE', reason: null },
      { state: 'LOCKED', reason: 'Lost phone' },
      { state: 'UNLOCKED' },
      {},
    ])
    expect(told[2]?.data.device).toEqual(shown)
    expect(told[0]?.data.device).toMatchObject({
      keyThumbprint: device.deviceKey.thumbprint,
      links: [{ userId: device.userId, factors: ['BIOMETRIC', 'PIN'] }],
    })
  })

  test('what was refused is not told, and neither is a lock of one that is locked', async () => {
    const { devices } = api.app.core
    const admin = testCaller('acme', ['tenant:write'])
    const code = await createCode(api, 'acme', null)
    const winner = new TestDevice(api)
    expect((await winner.enrol(code, { pin: '1234' })).status).toBe(201)
    const loser = new TestDevice(api)
    expect((await loser.enrol(code, { pin: '1234' })).status).toBeGreaterThanOrEqual(400)
    await devices.delete(admin, 'acme', winner.id)
    await until(() => toldOf(bank, winner.id).length === 2)
    const thumbprints = bank.told().map(({ data }) => data.device.keyThumbprint)
    expect(thumbprints).toContain(winner.deviceKey.thumbprint)
    expect(thumbprints).not.toContain(loser.deviceKey.thumbprint)
  })

  test('another tenant is told of its own devices alone', async () => {
    const theirs = await enrolDevice(api, { tenantId: 'shop' })
    const ours = await enrolDevice(api)
    await until(() => toldOf(shop, theirs.id).length === 1 && toldOf(bank, ours.id).length === 1)
    expect(shop.told().every(({ data }) => data.tenantId === 'shop')).toBe(true)
    expect(bank.told().every(({ data }) => data.tenantId === 'acme')).toBe(true)
    expect(shop.texts().join()).not.toContain(ours.id)
    expect(bank.texts().join()).not.toContain(theirs.id)
  })

  test('neither PIN, codes nor push tokens are told', async () => {
    const code = await createCode(api, 'acme', null)
    const device = new TestDevice(api)
    const pushToken = 'FCM:push-token-that-nobody-may-know'
    const reply = await device.enrol(code, { pin: '85207410', body: { pushToken } })
    expect(reply.status).toBe(201)
    await until(() => toldOf(bank, device.id).length === 1)
    const text = bank.texts().join()
    for (const secret of [code, pushToken, '85207410', 'pinHash', 'argon2']) {
      expect(text).not.toContain(secret)
    }
  })
})
