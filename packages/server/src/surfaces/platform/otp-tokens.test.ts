import { parseOtpauth } from '@countersign/protocol/otp/otpauth.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Caller } from '#domain/callers/caller.ts'
import { ResyncService } from '#domain/verification/resync-service.ts'
import {
  createTokenBench,
  rfcSecretHex,
  type TokenBench,
  tenantId,
} from '#test/support/otp-tokens.ts'
import { type PlatformEndpoints, servePlatformEndpoints } from '#test/support/platform-endpoints.ts'
import type { Schemas } from './contract.gen.ts'
import * as endpoints from './otp-tokens.ts'

let bench: TokenBench
let served: PlatformEndpoints

beforeAll(async () => {
  bench = await createTokenBench()
  const callers = new Map<string, Caller>([
    ['admin', bench.admin],
    ['reader', bench.reader],
    ['stranger', bench.stranger],
  ])
  const { tokens: otpTokens, enrolments: enrolment, assignments, imports, exports } = bench
  const { storage, vault, clock, settings: policies } = bench.core
  const resync = new ResyncService({ storage, vault, clock, policies })
  served = await servePlatformEndpoints({
    test: bench.core,
    core: { otpTokens, enrolment, assignments, imports, exports, resync },
    operations: endpoints,
    callers,
  })
})
afterAll(async () => {
  await served[Symbol.asyncDispose]()
  await bench[Symbol.asyncDispose]()
})

type Method = 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE'

const root = `/api/v1/tenants/${tenantId}/otp-tokens`
const callAs = (who: string) => (method: Method, path: string, body?: unknown) =>
  served.call(who, method, `${root}${path}`, body)
const call = callAs('admin')
const asReader = callAs('reader')
const asStranger = callAs('stranger')

const now = '2026-11-21T10:00:00.000Z'
const secret = { encoding: 'HEX', value: rfcSecretHex }

/** A HOTP token with the secret of RFC 4226. */
async function newToken(draft: object = {}): Promise<Schemas['OtpToken']> {
  const { body } = await call('POST', '', { type: 'HOTP', secret, ...draft })
  return body.token as Schemas['OtpToken']
}

const missingToken = '/01M7YRRT80W6YXCRNKT3KKMRE1'

describe('createOtpToken', () => {
  test('201 with the token, its path, and the secret once', async () => {
    const { status, headers, body } = await call('POST', '', {
      type: 'TOTP',
      digits: 8,
      period: 60,
      algorithm: 'SHA256',
      secret,
      serial: 'A 1'.replace(' ', '/'),
      description: 'spare',
      user: { loginName: 'JSmith@example.com' },
      pin: '1234',
      issuer: 'Acme',
    })
    expect(status).toBe(201)
    const { token, provisioning } = body as unknown as Required<Schemas['OtpTokenCreated']>
    expect(headers.location).toBe(`${root}/${token.id}`)
    expect(headers['cache-control']).toBe('no-store')
    expect(token).toEqual({
      id: expect.any(String),
      serial: 'A/1',
      product: { manufacturerCode: 'CS', productCode: 'TOTP' },
      type: 'TOTP',
      algorithm: 'SHA256',
      digits: 8,
      period: 60,
      counter: null,
      driftSteps: 0,
      status: 'ACTIVE',
      description: 'spare',
      origin: 'PROVIDED',
      confined: false,
      assignments: [
        {
          userId: 'jsmith',
          isOwner: true,
          status: 'ACTIVE',
          hasPin: true,
          failureCount: 0,
          lockedUntil: null,
          startsAt: null,
          expiresAt: null,
          usageLimit: 0,
          priority: 0,
          createdAt: now,
          updatedAt: now,
        },
      ],
      createdAt: now,
      updatedAt: now,
    })
    expect(parseOtpauth(provisioning.otpauthUri)).toMatchObject({
      issuer: 'Acme',
      account: 'jsmith@example.com',
      digits: 8,
      period: 60,
      algorithm: 'SHA256',
    })
    const png = Buffer.from(provisioning.qrPng, 'base64')
    expect(png.subarray(1, 4).toString()).toBe('PNG')
    const seen = await asReader('GET', `/${token.id}`)
    expect(seen.text).not.toContain(provisioning.secretBase32)
  })

  test('400 for what the contract or the product does not allow, with the places', async () => {
    const product = { manufacturerCode: 'DN', productCode: 'MT' }
    for (const [body, pointer] of [
      [{ digits: 5 }, '/digits'],
      [{ pin: '1234' }, '/user'],
      [{ type: 'HOTP', period: 30 }, '/period'],
      [{ type: 'TOTP', counter: 1 }, '/counter'],
      [{ product, digits: 8 }, '/digits'],
      [{ secret: { encoding: 'HEX', value: 'zz'.repeat(20) } }, '/secret/value'],
      [{ issuer: 'a:b' }, '/issuer'],
      [{ other: 1 }, '/other'],
    ] as const) {
      const reply = await call('POST', '', body)
      expect(reply.status).toBe(400)
      expect(reply.body).toMatchObject({ code: 'validation_failed', errors: [{ pointer }] })
    }
  })

  test('400 reference_not_found, 409 already_exists, 403, 404', async () => {
    expect((await call('POST', '', { user: { id: 'nobody' } })).body).toMatchObject({
      code: 'reference_not_found',
      errors: [{ pointer: '/user', code: 'not_found' }],
    })
    await newToken({ serial: 'taken' })
    const again = await call('POST', '', { type: 'HOTP', secret, serial: 'taken' })
    expect([again.status, again.body.code]).toEqual([409, 'already_exists'])
    expect((await asReader('POST', '', {})).status).toBe(403)
    expect((await asStranger('POST', '', {})).status).toBe(404)
  })
})

