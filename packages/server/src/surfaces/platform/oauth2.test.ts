import { compactVerify, importJWK } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { basic, createPlatformApi, type PlatformApi } from '#test/support/platform-api.ts'

/** Visible ASCII that form encoding and base64 both have their ways with. */
const adminToken = 'a+token%with=odd&signs:~!'
const grant = { grant_type: 'client_credentials' }

let api: PlatformApi
let secret: string
let other: string

beforeAll(async () => {
  api = await createPlatformApi({ COUNTERSIGN_ADMIN_TOKEN: adminToken })
  for (const id of ['acme', 'other']) await api.createTenant(id)
  secret = await api.createAccount('acme', ['verify', 'tenant:write'], 'vpn-gateway')
  other = await api.createAccount('other', ['tenant:write'], 'other-gateway')
})
afterAll(() => api[Symbol.asyncDispose]())

interface Sent {
  readonly headers?: Record<string, string>
  readonly as?: string
  readonly address?: string
}

const post = (path: `/${string}`, form: Record<string, string> | string, sent: Sent = {}) =>
  api.call(`POST ${path}`, { as: sent.as ?? null, form, ...sent })
const requestToken = (form: Record<string, string> | string, sent?: Sent) =>
  post('/oauth2/token', form, sent)
const introspect = (form: Record<string, string>, sent?: Sent) =>
  post('/oauth2/introspect', form, sent)
const client = {
  client_id: 'vpn-gateway',
  get client_secret() {
    return secret
  },
}

describe('issueAccessToken', () => {
  test('200 with a token that works, not to be stored', async () => {
    const { status, headers, body } = await requestToken(grant, {
      headers: basic('vpn-gateway', secret),
    })
    expect(status).toBe(200)
    expect(headers['cache-control']).toBe('no-store')
    expect(body).toMatchObject({
      token_type: 'Bearer',
      expires_in: 300,
      scope: 'verify tenant:write',
    })
    const tenant = await api.call('GET /api/v1/tenants/acme', { as: body.access_token })
    expect(tenant.status).toBe(200)
    api.clock.advance(300_000)
    const late = await api.call('GET /api/v1/tenants/acme', { as: body.access_token })
    expect(late.status).toBe(401)
  })

  test('200 with the scopes asked for, credentials in the body, unknown members ignored', async () => {
    const { status, body } = await requestToken({
      ...grant,
      ...client,
      scope: 'tenant:read verify',
      nonsense: '1',
    })
    expect(status).toBe(200)
    expect(body.scope.split(' ').sort()).toEqual(['tenant:read', 'verify'])
  })

  test('200 for a secret that is form-encoded in the header, as RFC 6749 section 2.3.1 wants', async () => {
    const { status } = await requestToken(grant, {
      headers: basic('bootstrap', encodeURIComponent(adminToken)),
    })
    expect(status).toBe(200)
    const raw = await requestToken(grant, { headers: basic('bootstrap', adminToken) })
    expect([raw.status, raw.body]).toEqual([401, { error: 'invalid_client' }])
  })

  test('401 invalid_client for wrong, missing and foreign credentials', async () => {
    for (const sent of [
      {},
      { headers: basic('vpn-gateway', other) },
      { headers: basic('missing', secret) },
      { headers: basic('vpn-gateway', '%zz') },
      { headers: basic('', '') },
      { headers: { authorization: 'Basic' } },
      { as: secret },
      { headers: { 'x-api-key': secret } },
      { headers: { ...basic('vpn-gateway', secret), 'x-api-key': other } },
    ]) {
      const { status, headers, body } = await requestToken(grant, sent)
      expect([status, body]).toEqual([401, { error: 'invalid_client' }])
      expect(headers['www-authenticate']).toContain('Basic')
      expect(headers['cache-control']).toBe('no-store')
    }
    for (const form of [
      { ...grant, client_id: 'vpn-gateway' },
      { ...grant, client_secret: secret },
      { ...grant, client_id: 'vpn-gateway', client_secret: other },
    ]) {
      const { status, body } = await requestToken(form)
      expect([status, body]).toEqual([401, { error: 'invalid_client' }])
    }
  })

  test('400 invalid_request for two ways at once, for broken and repeated members', async () => {
    for (const [form, sent] of [
      [{ ...grant, ...client }, { headers: basic('vpn-gateway', secret) }],
      [{ ...grant, client_id: 'other-gateway' }, { headers: basic('vpn-gateway', secret) }],
      [{}, { headers: basic('vpn-gateway', secret) }],
      ['grant_type=client_credentials&grant_type=client_credentials', {}],
      ['grant_type=%E0%80', {}],
      [{ ...grant, client_id: 'vpn-gateway', client_secret: 'x'.repeat(10_240) }, {}],
    ] as const) {
      const { status, body } = await requestToken(form, sent)
      expect([status, body]).toEqual([400, { error: 'invalid_request' }])
    }
  })

  test('400 unsupported_grant_type for any other grant', async () => {
    for (const grant_type of ['password', 'authorization_code', 'refresh_token']) {
      const { status, body } = await requestToken({ grant_type, ...client })
      expect([status, body]).toEqual([400, { error: 'unsupported_grant_type' }])
    }
  })

  test('400 invalid_scope for what the account does not have', async () => {
    for (const scope of ['audit:read', 'verify audit:read', 'nonsense', '', ' verify', 'VERIFY']) {
      const { status, body } = await requestToken({ ...grant, ...client, scope })
      expect([scope, status, body]).toEqual([scope, 400, { error: 'invalid_scope' }])
    }
  })

  test('415 for JSON', async () => {
    const { status } = await api.call('POST /oauth2/token', { as: null, body: grant })
    expect(status).toBe(415)
  })

  test('429 with Retry-After for an address that failed too often', async () => {
    await using limited = await createPlatformApi({ COUNTERSIGN_AUTH_FAILURES_PER_MINUTE: '2' })
    const attempt = (address: string) =>
      limited.call('POST /oauth2/token', {
        as: null,
        form: grant,
        headers: basic('bootstrap', 'wrong'),
        address,
      })
    expect((await attempt('192.0.2.1')).status).toBe(401)
    expect((await attempt('192.0.2.1')).status).toBe(401)
    const { status, headers, body } = await attempt('192.0.2.1')
    expect([status, headers['retry-after'], body.code]).toEqual([429, '60', 'too_many_requests'])
    expect((await attempt('192.0.2.2')).status).toBe(401)
    limited.clock.advance(60_000)
    expect((await attempt('192.0.2.1')).status).toBe(401)
  })
})

