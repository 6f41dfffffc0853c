import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { basic, createPlatformApi, type PlatformApi } from '#test/support/platform-api.ts'

let api: PlatformApi
let acme: string
let other: string

beforeAll(async () => {
  api = await createPlatformApi()
  for (const id of ['acme', 'other']) await api.createTenant(id)
  acme = await api.createAccount('acme', ['tenant:write'], 'acme-admin')
  other = await api.createAccount('other', ['tenant:write'])
})
afterAll(() => api[Symbol.asyncDispose]())

const now = '2026-11-21T10:00:00.000Z'
const path = '/api/v1/service-accounts'

const create = (body: object, as: string = acme, headers: Record<string, string> = {}) =>
  api.call(`POST ${path}`, { as, body, headers })
const whoAmI = (as: string) => api.call('GET /api/v1/tenants/acme', { as })

describe('createServiceAccount', () => {
  test('201 with the account and its secret, not to be stored', async () => {
    const { status, headers, body } = await create({
      id: 'vpn-gateway',
      description: 'VPN gateway',
      scopes: ['verify', 'tenant:read'],
      expiresAt: '2027-01-01T00:00:00.123456789Z',
      allowedAddresses: ['127.0.0.0/8'],
      certificateThumbprints: ['ab'.repeat(32)],
    })
    expect(status).toBe(201)
    expect(headers['cache-control']).toBe('no-store')
    expect(headers.location).toBe(`${path}/vpn-gateway`)
    expect(body.secret).toMatch(/^csk_[A-Za-z0-9_-]{43}$/)
    expect(body.serviceAccount).toEqual({
      id: 'vpn-gateway',
      tenantId: 'acme',
      description: 'VPN gateway',
      scopes: ['verify', 'tenant:read'],
      enabled: true,
      expiresAt: '2027-01-01T00:00:00.123Z',
      allowedAddresses: ['127.0.0.0/8'],
      certificateThumbprints: ['ab'.repeat(32)],
      createdAt: now,
      updatedAt: now,
      secretRotatedAt: now,
      lastUsedAt: null,
    })
    expect((await whoAmI(body.secret)).status).toBe(200)
  })

  test('201 again for the same Idempotency-Key, without the secret, and one account', async () => {
    const send = () => create({ scopes: ['verify'] }, acme, { 'idempotency-key': 'account-1' })
    const [first, second] = [await send(), await send()]
    expect(second.status).toBe(201)
    expect(second.headers['idempotency-replayed']).toBe('true')
    expect(second.body).toEqual({ serviceAccount: first.body.serviceAccount })
  })

  test('201 of the platform for a platform administrator, 403 not_grantable for others', async () => {
    const draft = { tenantId: null, scopes: ['firmware:write'] }
    expect((await create(draft, api.adminSecret)).body.serviceAccount.tenantId).toBeNull()
    const refused = await create(draft)
    expect([refused.status, refused.body.code]).toEqual([403, 'not_grantable'])
  })

  test('403 not_grantable for scopes of the platform in a tenant', async () => {
    for (const scope of ['platform:admin', 'firmware:write']) {
      const { status, body } = await create({ scopes: ['verify', scope] })
      expect([status, body.code]).toEqual([403, 'not_grantable'])
    }
  })

  test('400 reference_not_found for a tenant that is not there for the caller', async () => {
    for (const [as, tenantId] of [
      [acme, 'other'],
      [acme, 'missing'],
      [api.adminSecret, 'missing'],
    ] as const) {
      const { status, body } = await create({ tenantId, scopes: ['verify'] }, as)
      expect(status).toBe(400)
      expect(body).toMatchObject({
        code: 'reference_not_found',
        errors: [{ pointer: '/tenantId', code: 'not_found' }],
      })
    }
  })

  test('409 already_exists for an id of any tenant, and for a certificate', async () => {
    await create({ id: 'taken', scopes: ['verify'], certificateThumbprints: ['cd'.repeat(32)] })
    for (const draft of [
      { id: 'taken', scopes: ['verify'] },
      { id: 'bootstrap', scopes: ['verify'] },
      { scopes: ['verify'], certificateThumbprints: ['cd'.repeat(32)] },
    ]) {
      const { status, body } = await create(draft, other)
      expect([status, body.code]).toEqual([409, 'already_exists'])
    }
  })

  test.each([
    [{}, '/scopes', 'required'],
    [{ scopes: [] }, '/scopes', 'out_of_range'],
    [{ scopes: ['verify', 'verify'] }, '/scopes', 'not_unique'],
    [{ scopes: ['verify'], allowedAddresses: ['300.1.1.1'] }, '/allowedAddresses/0', 'bad_format'],
    [{ scopes: ['verify'], allowedAddresses: ['10.0.0.1/8'] }, '/allowedAddresses/0', 'bad_format'],
    [{ scopes: ['verify'], expiresAt: '2026-12-31T23:59:60Z' }, '/expiresAt', 'bad_format'],
    [{ scopes: ['verify'], expiresAt: '2026-02-30T00:00:00Z' }, '/expiresAt', 'bad_format'],
    [{ scopes: ['verify'], secret: 'mine' }, '/secret', 'unknown_member'],
  ])('400 for %j', async (draft, pointer, code) => {
    const { status, body } = await create(draft)
    expect(status).toBe(400)
    expect(body).toMatchObject({ code: 'validation_failed', errors: [{ pointer, code }] })
  })
})