describe('listOtpTokens', () => {
  test('200 in pages and by filters', async () => {
    const { id } = await newToken({ serial: 'listed', user: { id: 'mjones' } })
    const byUser = await asReader('GET', '?userId=mjones&type=HOTP&status=ACTIVE&assigned=true')
    expect(byUser.body.items.map((item) => item.id)).toEqual([id])
    expect((await asReader('GET', '?serial=listed')).body.items).toHaveLength(1)
    const first = await asReader('GET', '?limit=1')
    const cursor = String(first.body.nextCursor)
    const second = await asReader('GET', `?limit=1&cursor=${cursor}`)
    expect(second.body.items[0]?.id).not.toBe(first.body.items[0]?.id)
    expect((await asReader('GET', `?limit=1&type=TOTP&cursor=${cursor}`)).body).toMatchObject({
      code: 'cursor_invalid',
    })
  })

  test('400 for filters that the contract does not have, 404 for another tenant', async () => {
    expect((await asReader('GET', '?status=GONE')).status).toBe(400)
    expect((await asStranger('GET', '')).status).toBe(404)
  })
})

describe('importOtpTokens', () => {
  const product = { manufacturerCode: 'DN', productCode: 'ST' }
  const csv = (...rows: string[]) => ['serial number,secret key', ...rows].join('\n')
  const file = (...rows: string[]) => ({ data: csv(...rows), encoding: 'HEX', product })

  test('200 with a verdict per entry; nothing stored in a dry run', async () => {
    const body = file(`I1,${rfcSecretHex}`, 'I2,31')
    const dry = await call('POST', '/import', { ...body, dryRun: true })
    expect(dry.status).toBe(200)
    expect(dry.body).toEqual({
      dryRun: true,
      format: 'CSV',
      total: 2,
      imported: 1,
      skipped: 0,
      failed: 1,
      entries: [
        { index: 1, serial: 'I1', result: 'IMPORTED' },
        {
          index: 2,
          serial: 'I2',
          result: 'FAILED',
          code: 'bad_secret',
          message: expect.any(String),
        },
      ],
    })
    const done = await call('POST', '/import', file(`I1,${rfcSecretHex}`))
    expect(done.body).toMatchObject({ imported: 1, entries: [{ tokenId: expect.any(String) }] })
    const skipping = { ...file(`I1,${rfcSecretHex}`), duplicates: 'SKIP' }
    expect((await call('POST', '/import', skipping)).body).toMatchObject({ skipped: 1 })
  })

  test('400 import_rejected with one error for each bad entry', async () => {
    const reply = await call(
      'POST',
      '/import',
      file('J1,31', `J2,${rfcSecretHex}`, `I1,${rfcSecretHex}`),
    )
    expect(reply.status).toBe(400)
    expect(reply.body).toMatchObject({
      code: 'import_rejected',
      errors: [
        { pointer: '/data', code: 'bad_secret', index: 1 },
        { pointer: '/data', code: 'duplicate', index: 3 },
      ],
    })
    expect((await asReader('GET', '?serial=J2')).body.items).toEqual([])
    const unknown = await call('POST', '/import', { data: '<html/>', product })
    expect(unknown.body).toMatchObject({ code: 'import_rejected' })
    const unnamed = await call('POST', '/import', {
      data: csv(`J3,${rfcSecretHex}`),
      encoding: 'HEX',
    })
    expect(unnamed.body).toMatchObject({
      code: 'validation_failed',
      errors: [{ pointer: '/product', code: 'required' }],
    })
    expect((await asReader('POST', '/import', file())).status).toBe(403)
  })
})

