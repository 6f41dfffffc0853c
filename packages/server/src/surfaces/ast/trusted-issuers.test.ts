import { generateKeyPairSync } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { AddressResolver } from '#delivery/address-resolver.ts'
import { DocumentHttp } from '#delivery/document-http.ts'
import type { NewTrustedIssuer } from '#domain/callers/trusted-issuer-service.ts'
import { OutboundRule } from '#domain/tenants/outbound-rule.ts'
import { testCaller } from '#test/support/core.ts'
import { loopbackAllowed } from '#test/support/delivery.ts'
import {
  hmacWithPublicKey,
  type IdentityProvider,
  publicJwkOf,
  signerOf,
  startIdentityProvider,
  type TokenOptions,
} from '#test/support/identity-provider.ts'
import { Phone } from '#test/support/phone.ts'
import { type AstInstallation, createAstInstallation } from './ast.fixture.ts'

const counted: string[] = []
const read = 'GET /v2/tenants/acme/signers'
const write = 'POST /v2/tenants/acme/signers'
const asClient = 'GET /v2/tenants/acme/signers/current'
const noCredential = { message: 'No valid credential.', code: '4010', subsystem: 519 }

let ast: AstInstallation
/** The realm of the first tenant, and of the second one. */
let realm: IdentityProvider
let otherRealm: IdentityProvider

beforeAll(async () => {
  realm = await startIdentityProvider('acme')
  otherRealm = await startIdentityProvider('shop')
  const documents = new DocumentHttp({
    rule: new OutboundRule(loopbackAllowed),
    resolver: new AddressResolver(async () => []),
  })
  ast = await createAstInstallation({
    parts: {
      outboundAllow: loopbackAllowed,
      issuerKeys: { documents, outageMsMax: 3_600_000 },
      observer: {
        countVerification() {},
        countIssuerToken: (outcome) => void counted.push(outcome),
        backgroundFailed: (_work, error) => {
          throw error
        },
      },
    },
  })
  realm.clock = ast.clock
  otherRealm.clock = ast.clock
  for (const alg of ['ES256', 'PS256', 'ES384', 'EdDSA', 'RS256'] as const) realm.rotate(alg)
  await trust('acme', realm, { algorithms: ['ES256', 'ES384', 'EdDSA', 'PS256', 'RS256'] })
  await trust('shop', otherRealm)
})
afterAll(async () => {
  await ast[Symbol.asyncDispose]()
  await realm[Symbol.asyncDispose]()
  await otherRealm[Symbol.asyncDispose]()
})
beforeEach(() => void counted.splice(0))

function trust(
  tenantId: string,
  provider: IdentityProvider,
  changes: Partial<NewTrustedIssuer> = {},
) {
  return ast.core.trustedIssuers.create(testCaller(tenantId, ['tenant:write']), tenantId, {
    id: 'realm',
    issuer: provider.issuer,
    jwksUri: provider.jwksUri,
    audiences: ['ast'],
    ...changes,
  })
}

const withRoles = (...roles: string[]) => realm.token({ realm_access: { roles } })
const status = async (target: Parameters<AstInstallation['call']>[0], token: string) =>
  (await ast.call(target, { token })).status