describe('listServiceAccounts', () => {
  test('200 of the own tenant only, in pages; all for the platform', async () => {
    const all: { id: string; tenantId: string | null }[] = []
    let cursor = ''
    do {
      const { body } = await api.call(`GET ${path}?limit=3${cursor}`, { as: acme })
      all.push(...body.items)
      cursor = body.nextCursor === undefined ? '' : `&cursor=${body.nextCursor}`
    } while (cursor !== '')
    expect(all.length).toBeGreaterThan(3)
    expect(all.every(({ tenantId }) => tenantId === 'acme')).toBe(true)
    expect(all[0]?.id).toBe('acme-admin')

    const { body } = await api.call(`GET ${path}?limit=200`)
    const tenants = new Set(body.items.map(({ tenantId }: { tenantId: string }) => tenantId))
    expect(tenants).toEqual(new Set([null, 'acme', 'other']))
    const filtered = await api.call(`GET ${path}?tenantId=other&enabled=true`)
    expect(filtered.body.items).toHaveLength(1)
    const foreign = await api.call(`GET ${path}?tenantId=other`, { as: acme })
    expect(foreign.body).toEqual({ items: [] })
  })

  test('400 for a cursor of other filters', async () => {
    const { body } = await api.call(`GET ${path}?limit=1`, { as: acme })
    const reply = await api.call(`GET ${path}?limit=1&enabled=true&cursor=${body.nextCursor}`, {
      as: acme,
    })
    expect([reply.status, reply.body.code]).toEqual([400, 'cursor_invalid'])
  })
})

describe('getServiceAccount', () => {
  test('200 for the own tenant, 404 for others and for those of the platform', async () => {
    expect((await api.call(`GET ${path}/acme-admin`, { as: acme })).body.id).toBe('acme-admin')
    for (const id of ['bootstrap', 'missing', 'a%2Fb']) {
      expect((await api.call(`GET ${path}/${id}`, { as: acme })).status).toBe(404)
    }
    expect((await api.call(`GET ${path}/acme-admin`, { as: other })).status).toBe(404)
    expect((await api.call(`GET ${path}/bootstrap`)).status).toBe(200)
  })
})

describe('updateServiceAccount', () => {
  test('200 and holds from the next request on, for access tokens too', async () => {
    const secret = await api.createAccount('acme', ['tenant:read'], 'updated')
    const issued = await api.call('POST /oauth2/token', {
      as: null,
      headers: basic('updated', secret),
      form: { grant_type: 'client_credentials' },
    })
    const token = issued.body.access_token
    expect((await whoAmI(token)).status).toBe(200)
    const { status, body } = await api.call(`PATCH ${path}/updated`, {
      as: acme,
      body: { scopes: ['verify'], description: 'less', expiresAt: '2030-01-01T00:00:00Z' },
    })
    expect(status).toBe(200)
    expect(body).toMatchObject({
      scopes: ['verify'],
      description: 'less',
      expiresAt: '2030-01-01T00:00:00.000Z',
    })
    expect((await whoAmI(token)).status).toBe(403)
    await api.call(`PATCH ${path}/updated`, { as: acme, body: { enabled: false } })
    expect((await whoAmI(token)).status).toBe(401)
    expect((await whoAmI(secret)).status).toBe(401)
    const cleared = await api.call(`PATCH ${path}/updated`, { body: { expiresAt: null } })
    expect(cleared.body.expiresAt).toBeNull()
  })

  test('409 state_conflict for the last platform administrator', async () => {
    for (const body of [
      { enabled: false },
      { scopes: ['tenant:read'] },
      { expiresAt: '2020-01-01T00:00:00Z' },
    ]) {
      const reply = await api.call(`PATCH ${path}/bootstrap`, { body })
      expect([reply.status, reply.body.code]).toEqual([409, 'state_conflict'])
    }
  })

  test('403 not_grantable, 404 for another tenant, 400 for an empty change', async () => {
    const grant = await api.call(`PATCH ${path}/acme-admin`, {
      as: acme,
      body: { scopes: ['platform:admin'] },
    })
    expect([grant.status, grant.body.code]).toEqual([403, 'not_grantable'])
    const foreign = await api.call(`PATCH ${path}/acme-admin`, {
      as: other,
      body: { enabled: false },
    })
    expect(foreign.status).toBe(404)
    expect((await api.call(`PATCH ${path}/acme-admin`, { as: acme, body: {} })).status).toBe(400)
  })
})