describe('exportOtpTokens', () => {
  const product = { manufacturerCode: 'DN', productCode: 'ME' }
  const password = 'correct horse battery staple'

  test('200 with an encrypted PSKC file, and how many tokens are not in it', async () => {
    const { id, serial } = await newToken({ product })
    const data = `serial number,secret key\nE1,${rfcSecretHex}`
    await call('POST', '/import', { data, encoding: 'HEX', product })
    const reply = await call('POST', '/export', { product, password })
    expect(reply.status).toBe(200)
    expect(reply.headers).toMatchObject({
      'content-type': 'application/pskc+xml',
      'cache-control': 'no-store',
      'countersign-omitted': '1',
    })
    expect(reply.text).toMatch(/^<\?xml .*<KeyContainer .*<\/KeyContainer>\s*$/s)
    expect(reply.text).toContain(`<SerialNo>${serial}</SerialNo>`)
    const imported = await served.call(
      'stranger',
      'POST',
      '/api/v1/tenants/other/otp-tokens/import',
      {
        data: reply.text,
        product,
        password,
      },
    )
    expect(imported.body).toMatchObject({ format: 'PSKC', imported: 1 })
    const one = await call('POST', '/export', { tokenIds: [id], key: '00'.repeat(32) })
    expect(one.headers['countersign-omitted']).toBe('0')
  })

  test('400 without encryption or with two kinds, 400 for a token that is not there, 403', async () => {
    for (const body of [
      { product },
      { password },
      { product, password, key: '00'.repeat(16) },
      { product, password: 'short' },
      { tokenIds: [], password },
    ]) {
      const reply = await call('POST', '/export', body)
      expect([reply.status, reply.body.code]).toEqual([400, 'validation_failed'])
    }
    const missing = { tokenIds: [missingToken.slice(1)], password }
    expect((await call('POST', '/export', missing)).body).toMatchObject({
      code: 'reference_not_found',
      errors: [{ pointer: '/tokenIds' }],
    })
    expect((await asReader('POST', '/export', { product, password })).status).toBe(403)
  })
})

describe('getOtpToken', () => {
  test('200, 404 for another tenant’s and for what is no id', async () => {
    const token = await newToken()
    expect((await asReader('GET', `/${token.id}`)).body).toEqual(token)
    expect((await asReader('GET', missingToken)).status).toBe(404)
    expect((await asReader('GET', '/nonsense')).status).toBe(404)
    expect((await asStranger('GET', `/${token.id}`)).status).toBe(404)
    const foreign = `/api/v1/tenants/other/otp-tokens/${token.id}`
    expect((await served.call('stranger', 'GET', foreign)).status).toBe(404)
  })
})

describe('updateOtpToken', () => {
  test('200 with the change, 409 state_conflict out of DECEASED', async () => {
    const { id } = await newToken()
    expect(
      (await call('PATCH', `/${id}`, { status: 'DISABLED', description: 'x' })).body,
    ).toMatchObject({
      status: 'DISABLED',
      description: 'x',
    })
    expect((await call('PATCH', `/${id}`, { description: null })).body.description).toBeNull()
    await call('PATCH', `/${id}`, { status: 'DECEASED' })
    const back = await call('PATCH', `/${id}`, { status: 'ACTIVE' })
    expect([back.status, back.body.code]).toEqual([409, 'state_conflict'])
  })

  test('400 for nothing or for unknown members, 403, 404', async () => {
    const { id } = await newToken()
    expect((await call('PATCH', `/${id}`, {})).status).toBe(400)
    expect((await call('PATCH', `/${id}`, { serial: 'x' })).status).toBe(400)
    expect((await asReader('PATCH', `/${id}`, { status: 'DISABLED' })).status).toBe(403)
    expect((await call('PATCH', missingToken, { status: 'DISABLED' })).status).toBe(404)
  })
})