describe('a token of the tenant’s identity provider', () => {
  test.each(['ES256', 'ES384', 'EdDSA', 'PS256', 'RS256'] as const)(
    '200 signed by %s',
    async (alg) => {
      const key = realm.keys.find((candidate) => candidate.alg === alg)
      if (key === undefined) throw new Error('No such key.')
      expect(await status(read, realm.token({}, { key }))).toBe(200)
      expect(counted).toEqual(['accepted'])
    },
  )

  test('200 and 202 by role: what writes reads too', async () => {
    expect(await status(read, withRoles('ast-admin-read'))).toBe(200)
    expect(await status(write, withRoles('ast-admin-read'))).toBe(403)
    const writer = withRoles('ast-admin-write')
    expect(await status(read, writer)).toBe(200)
    expect(await status(write, writer)).toBe(202)
  })

  test('403 without a role that is mapped', async () => {
    for (const roles of [[], ['offline_access'], ['ast:write'], ['constructor', '__proto__']]) {
      const { status, body } = await ast.call(read, { token: withRoles(...roles) })
      expect(status).toBe(403)
      expect(body).toMatchObject({ code: '4030', subsystem: 519 })
    }
    for (const claims of [
      { realm_access: undefined },
      { realm_access: 'ast-admin-read' },
      { realm_access: { roles: { 'ast-admin-read': true } } },
      { realm_access: { roles: [['ast-admin-read'], 7, null] } },
    ]) {
      expect(await status(read, realm.token(claims))).toBe(403)
    }
  })

  test('the journal names issuer and subject', async () => {
    const token = realm.token({ sub: 'anna', realm_access: { roles: ['ast-admin-write'] } })
    expect(await status(write, token)).toBe(202)
    const record = (await ast.journal('acme')).findLast(({ text }) => text.includes('realm:anna'))
    expect(JSON.parse(record?.text ?? '{}')).toMatchObject({
      action: 'signer.created',
      actor: { type: 'TRUSTED_ISSUER', id: 'realm:anna', address: '127.0.0.1' },
      surface: 'ast',
    })
  })

  test('403 in another tenant, and of another tenant’s realm; 401 where it would not count at home either', async () => {
    const foreign = otherRealm.token()
    for (const target of [
      read,
      'GET /v2/tenants/nobody/signers',
      'GET /v2/tenants/a%00b/signers',
    ] as const) {
      const { status, body } = await ast.call(target, { token: foreign })
      expect(status).toBe(403)
      expect(body).toMatchObject({ code: '4030', subsystem: 519 })
    }
    expect(await status('GET /v2/tenants/shop/signers', foreign)).toBe(200)
    expect(await status('GET /v2/tenants/shop/signers', realm.token())).toBe(403)
    expect(await status(read, otherRealm.token({ aud: 'else' }))).toBe(401)
    const forged = otherRealm.token({}, { signer: signerOf(first(realm)) })
    expect(await status(read, forged)).toBe(401)
  })

  test('401 signed by the realm of another tenant in the name of this one', async () => {
    const token = otherRealm.token({ iss: realm.issuer })
    expect(await status(read, token)).toBe(401)
    const withOurKid = otherRealm.token(
      { iss: realm.issuer },
      { header: { kid: first(realm).kid } },
    )
    expect(await status(read, withOurKid)).toBe(401)
  })

  test('two tenants may trust one provider: the path says which, and its keys and roles are its own', async () => {
    await trust('shop', realm, {
      id: 'shared',
      audiences: ['shop'],
      scopeMap: { buyer: ['ast:read'] },
    })
    const token = realm.token({
      aud: ['ast', 'shop'],
      roles: [],
      realm_access: { roles: ['buyer'] },
    })
    expect(await status('GET /v2/tenants/shop/signers', token)).toBe(200)
    expect(await status(read, token)).toBe(403)
    expect(await status('GET /v2/tenants/shop/signers', realm.token())).toBe(401)
    await ast.core.trustedIssuers.delete(testCaller('shop', ['tenant:write']), 'shop', 'shared')
  })

  test('it opens nothing but this surface', async () => {
    const origin = { address: '127.0.0.1', surface: 'native', requestId: null } as const
    await expect(
      ast.core.authenticator.authenticate({ bearer: realm.token() }, origin),
    ).rejects.toMatchObject({ code: 'unauthenticated' })
  })
})