describe('introspectAccessToken', () => {
  test('200 active, for every way in which a client may authenticate', async () => {
    const { body: issued } = await requestToken({ ...grant, ...client, scope: 'verify' })
    const token = issued.access_token
    const iat = Math.floor(api.clock() / 1000)
    for (const reply of [
      await introspect({ token }, { headers: basic('vpn-gateway', secret) }),
      await introspect({ token, ...client }),
      await introspect({ token, token_type_hint: 'access_token' }, { as: secret }),
      await introspect({ token }, { as: token }),
      await introspect({ token }, { as: adminToken }),
    ]) {
      expect(reply.status).toBe(200)
      expect(reply.headers['cache-control']).toBe('no-store')
      expect(reply.body).toEqual({
        active: true,
        client_id: 'vpn-gateway',
        sub: 'vpn-gateway',
        scope: 'verify',
        token_type: 'Bearer',
        iss: 'https://countersign.test',
        aud: 'https://countersign.test',
        iat,
        exp: iat + 300,
        jti: expect.any(String),
        tenant: 'acme',
      })
    }
  })

  test('200 about a secret', async () => {
    const { body } = await introspect({ token: secret }, { as: secret })
    expect(body).toEqual({
      active: true,
      client_id: 'vpn-gateway',
      sub: 'vpn-gateway',
      scope: 'verify tenant:write',
      token_type: 'Bearer',
      tenant: 'acme',
    })
  })

  test('200 inactive, and nothing else, for expired, foreign and unknown tokens', async () => {
    const { body: issued } = await requestToken({ ...grant, ...client })
    const inactive = async (token: string, as: string) =>
      expect((await introspect({ token }, { as })).body).toEqual({ active: false })
    await inactive(issued.access_token, other)
    await inactive(secret, other)
    await inactive('nonsense', secret)
    await inactive(adminToken, secret)
    api.clock.advance(300_000)
    await inactive(issued.access_token, secret)
  })

  test('401 invalid_client without a client, 400 without a token', async () => {
    const nobody = await introspect({ token: secret })
    expect([nobody.status, nobody.body]).toEqual([401, { error: 'invalid_client' }])
    const nothing = await introspect({}, { as: secret })
    expect([nothing.status, nothing.body]).toEqual([400, { error: 'invalid_request' }])
  })
})

describe('getOauthJwks', () => {
  test('200 with the public keys that tokens hold against, without a credential', async () => {
    const { status, body } = await api.call('GET /oauth2/jwks', { as: null })
    expect(status).toBe(200)
    expect(body.keys[0]).not.toHaveProperty('d')
    const { body: issued } = await requestToken({ ...grant, ...client })
    const key = await importJWK(body.keys[0], 'ES256')
    const { protectedHeader } = await compactVerify(issued.access_token, key)
    expect(protectedHeader).toEqual({ alg: 'ES256', typ: 'at+jwt', kid: body.keys[0].kid })
  })
})

describe('getOauthMetadata', () => {
  test('200 with addresses under the public URL', async () => {
    const { status, body } = await api.call('GET /.well-known/oauth-authorization-server', {
      as: null,
    })
    expect(status).toBe(200)
    expect(body).toMatchObject({
      issuer: 'https://countersign.test',
      token_endpoint: 'https://countersign.test/oauth2/token',
      introspection_endpoint: 'https://countersign.test/oauth2/introspect',
      jwks_uri: 'https://countersign.test/oauth2/jwks',
      grant_types_supported: ['client_credentials'],
      token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
    })
    expect(body.scopes_supported).toContain('verify')
  })
})