describe('deleteServiceAccount', () => {
  test('204, then its secret is 401 and the account 404', async () => {
    const secret = await api.createAccount('acme', ['tenant:read'], 'short-lived')
    expect((await api.call(`DELETE ${path}/short-lived`, { as: other })).status).toBe(404)
    expect((await api.call(`DELETE ${path}/short-lived`, { as: acme })).status).toBe(204)
    expect((await whoAmI(secret)).status).toBe(401)
    expect((await api.call(`DELETE ${path}/short-lived`, { as: acme })).status).toBe(404)
  })

  test('409 state_conflict for the last platform administrator', async () => {
    const { status, body } = await api.call(`DELETE ${path}/bootstrap`)
    expect([status, body.code]).toEqual([409, 'state_conflict'])
  })
})

describe('rotateServiceAccountSecret', () => {
  const rotate = (id: string, body: object = {}, headers: Record<string, string> = {}) =>
    api.call(`POST ${path}/${id}/rotate-secret`, { as: acme, body, headers })

  test('200 with another secret; the old one is 401 at once', async () => {
    const old = await api.createAccount('acme', ['tenant:read'], 'rotating')
    const { status, headers, body } = await rotate('rotating')
    expect(status).toBe(200)
    expect(headers['cache-control']).toBe('no-store')
    expect((await whoAmI(old)).status).toBe(401)
    expect((await whoAmI(body.secret)).status).toBe(200)
  })

  test('200 with grace keeps the old one for so long', async () => {
    const old = await api.createAccount('acme', ['tenant:read'], 'graceful')
    const { body } = await rotate('graceful', { graceSeconds: 60 })
    expect((await whoAmI(old)).status).toBe(200)
    api.clock.advance(60_000)
    expect((await whoAmI(old)).status).toBe(401)
    expect((await whoAmI(body.secret)).status).toBe(200)
  })

  test('200 again for the same Idempotency-Key, without the secret, and one rotation', async () => {
    await api.createAccount('acme', ['tenant:read'], 'rotated-once')
    const first = await rotate('rotated-once', {}, { 'idempotency-key': 'r1' })
    const second = await rotate('rotated-once', {}, { 'idempotency-key': 'r1' })
    expect(second.body).toEqual({ serviceAccount: first.body.serviceAccount })
    expect((await whoAmI(first.body.secret)).status).toBe(200)
  })

  test('404 for another tenant, 400 for a grace beyond a day', async () => {
    const foreign = await api.call(`POST ${path}/acme-admin/rotate-secret`, { as: other, body: {} })
    expect(foreign.status).toBe(404)
    expect((await rotate('acme-admin', { graceSeconds: 86_401 })).status).toBe(400)
  })
})

describe('credentials over HTTP', () => {
  test('secret as bearer, X-Api-Key and Basic; two principals are 401', async () => {
    const one = await api.createAccount('acme', ['tenant:read'], 'cred-one')
    const two = await api.createAccount('acme', ['tenant:read'], 'cred-two')
    const get = (headers: Record<string, string>) =>
      api.call('GET /api/v1/tenants/acme', { as: null, headers })
    for (const headers of [
      { authorization: `Bearer ${one}` },
      { authorization: `bearer  ${one}` },
      { 'x-api-key': one },
      basic('cred-one', one),
      { ...basic('cred-one', one), 'x-api-key': one },
    ]) {
      expect((await get(headers)).status).toBe(200)
    }
    for (const headers of [
      { ...basic('cred-one', one), 'x-api-key': two },
      { authorization: `Bearer ${one}`, 'x-api-key': two },
      { authorization: `Bearer ${one}`, 'x-api-key': '' },
      basic('cred-two', one),
      { authorization: one },
      { authorization: `Digest ${one}` },
      { authorization: 'Bearer' },
      { authorization: `Bearer ${one} ${one}` },
      { authorization: `Bearer ${one}, Bearer ${two}` },
      { authorization: 'Basic !!!' },
      { authorization: `Basic ${Buffer.from('no colon').toString('base64')}` },
      { authorization: `Bearer ${'x'.repeat(10_240)}` },
    ]) {
      const { status, body } = await get(headers)
      expect([status, body.code]).toEqual([401, 'unauthenticated'])
    }
  })

  test('401 when a credential header comes twice, even with the same value', async () => {
    const secret = await api.createAccount('acme', ['tenant:read'], 'cred-twice')
    const statusOf = async (headers: readonly string[]) => {
      const sent = request(`${api.origin}/api/v1/tenants/acme`, {
        headers: ['Host', 'countersign.test', ...headers],
      }).end()
      const [response] = (await once(sent, 'response')) as [IncomingMessage]
      response.resume()
      return response.statusCode
    }
    const bearer = ['Authorization', `Bearer ${secret}`]
    expect(await statusOf(bearer)).toBe(200)
    for (const headers of [
      [...bearer, ...bearer],
      [...bearer, 'Authorization', 'Bearer csk_other'],
      ['X-Api-Key', secret, 'X-Api-Key', secret],
      ['X-Api-Key', 'csk_other', 'X-Api-Key', secret],
    ]) {
      expect(await statusOf(headers)).toBe(401)
    }
  })
})