describe('the role of apps', () => {
  const clientToken = (claims: Record<string, unknown> = {}) =>
    realm.token({ realm_access: { roles: ['ast-client'] }, ...claims })

  test('200 for what apps read, with the id of a device that is active and not locked; else 403', async () => {
    expect(await status(write, withRoles('ast-admin-write'))).toBe(202)
    const admin = testCaller('acme', ['tenant:write'])
    await ast.core.users.create(admin, 'acme', { id: 'anna', loginName: 'anna' })
    const { core, composed, clock } = ast
    const of = { tenantId: 'acme', userId: 'anna' }
    const { id: deviceId } = await Phone.enrol(
      { core, clock, storage: composed.storage },
      admin,
      of,
    )
    expect(await status(asClient, clientToken({ astClientId: deviceId }))).toBe(200)
    expect(await status(read, clientToken({ astClientId: deviceId }))).toBe(403)
    expect(await status(write, clientToken({ astClientId: deviceId }))).toBe(403)
    for (const astClientId of [undefined, '01F6MJ6J1AA8HWB7G6XRJB709E', 7, 'a b']) {
      expect(await status(asClient, clientToken({ astClientId }))).toBe(403)
    }
    await core.devices.lock(admin, 'acme', { id: deviceId, reason: null })
    expect(await status(asClient, clientToken({ astClientId: deviceId }))).toBe(403)
  })
})

