import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createPlatformApi, type Json, type PlatformApi } from '#test/support/platform-api.ts'
import { rfcCodes, rfcSecret } from '#test/support/tokens.ts'

let api: PlatformApi
let relyingParty: string
let helpdesk: string
let stranger: string
let serial: string
let count = 0

beforeAll(async () => {
  api = await createPlatformApi()
  await api.createTenant('acme')
  await api.createTenant('other')
  relyingParty = await api.createAccount('acme', ['verify'])
  helpdesk = await api.createAccount('acme', ['verify', 'tenant:write'])
  stranger = await api.createAccount('other', ['verify', 'tenant:write'])
})
afterAll(() => api[Symbol.asyncDispose]())

beforeEach(async () => {
  serial = `RFC${++count}`
  const user = { id: `user${count}`, loginName: `user${count}` }
  await api.call('POST /api/v1/tenants/acme/users', { as: helpdesk, body: user })
  const body = {
    type: 'HOTP',
    serial,
    secret: { encoding: 'HEX', value: rfcSecret.toString('hex') },
    user: { id: user.id },
  }
  const reply = await api.call('POST /api/v1/tenants/acme/otp-tokens', { as: helpdesk, body })
  expect(reply.status).toBe(201)
})

const verify = async (body: Json, as = relyingParty) =>
  api.call('POST /api/v1/tenants/acme/verify', { as, body })

describe('verifyCode', () => {
  test('200 ACCEPTED with user and token, then REJECTED for the same code', async () => {
    const first = await verify({ token: { serial }, code: rfcCodes[0] })
    expect(first).toMatchObject({
      status: 200,
      body: { result: 'ACCEPTED', userId: `user${count}`, credential: { kind: 'TOKEN', serial } },
    })
    expect(first.headers['cache-control']).toBe('no-store')
    const second = await verify({ token: { serial }, code: rfcCodes[0] })
    expect(second.body).toEqual({ result: 'REJECTED', auditId: expect.any(String) })
  })

  test('200 ACCEPTED for a code of a printed list, beside the token; spent it is spent', async () => {
    const path = 'POST /api/v1/tenants/acme/otp-list'
    const user = { id: `user${count}` }
    const method = `sheet.${count}`
    await api.call(`${path}-methods`, { as: helpdesk, body: { name: method, listSize: 2 } })
    const made = await api.call(`${path}s`, { as: helpdesk, body: { method, user } })
    const [{ list, codes }] = made.body.items
    const request = { user, code: codes[0].otp }
    expect((await verify({ ...request, methods: ['token'] })).body.result).toBe('REJECTED')
    expect((await verify(request)).body).toEqual({
      result: 'ACCEPTED',
      userId: user.id,
      credential: { kind: 'LIST', id: list.id, method, index: '1', remaining: 1, renew: true },
      auditId: expect.any(String),
    })
    expect(
      (await verify({ ...request, methods: [`list:${method}`] }, helpdesk)).body,
    ).toMatchObject({ result: 'REJECTED', reason: 'REPLAYED', attemptsLeft: 4 })
  })

  test('200 tells a relying party nothing about why; a helpdesk everything', async () => {
    const unknown = { user: { id: 'nobody' }, code: '123456' }
    expect((await verify(unknown)).body).toEqual({
      result: 'REJECTED',
      auditId: expect.any(String),
    })
    expect((await verify(unknown, helpdesk)).body).toMatchObject({
      result: 'NO_CREDENTIAL',
      reason: 'USER_UNKNOWN',
    })
    const wrong = { user: { loginName: `USER${count}` }, code: '000000' }
    expect((await verify(wrong)).body).toEqual({ result: 'REJECTED', auditId: expect.any(String) })
    expect((await verify(wrong, helpdesk)).body).toMatchObject({
      result: 'REJECTED',
      reason: 'WRONG_CODE',
      attemptsLeft: 8,
      userId: `user${count}`,
    })
  })

  test('200 LOCKED at the limit of the settings, from the next request on', async () => {
    const settings = { lockout: { tokenMaxFailures: 1, tokenLockSeconds: 30 } }
    await api.call('PATCH /api/v1/tenants/acme/settings', { as: helpdesk, body: settings })
    await verify({ token: { serial }, code: '000000' })
    expect((await verify({ token: { serial }, code: rfcCodes[0] })).body).toEqual({
      result: 'LOCKED',
      retryAfterSeconds: 30,
      auditId: expect.any(String),
    })
    const defaults = { lockout: { tokenMaxFailures: 10, tokenLockSeconds: 0 } }
    await api.call('PATCH /api/v1/tenants/acme/settings', { as: helpdesk, body: defaults })
  })

  test('R4: exactly one of 30 racing requests is ACCEPTED', async () => {
    const replies = await Promise.all(
      Array.from({ length: 30 }, () => verify({ token: { serial }, code: rfcCodes[0] })),
    )
    expect(replies.filter(({ body }) => body.result === 'ACCEPTED')).toHaveLength(1)
    expect(replies.every(({ status }) => status === 200)).toBe(true)
  })

  test('200 the record of the attempt is in the journal, without the code', async () => {
    const { body } = await verify({
      token: { serial },
      code: rfcCodes[1],
      context: { application: 'VPN', address: '192.0.2.10' },
    })
    await api.app.composed.sealer.sealTenant('acme')
    const page = await api.call(`GET /api/v1/tenants/acme/audit/records?id=${body.auditId}`)
    expect(page.body.items).toMatchObject([
      {
        action: 'verification.attempted',
        outcome: 'SUCCESS',
        userId: `user${count}`,
        detail: { result: 'ACCEPTED', application: 'VPN', clientAddress: '192.0.2.10' },
      },
    ])
    expect(JSON.stringify(page.body)).not.toContain(rfcCodes[1])
  })

  test('401, 403, 404 in this order, and nothing is counted', async () => {
    const body = { token: { serial }, code: '000000' }
    const target = 'POST /api/v1/tenants/acme/verify'
    expect(await api.call(target, { as: null, body })).toMatchObject({ status: 401 })
    const reader = await api.createAccount('acme', ['tenant:read'])
    expect(await api.call(target, { as: reader, body })).toMatchObject({ status: 403 })
    expect(await api.call(target, { as: stranger, body })).toMatchObject({ status: 404 })
    expect((await verify({ token: { serial }, code: '000001' }, helpdesk)).body).toMatchObject({
      attemptsLeft: 9,
    })
  })

  test('400 for what the contract does not know, with the place and without the value', async () => {
    const reply = await verify({ token: { serial }, code: '755224', colour: 'red' })
    expect(reply).toMatchObject({
      status: 400,
      body: { code: 'validation_failed', errors: [{ pointer: '/colour', code: 'unknown_member' }] },
    })
    expect(await verify({ code: '755224' })).toMatchObject({ status: 400 })
    expect(
      await verify(`{"token":{"serial":"${serial}"},"code":"755224","code":"1"}`),
    ).toMatchObject({
      status: 400,
      body: { code: 'malformed_body' },
    })
    expect(JSON.stringify(reply.body)).not.toContain('755224')
    expect((await verify({ token: { serial }, code: rfcCodes[0] })).body.result).toBe('ACCEPTED')
  })
})
