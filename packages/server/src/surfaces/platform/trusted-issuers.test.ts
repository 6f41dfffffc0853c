import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createPlatformApi, type PlatformApi } from '#test/support/platform-api.ts'

let api: PlatformApi
let admin: string
const path = '/api/v1/tenants/acme/trusted-issuers'
const jwksUri = 'https://idp.acme.example/certs'
const key = {
  kty: 'EC',
  crv: 'P-256',
  x: 'MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4',
  y: '4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM',
}

beforeAll(async () => {
  api = await createPlatformApi()
  for (const id of ['acme', 'other']) await api.createTenant(id)
  admin = await api.createAccount('acme', ['tenant:write'])
})
afterAll(() => api[Symbol.asyncDispose]())

const create = (id: string, changes: object = {}, headers: Record<string, string> = {}) =>
  api.call(`POST ${path}`, {
    as: admin,
    headers,
    body: { id, issuer: `https://idp/${id}`, audiences: ['ast'], jwksUri, ...changes },
  })

describe('createTrustedIssuer', () => {
  test('201 with the defaults of the contract', async () => {
    const { status, headers, body } = await create('corporate-idp')
    expect(status).toBe(201)
    expect(headers.location).toBe(`${path}/corporate-idp`)
    expect(body).toEqual({
      id: 'corporate-idp',
      issuer: 'https://idp/corporate-idp',
      jwksUri,
      jwks: null,
      audiences: ['ast'],
      algorithms: ['ES256', 'RS256'],
      claimPath: 'realm_access.roles',
      scopeMap: {
        'ast-admin-read': ['ast:read'],
        'ast-admin-write': ['ast:write'],
        'ast-client': ['ast:client'],
      },
      clientIdClaim: 'astClientId',
      enabled: true,
      createdAt: '2026-11-21T10:00:00.000Z',
      updatedAt: '2026-11-21T10:00:00.000Z',
    })
  })

  test('201 with keys of its own, 201 again for the same Idempotency-Key', async () => {
    const send = () =>
      create('own-keys', { jwksUri: undefined, jwks: { keys: [key] } }, { 'idempotency-key': 'i1' })
    const [first, second] = [await send(), await send()]
    expect(first.body.jwks).toEqual({ keys: [key] })
    expect(second.headers['idempotency-replayed']).toBe('true')
    expect(second.body).toEqual(first.body)
  })

  test('409 already_exists for a taken id or issuer', async () => {
    await create('taken')
    for (const changes of [{ issuer: 'https://new' }, { id: 'new', issuer: 'https://idp/taken' }]) {
      const { status, body } = await create('taken', changes)
      expect([status, body.code]).toEqual([409, 'already_exists'])
    }
  })

  test('400 for both kinds of keys, for none, for private and for broken keys', async () => {
    for (const changes of [
      { jwks: { keys: [key] } },
      { jwksUri: null },
      { jwksUri: undefined },
      { jwksUri: undefined, jwks: { keys: [{ ...key, d: key.x }] } },
      { jwksUri: undefined, jwks: { keys: [{ ...key, x: 'AA' }] } },
      { jwksUri: undefined, jwks: { keys: [{ kty: 'oct', k: 'AAAA' }] } },
      { algorithms: ['HS256'] },
      { algorithms: ['none'] },
      { claimPath: 'a..b' },
      { scopeMap: { admin: ['platform:admin'] } },
    ]) {
      const { status, body } = await create('broken', changes)
      expect([JSON.stringify(changes), status, body.code]).toEqual([
        JSON.stringify(changes),
        400,
        'validation_failed',
      ])
    }
  })

  test('400 url_not_allowed for an address that may not be called', async () => {
    for (const uri of ['http://idp.acme.example/', 'https://127.0.0.1/', 'https://localhost/']) {
      const { status, body } = await create('local', { jwksUri: uri })
      expect([status, body.code]).toEqual([400, 'url_not_allowed'])
    }
  })
})

describe('listTrustedIssuers', () => {
  test('200 in pages', async () => {
    const first = await api.call(`GET ${path}?limit=1`, { as: admin })
    expect(first.body.items.map(({ id }: { id: string }) => id)).toEqual(['corporate-idp'])
    const second = await api.call(`GET ${path}?limit=1&cursor=${first.body.nextCursor}`)
    expect(second.body.items.map(({ id }: { id: string }) => id)).toEqual(['own-keys'])
    const foreign = await api.call(
      `GET /api/v1/tenants/other/trusted-issuers?cursor=${first.body.nextCursor}`,
    )
    expect([foreign.status, foreign.body.code]).toEqual([400, 'cursor_invalid'])
  })
})

describe('getTrustedIssuer', () => {
  test('200, and 404 for none and for another tenant', async () => {
    expect((await api.call(`GET ${path}/corporate-idp`, { as: admin })).status).toBe(200)
    expect((await api.call(`GET ${path}/missing`, { as: admin })).status).toBe(404)
    const foreign = await api.call('GET /api/v1/tenants/other/trusted-issuers/corporate-idp')
    expect(foreign.status).toBe(404)
  })
})

describe('updateTrustedIssuer', () => {
  test('200: setting one kind of keys clears the other', async () => {
    await create('switched')
    const { status, body } = await api.call(`PATCH ${path}/switched`, {
      as: admin,
      body: { jwks: { keys: [key] }, enabled: false, clientIdClaim: null },
    })
    expect(status).toBe(200)
    expect(body).toMatchObject({
      jwksUri: null,
      jwks: { keys: [key] },
      enabled: false,
      clientIdClaim: null,
      audiences: ['ast'],
    })
  })

  test('400 when no keys would be left, 409 for the issuer of another one, 404 for none', async () => {
    const patch = (id: string, body: object) => api.call(`PATCH ${path}/${id}`, { as: admin, body })
    expect((await patch('corporate-idp', { jwksUri: null })).status).toBe(400)
    const taken = await patch('corporate-idp', { issuer: 'https://idp/own-keys' })
    expect([taken.status, taken.body.code]).toEqual([409, 'already_exists'])
    expect((await patch('missing', { enabled: false })).status).toBe(404)
  })
})

describe('deleteTrustedIssuer', () => {
  test('204, then 404', async () => {
    await create('deleted')
    expect((await api.call(`DELETE ${path}/deleted`, { as: admin })).status).toBe(204)
    expect((await api.call(`DELETE ${path}/deleted`, { as: admin })).status).toBe(404)
  })

  test('403 for a reader', async () => {
    const reader = await api.createAccount('acme', ['tenant:read'])
    expect((await api.call(`DELETE ${path}/corporate-idp`, { as: reader })).status).toBe(403)
  })
})