describe('a hostile token', () => {
  type Case = readonly [string, (realm: IdentityProvider) => string]
  const claims =
    (changes: Record<string, unknown>): Case[1] =>
    (provider) =>
      provider.token(changes)
  const header =
    (changes: Record<string, unknown>): Case[1] =>
    (provider) =>
      provider.token({}, { header: changes })
  const options =
    (make: (provider: IdentityProvider) => TokenOptions): Case[1] =>
    (provider) =>
      provider.token({}, make(provider))
  const edited =
    (edit: (token: string) => string): Case[1] =>
    (provider) =>
      edit(provider.token())
  const own = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const attacker = { kid: 'x', alg: 'RS256', ...own } as const
  const seconds = () => Math.floor(ast.clock() / 1000)

  const cases: readonly Case[] = [
    [
      'without a signature, alg none',
      options(() => ({ header: { alg: 'none' }, signer: () => Buffer.alloc(0) })),
    ],
    ['alg none with a signature', header({ alg: 'none' })],
    ['alg NONE', header({ alg: 'NONE' })],
    [
      'alg HS256 keyed with the public key',
      options((p) => ({ header: { alg: 'HS256' }, signer: hmacWithPublicKey(first(p)) })),
    ],
    [
      'HMAC with the public key under alg RS256',
      options((p) => ({ signer: hmacWithPublicKey(first(p)) })),
    ],
    ['an algorithm that nobody has', header({ alg: 'RS512' })],
    ['no algorithm', header({ alg: undefined })],
    ['a list of algorithms', header({ alg: ['RS256'] })],
    [
      'PS256 by a key that is for RS256',
      options((p) => ({
        header: { alg: 'PS256' },
        signer: signerOf({ ...last(p), alg: 'PS256' }),
      })),
    ],
    ['ES256 said of a key of RSA', header({ alg: 'ES256' })],
    [
      'the kid of another algorithm’s key',
      options((p) => ({ header: { kid: first(p, 'ES256').kid } })),
    ],
    [
      'its own key in the header',
      options(() => ({ key: attacker, header: { kid: undefined, jwk: publicJwkOf(attacker) } })),
    ],
    [
      'its own key under a known kid',
      options((p) => ({ key: attacker, header: { kid: last(p).kid, jwk: publicJwkOf(attacker) } })),
    ],
    [
      'an address of its own keys',
      options((p) => ({
        key: attacker,
        header: { jku: p.jwksUri.replace('acme', 'evil'), x5u: p.jwksUri },
      })),
    ],
    [
      'its own certificate',
      options(() => ({ key: attacker, header: { x5c: ['MIIB'], 'x5t#S256': 'AA' } })),
    ],
    ['a kid that nobody has', header({ kid: '../../../../dev/null' })],
    ['a kid with SQL in it', header({ kid: "' or 1=1 --" })],
    ['a kid that is a number', header({ kid: 1 })],
    ['the kid of a key for encryption', header({ kid: 'enc' })],
    ['no kid, and several keys that fit', header({ kid: undefined })],
    ['critical extensions', header({ crit: ['exp'] })],
    ['critical extensions, none of them', header({ crit: [] })],
    ['an unencoded payload', header({ b64: false })],
    ['the type of another message', header({ typ: 'logout+jwt' })],
    ['a proof’s type', header({ typ: 'dpop+jwt' })],
    ['a type that is no text', header({ typ: ['JWT'] })],
    [
      'a header that says something twice',
      options((p) => ({ headerText: `{"alg":"RS256","kid":"x","kid":"${last(p).kid}"}` })),
    ],
    [
      'a payload that says something twice',
      options((p) => ({
        payloadText: `{"iss":"${p.issuer}","aud":"ast","sub":"a","exp":1,"exp":99999999999}`,
      })),
    ],
    ['a payload that is a list', options(() => ({ payloadText: '[]' }))],
    [
      'a payload that is nested deeply',
      options((p) => ({
        payloadText: `{"iss":"${p.issuer}","x":${'['.repeat(5_000)}${']'.repeat(5_000)}}`,
      })),
    ],
    [
      'a member __proto__',
      options((p) => ({ payloadText: `{"iss":"${p.issuer}","__proto__":{"aud":"ast"}}` })),
    ],
    ['another audience', claims({ aud: 'account' })],
    ['no audience', claims({ aud: undefined })],
    ['audiences, none of them ours', claims({ aud: ['account', 'AST', 'ast '] })],
    ['audiences that are not all text', claims({ aud: ['ast', { ast: true }] })],
    ['an empty list of audiences', claims({ aud: [] })],
    ['an end that is over', (p) => p.token({ exp: seconds() - 61 })],
    ['no end', claims({ exp: undefined })],
    ['an end that is text', claims({ exp: '99999999999' })],
    ['an end before time', claims({ exp: -1 })],
    ['a beginning ahead', (p) => p.token({ nbf: seconds() + 61 })],
    ['a beginning that is text', claims({ nbf: 'now' })],
    ['a making ahead', (p) => p.token({ iat: seconds() + 61 })],
    ['no subject', claims({ sub: undefined, azp: undefined })],
    ['an empty subject', claims({ sub: '' })],
    ['a subject that is an object', claims({ sub: { name: 'anna' } })],
    ['a subject without end', claims({ sub: 'a'.repeat(256) })],
    ['what Keycloak calls an ID token', claims({ typ: 'ID' })],
    ['what Keycloak calls a refresh token', claims({ typ: 'Refresh' })],
    ['a key that must be proven', claims({ cnf: { jkt: 'AAAA' } })],
    ['another spelling of its signature', edited((token) => `${token}=`)],
    ['a signature of other bits beyond its end', edited(otherLastBits)],
    ['a blank in it', edited((token) => token.replace('.', '. '))],
    ['a fourth part', edited((token) => `${token}.e30`)],
    ['a changed signature', edited((token) => token.replace(/.{12}$/, 'AAAAAAAAAAAA'))],
    ['an empty signature', edited((token) => token.replace(/[^.]+$/, ''))],
    [
      'an issuer that differs in case',
      (p) => p.token({ iss: p.issuer.replace('realms', 'REALMS') }),
    ],
    ['an issuer with a slash behind', (p) => p.token({ iss: `${p.issuer}/` })],
    ['a list of issuers', (p) => p.token({ iss: [p.issuer] })],
    ['the issuer of this server', claims({ iss: 'https://ast.example.com' })],
    ['more text than any token has', (p) => p.token({ x: 'x'.repeat(16_000) })],
  ]

  test.each(cases)('401 with %s', async (_name, make) => {
    const { status, body, headers } = await ast.call(read, { token: make(realm) })
    expect(status).toBe(401)
    expect(body).toEqual(noCredential)
    expect(headers['www-authenticate']).toContain('Bearer')
  })

  test('none of them made the server ask more often than three times a minute, or anywhere else', async () => {
    const before = realm.fetchCount
    expect(before).toBeLessThanOrEqual(3)
    for (let index = 0; index < 50; index++) {
      const token = realm.token({}, { header: { kid: `made-up-${index}` } })
      expect(await status(read, token)).toBe(401)
    }
    expect(realm.fetchCount).toBe(before)
    ast.clock.advance(60_000)
    await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        status(read, realm.token({}, { header: { kid: `made-up-${index}` } })),
      ),
    )
    expect(realm.fetchCount).toBe(before + 1)
  })

  test('what lies within a minute of its time counts: clocks differ', async () => {
    const now = seconds()
    for (const token of [
      realm.token({ exp: now - 59 }),
      realm.token({ nbf: now + 59, iat: now + 59 }),
      realm.token({ exp: now + 0.5, iat: undefined }),
      realm.token({ aud: 'ast' }),
      realm.token({}, { header: { typ: 'at+JWT' } }),
      realm.token({}, { header: { typ: undefined } }),
      realm.token({ typ: undefined, sub: undefined }),
      realm.token({}, { header: { jku: 'https://evil.example/keys', jwk: {} } }),
    ]) {
      expect(await status(read, token)).toBe(200)
    }
  })

  test('the journal tells of refusals once a minute, why, and never what was shown', async () => {
    ast.clock.advance(60_000)
    const token = realm.token({ aud: 'else' })
    for (let index = 0; index < 5; index++) await status(read, token)
    const told = (await ast.journal('acme')).filter(({ action }) => action === 'caller.refused')
    const last = JSON.parse(told.at(-1)?.text ?? '{}')
    expect(last).toMatchObject({
      outcome: 'FAILURE',
      actor: { type: 'ANONYMOUS', id: null },
      target: { type: 'trusted-issuer', id: 'realm' },
      detail: { reason: 'wrong_audience' },
    })
    expect(told.some(({ text }) => text.includes(token.slice(-20)))).toBe(false)
  })
})

