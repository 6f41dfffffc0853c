import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { defaultSettings } from '#domain/tenants/settings.ts'
import { createPlatformApi, type PlatformApi } from '#test/support/platform-api.ts'

let api: PlatformApi
let admin: string
let reader: string
const path = '/api/v1/tenants/acme/settings'

beforeAll(async () => {
  api = await createPlatformApi({ COUNTERSIGN_OUTBOUND_ALLOW: '127.0.0.0/8' })
  for (const id of ['acme', 'other']) await api.createTenant(id)
  admin = await api.createAccount('acme', ['tenant:write'])
  reader = await api.createAccount('acme', ['tenant:read'])
})
afterAll(() => api[Symbol.asyncDispose]())

describe('getSettings', () => {
  test('200 with all of them, at first the defaults', async () => {
    const { status, body } = await api.call('GET /api/v1/tenants/other/settings')
    expect(status).toBe(200)
    expect(body).toEqual({ ...defaultSettings, updatedAt: '2026-11-21T10:00:00.000Z' })
  })

  test('404 for another tenant, 403 without tenant:read', async () => {
    const foreign = await api.call('GET /api/v1/tenants/other/settings', { as: admin })
    expect(foreign.status).toBe(404)
    const verifier = await api.createAccount('acme', ['verify'])
    expect((await api.call(`GET ${path}`, { as: verifier })).status).toBe(403)
  })
})

describe('updateSettings', () => {
  const patch = (body: unknown, as: string = admin) => api.call(`PATCH ${path}`, { as, body })

  test('200 merged member by member', async () => {
    api.clock.advance(1000)
    const { status, body } = await patch({
      lockout: { tokenMaxFailures: 5, tokenLockSeconds: 900 },
      callbacks: { allowedOrigins: ['https://*.acme.example'] },
    })
    expect(status).toBe(200)
    expect(body).toEqual({
      ...defaultSettings,
      lockout: { ...defaultSettings.lockout, tokenMaxFailures: 5, tokenLockSeconds: 900 },
      callbacks: { allowedOrigins: ['https://*.acme.example'] },
      updatedAt: '2026-11-21T10:00:01.000Z',
    })
    expect((await api.call(`GET ${path}`, { as: reader })).body).toEqual(body)
  })

  test('200 without the callback secret, which is never read back', async () => {
    const callbackSecret = `whsec_${Buffer.alloc(32, 1).toString('base64')}`
    const { status, body } = await patch({ okm: { callbackSecret } })
    expect(status).toBe(200)
    expect(body.okm).toEqual({ auditDestinationUrl: null })
    expect(await api.app.composed.core.settings.callbackSecretOf('acme')).toBe(callbackSecret)
  })

  test.each([
    { ast: { defaultCallbackUrl: 'https://elsewhere.example/' } },
    { okm: { auditDestinationUrl: 'https://10.1.1.1/' } },
    { okm: { auditDestinationUrl: 'http://a.acme.example/' } },
  ])('400 url_not_allowed for %j', async (body) => {
    const reply = await patch(body)
    expect([reply.status, reply.body.code]).toEqual([400, 'url_not_allowed'])
  })

  test('200 for addresses that are allowed, 200 for null', async () => {
    const set = await patch({ ast: { defaultCallbackUrl: 'https://x.acme.example/cb' } })
    expect(set.body.ast.defaultCallbackUrl).toBe('https://x.acme.example/cb')
    const cleared = await patch({ ast: { defaultCallbackUrl: null } })
    expect(cleared.body.ast.defaultCallbackUrl).toBeNull()
  })

  test.each([
    [{}, ''],
    [{ totp: { acceptSteps: 11 } }, '/totp/acceptSteps'],
    [{ totp: { acceptSteps: 1.5 } }, '/totp/acceptSteps'],
    [{ totp: { unknown: 1 } }, '/totp/unknown'],
    [{ unknown: {} }, '/unknown'],
    [{ retention: { auditDays: 7 } }, '/retention/auditDays'],
    [{ okm: { callbackSecret: 'short' } }, '/okm/callbackSecret'],
    [{ callbacks: { allowedOrigins: ['ftp://x'] } }, '/callbacks/allowedOrigins/0'],
  ])('400 for %j, and nothing changes', async (body, pointer) => {
    const before = await api.call(`GET ${path}`, { as: admin })
    const reply = await patch(body)
    expect(reply.status).toBe(400)
    expect(reply.body.errors[0].pointer).toBe(pointer)
    expect((await api.call(`GET ${path}`, { as: admin })).body).toEqual(before.body)
  })

  test('403 for a reader, 404 for another tenant before its body is looked at', async () => {
    expect((await patch({ totp: { acceptSteps: 2 } }, reader)).status).toBe(403)
    const foreign = await api.call('PATCH /api/v1/tenants/other/settings', { as: admin, body: {} })
    expect(foreign.status).toBe(404)
  })
})