describe('deleteOtpToken', () => {
  test('204, then 404', async () => {
    const { id } = await newToken({ user: { id: 'jsmith' } })
    expect((await asReader('DELETE', `/${id}`)).status).toBe(403)
    expect((await call('DELETE', `/${id}`)).status).toBe(204)
    expect((await call('DELETE', `/${id}`)).status).toBe(404)
    expect((await asReader('GET', `/${id}`)).status).toBe(404)
  })
})

describe('resyncOtpToken', () => {
  // RFC 4226 appendix D: counters 7 and 8.
  const codes = ['162583', '399871']

  test('200 SYNCHRONISED moves the counter behind the second code, and the pair is spent', async () => {
    const { id } = await newToken()
    expect((await call('POST', `/${id}/resync`, { codes })).body).toMatchObject({
      result: 'SYNCHRONISED',
      token: { id, counter: 9 },
    })
    expect((await call('POST', `/${id}/resync`, { codes })).body).toMatchObject({
      result: 'FAILED',
      token: { counter: 9 },
    })
  })

  test('400 for one code, 409 for a token that is not ACTIVE, 403, 404', async () => {
    const { id } = await newToken()
    expect((await call('POST', `/${id}/resync`, { codes: ['162583'] })).status).toBe(400)
    expect((await asReader('POST', `/${id}/resync`, { codes })).status).toBe(403)
    expect((await call('POST', `${missingToken}/resync`, { codes })).status).toBe(404)
    await call('PATCH', `/${id}`, { status: 'DISABLED' })
    expect((await call('POST', `/${id}/resync`, { codes })).body.code).toBe('state_conflict')
  })
})

describe('resetOtpToken', () => {
  test('200 with the counter, 409 when DECEASED, 400 for a counter that a TOTP token cannot have', async () => {
    const { id } = await newToken({ counter: 5 })
    expect((await call('POST', `/${id}/reset`, { counter: 9 })).body.counter).toBe(9)
    expect((await call('POST', `/${id}/reset`, {})).body.counter).toBe(0)
    await call('PATCH', `/${id}`, { status: 'DECEASED' })
    expect((await call('POST', `/${id}/reset`, {})).status).toBe(409)
    const totp = await newToken({ type: 'TOTP' })
    expect((await call('POST', `/${totp.id}/reset`, { counter: 1 })).body).toMatchObject({
      code: 'validation_failed',
      errors: [{ pointer: '/counter' }],
    })
    expect((await call('POST', `/${totp.id}/reset`, { counter: 0 })).status).toBe(200)
    expect((await asReader('POST', `/${totp.id}/reset`, {})).status).toBe(403)
  })
})

describe('assignOtpToken', () => {
  test('201 with the assignment and its path', async () => {
    const { id } = await newToken()
    const { status, headers, body } = await call('POST', `/${id}/assignments`, {
      user: { id: 'jsmith' },
      pin: '1234',
      startsAt: '2026-11-21T10:00:00.123456789Z',
      expiresAt: null,
      usageLimit: 3,
      priority: 7,
    })
    expect(status).toBe(201)
    expect(headers.location).toBe(`${root}/${id}/assignments/jsmith`)
    expect(body).toMatchObject({
      userId: 'jsmith',
      hasPin: true,
      startsAt: '2026-11-21T10:00:00.123Z',
      expiresAt: null,
      usageLimit: 3,
      priority: 7,
    })
  })

  test('409 when assigned already, owned by another, or not ACTIVE; 201 when shared', async () => {
    const { id } = await newToken({ user: { id: 'jsmith' } })
    const assign = (body: object) => call('POST', `/${id}/assignments`, body)
    expect((await assign({ user: { id: 'jsmith' } })).body.code).toBe('already_exists')
    expect((await assign({ user: { id: 'mjones' } })).body.code).toBe('state_conflict')
    expect((await assign({ user: { id: 'mjones' }, shared: true })).status).toBe(201)
    await call('PATCH', `/${id}`, { status: 'DISABLED' })
    expect((await assign({ user: { id: 'mjones' } })).body.code).toBe('state_conflict')
  })

  test('400 for a user who is not there and for a moment that is none, 404 for a token that is not', async () => {
    const { id } = await newToken()
    expect(
      (await call('POST', `/${id}/assignments`, { user: { id: 'nobody' } })).body,
    ).toMatchObject({
      code: 'reference_not_found',
      errors: [{ pointer: '/user' }],
    })
    const leap = { user: { id: 'jsmith' }, startsAt: '2016-12-31T23:59:60Z' }
    expect((await call('POST', `/${id}/assignments`, leap)).status).toBe(400)
    const user = { user: { id: 'jsmith' } }
    expect((await call('POST', `${missingToken}/assignments`, user)).status).toBe(404)
    expect((await asReader('POST', `/${id}/assignments`, user)).status).toBe(403)
  })
})