describe('429', () => {
  test('after so many failures from an address, also for good tokens; those of a token that counts are none', async () => {
    await using strict = await createAstInstallation({
      parts: { authFailuresPerMinute: 3, outboundAllow: loopbackAllowed },
    })
    const jwks = { keys: realm.keys.map((key) => publicJwkOf(key) as { kty: 'RSA' }) }
    await strict.core.trustedIssuers.create(testCaller('acme', ['tenant:write']), 'acme', {
      id: 'realm',
      issuer: realm.issuer,
      jwks,
      audiences: ['ast'],
    })
    realm.clock = strict.clock
    const token = realm.token()
    const wrong = realm.token({ aud: 'else' })
    for (let index = 0; index < 5; index++) {
      expect((await strict.call(write, { token })).status).toBe(403)
    }
    for (let index = 0; index < 3; index++) {
      expect((await strict.call(read, { token: wrong })).status).toBe(401)
    }
    const { status, headers } = await strict.call(read, { token })
    expect(status).toBe(429)
    expect(Number(headers['retry-after'])).toBeGreaterThan(0)
    realm.clock = ast.clock
  })
})

function first({ keys }: IdentityProvider, alg: string = 'RS256') {
  const key = keys.find((candidate) => candidate.alg === alg)
  if (key === undefined) throw new Error('No such key.')
  return key
}

function last({ keys }: IdentityProvider) {
  const key = keys.at(-1)
  if (key === undefined) throw new Error('No key.')
  return key
}

/** 256 bytes in base64url end with a character of which four bits count. */
function otherLastBits(token: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const index = alphabet.indexOf(token.at(-1) ?? '')
  return token.slice(0, -1) + alphabet[index + 1]
}
