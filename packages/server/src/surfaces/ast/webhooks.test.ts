import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines, testCaller } from '#test/support/core.ts'
import { type Receiver, startReceiver } from '#test/support/receiver.ts'
import type { TestDevice } from '#test/support/test-device.ts'
import { type ClientsInstallation, createClientsInstallation } from './clients.fixture.ts'

const ulid = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/

describe.each(engines)('Webhooks on %s', (engine) => {
  let ast: ClientsInstallation
  let device: TestDevice
  let portal: Receiver
  beforeAll(async () => {
    portal = await startReceiver()
    const env = { COUNTERSIGN_OUTBOUND_ALLOW: '127.0.0.0/8' }
    ast = await createClientsInstallation({ engine, env })
    device = await ast.addDevice('jsmith')
    const patch = { callbacks: { allowedOrigins: [new URL(portal.url).origin] } }
    await ast.core.settings.update(testCaller('acme', ['tenant:write']), 'acme', { patch })
  }, 60_000)
  afterAll(async () => {
    await ast[Symbol.asyncDispose]()
    await portal[Symbol.asyncDispose]()
  })

  const create = (
    payload: unknown = { callbackUrl: portal.url },
    { action = 'LOGIN_NONCE', query = '', token = ast.admin } = {},
  ) => ast.call(`POST /nonces${query}`, { body: { action, payload }, token })
  const tmsPayload = (tms: object) => ({ callbackUrl: portal.url, tms })

  describe('createNonce', () => {
    test('201 with a ULID for 300 seconds; the type is the action', async () => {
      expect(await create()).toMatchObject({
        status: 201,
        cacheControl: 'no-store',
        body: {
          nonce: expect.stringMatching(ulid),
          type: 'LOGIN_NONCE',
          expiresAt: ast.clock() + 300_000,
        },
      })
      expect((await create(undefined, { query: '?type=default' })).body.nonce).toMatch(ulid)
    })

    test('201 with eight characters for 120 seconds', async () => {
      const tms = { tmsData: { text: 'Pay' } }
      const options = { action: 'TMS_NONCE', query: '?type=short' }
      const { status, body } = await create(tmsPayload(tms), options)
      expect(status).toBe(201)
      expect(body).toEqual({
        nonce: expect.stringMatching(/^[0-9A-HJKMNP-TV-Z]{8}$/),
        type: 'TMS_NONCE',
        expiresAt: ast.clock() + 120_000,
      })
    })

    test('201 as the vendor’s sample has it, once the tenant has a default address', async () => {
      const sample = () => create({})
      expect(await sample()).toMatchObject({ status: 400, body: { code: '4003', subsystem: 515 } })
      const native = testCaller('acme', ['tenant:write'])
      const update = (defaultCallbackUrl: string | null) =>
        ast.core.settings.update(native, 'acme', { patch: { ast: { defaultCallbackUrl } } })
      await update(portal.url)
      expect((await sample()).status).toBe(201)
      await update(null)
    })

    test('400 for an address outside the list, and for one that is none', async () => {
      for (const callbackUrl of ['https://evil.example/hook', 'http://127.0.0.1:1/hook']) {
        const { status, body } = await create({ callbackUrl })
        expect({ status, ...body }).toMatchObject({ status: 400, code: '4003', subsystem: 515 })
      }
      expect((await create({ callbackUrl: 'portal' })).status).toBe(400)
    })

    test.each([
      ['an unknown action', { action: 'LOGOUT' }],
      ['an unknown type', { query: '?type=long' }],
      ['a TMS_NONCE without a transaction', { action: 'TMS_NONCE' }],
    ])('400 for %s', async (_what, options) => {
      expect((await create(undefined, options)).status).toBe(400)
    })

    test.each([
      ['a text with a gap', { tmsData: { text: 'Pay {{amount}}', data: {} } }],
      ['an empty text', { tmsData: { text: ' ' } }],
      ['no text', { tmsData: {} }],
      ['a timer of 31 days', { tmsData: { text: 'Pay' }, tmsTimeout: 2_678_400 }],
      ['a note of 5 KB', { tmsData: { text: 'Pay' }, auditMessage: 'x'.repeat(5_000) }],
    ])('400 for a transaction with %s', async (_what, tms) => {
      const { status } = await create(tmsPayload(tms), { action: 'TMS_NONCE' })
      expect(status).toBe(400)
    })

    test('400 for a session id of more than 255 characters, and without payload', async () => {
      const portalSessionId = 'x'.repeat(256)
      expect((await create({ callbackUrl: portal.url, portalSessionId })).status).toBe(400)
      const { status } = await ast.call('POST /nonces', { body: { action: 'LOGIN_NONCE' } })
      expect(status).toBe(400)
    })

    test('403 for readers and other tenants, 401 for nobody', async () => {
      expect((await create(undefined, { token: ast.reader })).status).toBe(403)
      expect((await create(undefined, { token: ast.stranger })).status).toBe(403)
      expect((await create(undefined, { token: 'nobody' })).status).toBe(401)
    })
  })

  describe('postNonceCallback', () => {
    test('tells the portal who logs in, and what is to be signed', async () => {
      const before = portal.received.length
      const tms = { tmsData: { text: 'Pay 500 EUR', data: { iban: 'DE02' } }, tmsTimeout: 30 }
      const { nonce } = (
        await create(
          { ...tmsPayload(tms), portalSessionId: 'portal-1' },
          { action: 'TMS_NONCE', query: '?type=short' },
        )
      ).body
      const createdAt = ast.clock()
      const body = { nonce: nonce.toLowerCase(), action: 'TMS_NONCE' }
      const redeemed = await device.call('POST /nonce-redemptions', { body })
      expect(redeemed.status).toBe(200)
      await portal.waitFor(before + 1)
      const sent = portal.received[before]
      const who = { astClientId: device.id, userId: 'jsmith' }
      const { approvalId: tmsId } = redeemed.body
      expect(JSON.parse(sent?.body.toString() ?? '')).toEqual({
        timestamp: createdAt,
        nonce,
        portalSessionId: 'portal-1',
        loginEvent: who,
        tmsEvent: { tmsId, ...who },
      })
      expect(sent?.headers['countersign-signature']).toMatch(/^[\w-]+\.\.[\w-]{86}$/)
      const status = await ast.call(`GET /tms/${tmsId}/status`)
      expect(status.body).toMatchObject({
        status: 'STARTED',
        tmsTimeout: 30,
        astClientIds: [device.id],
      })
      expect((await device.acceptSigned((await device.retrieve(tmsId)).body)).status).toBe(200)
      expect((await ast.call(`GET /tms/${tmsId}/result`)).body).toMatchObject({
        info: { status: 'ACCEPTED', userId: 'jsmith' },
        completedBy: device.id,
      })
    })

    test('names the user as the tenant’s AST callers do', async () => {
      const native = testCaller('acme', ['tenant:write'])
      const update = (userSchemes: string[]) =>
        ast.core.settings.update(native, 'acme', { patch: { ast: { userSchemes } } })
      const other = await ast.addDevice('MMuster')
      await update(['login'])
      const before = portal.received.length
      const { nonce } = (await create()).body
      await other.call('POST /nonce-redemptions', { body: { nonce, action: 'LOGIN_NONCE' } })
      await portal.waitFor(before + 1)
      const { loginEvent } = JSON.parse(portal.received[before]?.body.toString() ?? '')
      expect(loginEvent).toEqual({ astClientId: other.id, userId: 'mmuster' })
      await update(['id', 'external', 'login'])
    })
  })
})