describe('updateOtpTokenAssignment', () => {
  test('200 with what was changed, 404 where there is none', async () => {
    const { id } = await newToken({ user: { id: 'jsmith' } })
    const path = `/${id}/assignments/jsmith`
    expect((await call('PATCH', path, { status: 'INACTIVE', priority: 10 })).body).toMatchObject({
      status: 'INACTIVE',
      priority: 10,
    })
    expect((await call('PATCH', path, { status: 'LOCKED' })).status).toBe(400)
    expect((await call('PATCH', path, {})).status).toBe(400)
    expect((await call('PATCH', `/${id}/assignments/mjones`, { priority: 1 })).status).toBe(404)
    expect((await asReader('PATCH', path, { priority: 1 })).status).toBe(403)
  })
})

describe('unassignOtpToken', () => {
  test('204, then 404', async () => {
    const { id } = await newToken({ user: { id: 'jsmith' } })
    const path = `/${id}/assignments/jsmith`
    expect((await asReader('DELETE', path)).status).toBe(403)
    expect((await call('DELETE', path)).status).toBe(204)
    expect((await call('DELETE', path)).status).toBe(404)
    expect((await asReader('GET', `/${id}`)).body.assignments).toEqual([])
  })
})

describe('setOtpTokenPin', () => {
  test('204, and only that there is one can be read', async () => {
    const { id } = await newToken({ user: { id: 'jsmith' } })
    const path = `/${id}/assignments/jsmith/pin`
    expect((await call('PUT', path, { pin: '4711' })).status).toBe(204)
    const seen = await asReader('GET', `/${id}`)
    expect(seen.body.assignments).toMatchObject([{ hasPin: true }])
    expect(seen.text).not.toMatch(/4711|argon2/)
    const bad = await call('PUT', path, { pin: '123' })
    expect(bad.status).toBe(400)
    expect(bad.text).not.toContain('123"')
    expect((await call('PUT', `/${id}/assignments/mjones/pin`, { pin: '4711' })).status).toBe(404)
    expect((await asReader('PUT', path, { pin: '4711' })).status).toBe(403)
  })
})

describe('clearOtpTokenPin', () => {
  test('204 whether there is one or not', async () => {
    const { id } = await newToken({ user: { id: 'jsmith' }, pin: '4711' })
    const path = `/${id}/assignments/jsmith/pin`
    expect((await call('DELETE', path)).status).toBe(204)
    expect((await call('DELETE', path)).status).toBe(204)
    expect((await asReader('GET', `/${id}`)).body.assignments).toMatchObject([{ hasPin: false }])
    expect((await call('DELETE', `/${id}/assignments/mjones/pin`)).status).toBe(404)
    expect((await asReader('DELETE', path)).status).toBe(403)
  })
})

describe('lockOtpTokenAssignment', () => {
  test('200 LOCKED until unlocked, 409 when it is not ACTIVE', async () => {
    const { id } = await newToken({ user: { id: 'jsmith' } })
    const path = `/${id}/assignments/jsmith/lock`
    expect((await call('POST', path, { reason: 'reported lost' })).body).toMatchObject({
      status: 'LOCKED',
      lockedUntil: null,
    })
    expect((await call('POST', path, {})).status).toBe(200)
    await call('PATCH', `/${id}/assignments/jsmith`, { status: 'DISABLED' })
    const refused = await call('POST', path, {})
    expect([refused.status, refused.body.code]).toEqual([409, 'state_conflict'])
    expect((await asReader('POST', path, {})).status).toBe(403)
    expect((await call('POST', `/${id}/assignments/mjones/lock`, {})).status).toBe(404)
  })
})

describe('unlockOtpTokenAssignment', () => {
  test('200 ACTIVE without failures', async () => {
    const { id } = await newToken({ user: { id: 'jsmith' } })
    await bench.lockForFailures({ tokenId: id, userId: 'jsmith', untilMs: null })
    const path = `/${id}/assignments/jsmith/unlock`
    expect((await asReader('POST', path)).status).toBe(403)
    expect((await call('POST', path)).body).toMatchObject({ status: 'ACTIVE', failureCount: 0 })
    expect((await call('POST', `/${id}/assignments/mjones/unlock`)).status).toBe(404)
  })
})
