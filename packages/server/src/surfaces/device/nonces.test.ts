import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { NonceAction, NonceForm } from '#domain/nonces/nonce.ts'
import type { OutboxMessage } from '#domain/outbox/outbox-message.ts'
import { engines, testCaller, testMasterKeyBytes } from '#test/support/core.ts'
import { createPlatformApi, type PlatformApi } from '#test/support/platform-api.ts'
import { createTestDatabase, type TestDatabase } from '#test/support/postgres.ts'
import { enrolDevice, type TestDevice } from '#test/support/test-device.ts'

const pin = '1234'
/** No name leads anywhere: what is to be sent stays in the outbox. */
const origin = 'https://portal.invalid'
const notFound = { status: 404, code: 'not_found' }
const native = (tenantId: string) => testCaller(tenantId, ['tenant:write'])

describe.each(engines)('nonces on %s', (engine) => {
  let api: PlatformApi
  let postgres: TestDatabase | undefined
  let sessionCount = 0
  beforeAll(async () => {
    postgres = engine === 'postgres' ? await createTestDatabase() : undefined
    api = await createPlatformApi(
      postgres === undefined
        ? {}
        : {
            COUNTERSIGN_DATABASE_URL: postgres.url,
            COUNTERSIGN_MASTER_KEY: Buffer.from(testMasterKeyBytes).toString('base64'),
          },
    )
    for (const id of ['acme', 'shop']) {
      await api.createTenant(id)
      const patch = { callbacks: { allowedOrigins: [origin] } }
      await api.app.core.settings.update(native(id), id, { patch })
    }
  }, 60_000)
  afterAll(async () => {
    await api[Symbol.asyncDispose]()
    await postgres?.drop()
  })

  const asPortal = (tenantId: string) =>
    testCaller(tenantId, ['ast:write'], { surface: 'ast', id: `${tenantId}-portal` })
  const newSession = () => `session-${++sessionCount}`

  /** What a portal shows. */
  async function show(
    action: NonceAction = 'LOGIN_NONCE',
    {
      form = 'default',
      tenantId = 'acme',
      portalSessionId = newSession(),
      text = 'Pay',
    }: {
      form?: NonceForm
      tenantId?: string
      portalSessionId?: string
      text?: string
    } = {},
  ): Promise<string> {
    const message = { text, isTemplate: false, data: undefined }
    const timers = { retrievalSeconds: 300, decisionSeconds: 600 }
    const tms = {
      message,
      ...timers,
      isExplicit: false,
      maxAgeSeconds: null,
      auditMessage: 'note of a portal',
    }
    const { shown } = await api.app.core.nonces.create(asPortal(tenantId), tenantId, {
      form,
      action,
      portalSessionId,
      callbackUrl: `${origin}/callback`,
      tms: action === 'TMS_NONCE' ? tms : undefined,
    })
    return shown
  }

  /** A device that is logged in with its PIN. */
  async function newDevice(
    user: { tenantId?: string; userId?: string | null } = {},
    login: { pin?: string } = { pin },
  ): Promise<TestDevice> {
    const device = await enrolDevice(api, user, { pin })
    expect((await device.login(login)).status).toBe(200)
    return device
  }

  const redeem = (device: TestDevice, nonce: string, action: NonceAction = 'LOGIN_NONCE') =>
    device.call('POST /nonce-redemptions', { body: { nonce, action } })

  /** What is to be sent to portals for a session. */
  async function callbacksOf(portalSessionId: string): Promise<readonly OutboxMessage[]> {
    const { outbox } = api.app.composed.storage.read
    const log = await outbox.listLog(
      { tenantId: 'acme', target: origin },
      {},
      { beforeId: 'Z', limit: 1_000 },
    )
    return log.messages.filter(({ payload }) => Buffer.from(payload).includes(portalSessionId))
  }

  describe('redeemNonce', () => {
    test('200 once: the portal is told who, with what the nonce was made with', async () => {
      const device = await newDevice()
      const portalSessionId = newSession()
      const nonce = await show('LOGIN_NONCE', { portalSessionId })
      const createdAt = api.clock()
      api.clock.advance(1_000)
      expect(await redeem(device, nonce)).toMatchObject({
        status: 200,
        body: { redeemedAt: new Date(api.clock()).toISOString() },
      })
      const [callback, second] = await callbacksOf(portalSessionId)
      expect(second).toBeUndefined()
      expect(JSON.parse(Buffer.from(callback?.payload ?? []).toString())).toEqual({
        timestamp: createdAt,
        nonce,
        portalSessionId,
        loginEvent: { astClientId: device.id, userId: device.userId },
      })
      expect((await redeem(device, nonce)).body).toMatchObject(notFound)
      expect(await callbacksOf(portalSessionId)).toHaveLength(1)
    })

    test('200 as people write it: small letters, I and L for 1, O for 0', async () => {
      const device = await newDevice()
      for (const form of ['default', 'short'] as const) {
        const nonce = await show('LOGIN_NONCE', { form })
        const written = nonce
          .toLowerCase()
          .replaceAll('1', 'l')
          .replace('l', 'I')
          .replaceAll('0', 'o')
        expect((await redeem(device, written)).status).toBe(200)
      }
    })

    test('200 for TMS_NONCE: the transaction is there for this user on this device, and for nobody else', async () => {
      const device = await newDevice()
      const other = await enrolDevice(api, { userId: device.userId }, { pin })
      await other.login({ pin })
      await device.certify()
      const portalSessionId = newSession()
      const nonce = await show('TMS_NONCE', { portalSessionId, text: 'Pay 500 EUR' })
      const { status, body } = await redeem(device, nonce, 'TMS_NONCE')
      expect(status).toBe(200)
      const { approvalId } = body
      const approval = (await device.retrieve(approvalId)).body
      expect(approval.requirements.evidence).toBe('CMS')
      expect(JSON.parse(Buffer.from(approval.content.bytes, 'base64').toString())).toMatchObject({
        id: approvalId,
        text: 'Pay 500 EUR',
        external: false,
      })
      expect((await other.retrieve(approvalId)).body).toMatchObject(notFound)
      expect((await device.acceptSigned(approval)).status).toBe(200)
      const [callback] = await callbacksOf(portalSessionId)
      const who = { astClientId: device.id, userId: device.userId }
      expect(JSON.parse(Buffer.from(callback?.payload ?? []).toString())).toMatchObject({
        loginEvent: who,
        tmsEvent: { tmsId: approvalId, ...who },
      })
      const { tms } = api.app.core
      expect((await tms.result(asPortal('acme'), 'acme', approvalId)).approval).toMatchObject({
        status: 'APPROVED',
        createdBy: 'acme-portal',
      })
    })

    test('404, always the same: unknown, used, expired, of another action, of another tenant, none at all', async () => {
      const used = await show()
      expect((await redeem(await newDevice(), used)).status).toBe(200)
      const expired = await show('LOGIN_NONCE', { form: 'short' })
      api.clock.advance(120_000)
      const device = await newDevice()
      const login = await show()
      const foreign = await show('LOGIN_NONCE', { tenantId: 'shop' })
      const answers = [
        await redeem(device, '01KS51D0WG000000000000TMS1'),
        await redeem(device, used),
        await redeem(device, expired),
        await redeem(device, login, 'TMS_NONCE'),
        await redeem(device, foreign),
        await redeem(device, 'UUUUUUUU'),
      ]
      const told = answers.map(({ body: { instance: _instance, ...rest } }) => rest)
      expect(new Set(told.map((body) => JSON.stringify(body))).size).toBe(1)
      expect(told[0]).toMatchObject(notFound)
      // Another action spends nothing, and neither does another tenant.
      expect((await redeem(device, login)).status).toBe(200)
      expect((await redeem(await newDevice({ tenantId: 'shop' }), foreign)).status).toBe(200)
    })

    test('400 for what is neither 8 nor 26 letters and digits, and for unknown actions', async () => {
      const device = await newDevice()
      for (const body of [
        {},
        { nonce: '7K3M9QXR' },
        { nonce: '7K3M9QX', action: 'LOGIN_NONCE' },
        { nonce: '7K3M9QX!', action: 'LOGIN_NONCE' },
        { nonce: '7K3M9QXR', action: 'LOGOUT' },
        { nonce: '7K3M9QXR', action: 'LOGIN_NONCE', more: 1 },
      ]) {
        const { status } = await device.call('POST /nonce-redemptions', { body })
        expect(status).toBe(400)
      }
    })

    test('403 verification_required without a factor behind the token, which spends and counts nothing; unless the tenant waives it', async () => {
      const device = await newDevice({}, {})
      const nonce = await show()
      for (let attempt = 0; attempt < 12; attempt++) {
        expect((await redeem(device, nonce)).body.code).toBe('verification_required')
      }
      const { settings } = api.app.core
      const waive = (nonceNeedsVerification: boolean) =>
        settings.update(native('acme'), 'acme', { patch: { ast: { nonceNeedsVerification } } })
      await waive(false)
      expect((await redeem(device, nonce)).status).toBe(200)
      await waive(true)
    })

    test('R4: 30 redemptions of one nonce by several devices at once: exactly one is 200, with the only callback and transaction', async () => {
      const devices = await Promise.all(Array.from({ length: 6 }, () => newDevice()))
      const portalSessionId = newSession()
      const nonce = await show('TMS_NONCE', { portalSessionId })
      const replies = await Promise.all(
        Array.from({ length: 5 }, () => devices)
          .flat()
          .map((device) => redeem(device, nonce, 'TMS_NONCE')),
      )
      const done = replies.filter(({ status }) => status === 200)
      expect(done).toHaveLength(1)
      expect(replies.filter(({ status }) => status === 404)).toHaveLength(29)
      expect(await callbacksOf(portalSessionId)).toHaveLength(1)
      const waiting = await Promise.all(devices.map((device) => device.call('GET /approvals')))
      expect(waiting.flatMap(({ body }) => body)).toMatchObject([
        { approvalId: done[0]?.body.approvalId },
      ])
    })

    test('429 after ten that are none, also of 30 at once, on all devices of the user, for five minutes', async () => {
      const device = await newDevice()
      const other = await newDevice({ userId: device.userId })
      const guesses = await Promise.all(
        Array.from({ length: 30 }, (_, number) => redeem(device, `7K3M9Q${10 + number}`)),
      )
      expect(guesses.filter(({ status }) => status === 404)).toHaveLength(10)
      expect(guesses.filter(({ status }) => status === 429)).toHaveLength(20)
      const nonce = await show()
      const refused = await redeem(device, nonce)
      expect(refused).toMatchObject({ status: 429, headers: { 'retry-after': '300' } })
      expect((await redeem(other, nonce)).status).toBe(429)
      // Nobody else is locked out by it.
      expect((await redeem(await newDevice(), nonce)).status).toBe(200)
      api.clock.advance(300_000)
      await device.login({ pin })
      expect((await redeem(device, await show())).status).toBe(200)
    })

    test('404 and 429: what was right does not count, and takes no failure away', async () => {
      const device = await newDevice()
      for (let round = 0; round < 9; round++) {
        expect((await redeem(device, '7K3M9QXR')).status).toBe(404)
        expect((await redeem(device, await show())).status).toBe(200)
      }
      expect((await redeem(device, '7K3M9QXR')).status).toBe(404)
      expect((await redeem(device, '7K3M9QXR')).status).toBe(429)
    })

    test('403 for a device that was locked in the meantime; the nonce stays', async () => {
      const device = await newDevice()
      const nonce = await show()
      await api.app.core.devices.lock(native('acme'), 'acme', { id: device.id, reason: null })
      expect((await redeem(device, nonce)).body.code).toBe('device_locked')
      expect((await redeem(await newDevice(), nonce)).status).toBe(200)
    })

    test('expired ones are gone ten minutes later, counts when they are over', async () => {
      const { core, composed } = api.app
      const device = await newDevice()
      await show()
      await redeem(device, '7K3M9QXR')
      const { attempts } = composed.storage.read.nonces
      const counted = { tenantId: 'acme', subject: `device/${device.id}` }
      expect(await attempts.endOf(counted)).toBe(api.clock() + 300_000)
      api.clock.advance(300_000 + 600_000)
      await core.nonceExpiry.removeExpired()
      expect(await attempts.endOf(counted)).toBeUndefined()
      expect(
        await composed.storage.transaction(({ nonces }) =>
          nonces.rows.removeExpired(api.clock() - 600_000, 10),
        ),
      ).toBe(0)
    })
  })

  describe('previewNonce', () => {
    const preview = (device: TestDevice, nonce: string, action: NonceAction = 'LOGIN_NONCE') =>
      device.call('POST /nonce-previews', { body: { nonce, action } })

    test('200 with the portal as the server knows it, without a factor, as often as asked; it can be redeemed afterwards', async () => {
      const device = await newDevice({}, {})
      const nonce = await show()
      for (let count = 0; count < 12; count++) {
        expect(await preview(device, nonce.toLowerCase())).toMatchObject({
          status: 200,
          body: { portal: origin, expiresAt: new Date(api.clock() + 300_000).toISOString() },
        })
      }
      await device.login({ pin })
      expect((await redeem(device, nonce)).status).toBe(200)
      expect((await preview(device, nonce)).body).toMatchObject(notFound)
    })

    test('404 as a redemption, and 429 after ten of both together', async () => {
      const device = await newDevice()
      const nonce = await show()
      const foreign = await show('LOGIN_NONCE', { tenantId: 'shop' })
      expect((await preview(device, nonce, 'TMS_NONCE')).body).toMatchObject(notFound)
      expect((await preview(device, foreign)).body).toMatchObject(notFound)
      for (let count = 0; count < 4; count++) {
        expect((await preview(device, '7K3M9QXR')).status).toBe(404)
        expect((await redeem(device, '7K3M9QXR')).status).toBe(404)
      }
      expect((await preview(device, nonce)).status).toBe(429)
      expect((await redeem(device, nonce)).status).toBe(429)
    })
  })
})
