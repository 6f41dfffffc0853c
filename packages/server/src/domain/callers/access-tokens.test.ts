import { createHmac, createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  createReadyTestCore,
  engines,
  platformAdmin,
  refusal,
  type TestCore,
  testCaller,
  testPublicUrl,
  waitingRecords,
} from '#test/support/core.ts'
import { AccessTokens } from './access-tokens.ts'

const origin = { address: '192.0.2.7', surface: 'native', requestId: null } as const
const encode = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
const decode = (part: string | undefined): Record<string, unknown> =>
  JSON.parse(Buffer.from(part ?? '', 'base64url').toString('utf8')) as Record<string, unknown>

describe.each(engines)('access tokens on %s', (engine) => {
  let core: TestCore
  let secret: string
  beforeAll(async () => {
    core = await createReadyTestCore({ engine })
    for (const id of ['acme', 'other']) {
      await core.tenants.create(platformAdmin, { id, name: id })
    }
    const made = await core.serviceAccounts.create(platformAdmin, {
      id: 'vpn-gateway',
      tenantId: 'acme',
      scopes: ['verify', 'tenant:write'],
    })
    secret = made.secret
  })
  afterAll(() => core[Symbol.asyncDispose]())

  const principal = (bearer = secret) => core.authenticator.identify({ bearer }, origin)
  const issue = async (scopes?: readonly string[]) => core.oauth.issue(await principal(), scopes)

  test('say what RFC 9068 wants and live 300 seconds', async () => {
    const { accessToken, expiresInSeconds, scopes } = await issue()
    expect(expiresInSeconds).toBe(300)
    expect(scopes).toEqual(['verify', 'tenant:write'])
    const [header, payload] = accessToken.split('.')
    const iat = Math.floor(core.clock() / 1000)
    const [key] = await core.accessTokens.publicKeys()
    expect(decode(header)).toEqual({ alg: 'ES256', kid: key?.kid, typ: 'at+jwt' })
    expect(decode(payload)).toEqual({
      iss: testPublicUrl,
      sub: 'vpn-gateway',
      client_id: 'vpn-gateway',
      aud: testPublicUrl,
      scope: 'verify tenant:write',
      tenant: 'acme',
      iat,
      exp: iat + 300,
      jti: expect.stringMatching(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/),
      secret_ref: expect.stringMatching(/^[0-9a-f]{22}$/),
    })
  })

  test('carry the scopes asked for, implied ones too, and no others', async () => {
    expect((await issue(['tenant:read'])).scopes).toEqual(['tenant:read'])
    for (const scopes of [
      ['audit:read'],
      ['verify', 'audit:read'],
      ['nonsense'],
      [''],
      [],
      ['platform:admin'],
    ]) {
      await expect(issue(scopes)).rejects.toThrow(refusal('not_grantable'))
    }
  })

  test('end after 300 seconds', async () => {
    const { accessToken } = await issue()
    await core.authenticator.authenticate({ bearer: accessToken }, origin)
    const issuedMs = core.clock()
    core.clock.advance(299_000)
    await core.authenticator.authenticate({ bearer: accessToken }, origin)
    core.clock.advance(1_000)
    await expect(core.authenticator.authenticate({ bearer: accessToken }, origin)).rejects.toThrow(
      refusal('unauthenticated'),
    )
    expect(core.clock() - issuedMs).toBe(300_000)
  })

  test('R16: a token has one spelling only', async () => {
    const { accessToken } = await issue()
    const [header = '', payload = '', signature = ''] = accessToken.split('.')
    const lastBits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const spellings = [
      `${accessToken}=`,
      `${accessToken}==`,
      `${header} .${payload}.${signature}`,
      `${header}.${payload}\n.${signature}`,
      `${accessToken}.`,
      `${accessToken}.AA`,
      `.${accessToken}`,
      accessToken.replace('.', '..'),
      ...[...lastBits].map((character) => accessToken.slice(0, -1) + character),
    ].filter((spelling) => spelling !== accessToken)
    for (const bearer of spellings) {
      expect(await core.accessTokens.verify(bearer)).toBeUndefined()
    }
    expect(await core.accessTokens.verify(accessToken)).toBeDefined()
  })

  test('of any other maker are refused: alg none, HMAC with our public key, other keys, changed claims', async () => {
    const { accessToken } = await issue()
    const [header = '', payload = '', signature = ''] = accessToken.split('.')
    const { kid } = decode(header)
    const [jwk] = await core.accessTokens.publicKeys()
    const pem = createPublicKey({ key: { ...jwk }, format: 'jwk' }).export({
      type: 'spki',
      format: 'pem',
    })
    const hmac = (head: string, key: string | Buffer): string =>
      createHmac('sha256', key).update(`${head}.${payload}`).digest('base64url')
    const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const signed = (head: object, claims: object): string => {
      const input = `${encode(head)}.${encode(claims)}`
      const bytes = sign('sha256', Buffer.from(input), {
        key: stranger.privateKey,
        dsaEncoding: 'ieee-p1363',
      })
      return `${input}.${bytes.toString('base64url')}`
    }
    const strangeJwk = stranger.publicKey.export({ format: 'jwk' })
    const hs256 = encode({ alg: 'HS256', kid, typ: 'at+jwt' })
    const own = decode(header)
    const claims = decode(payload)
    const forgeries = [
      `${encode({ alg: 'none', kid, typ: 'at+jwt' })}.${payload}.`,
      `${encode({ alg: 'none', kid, typ: 'at+jwt' })}.${payload}.${signature}`,
      `${encode({ alg: 'None', typ: 'at+jwt' })}.${payload}.AA`,
      `${hs256}.${payload}.${hmac(hs256, String(pem))}`,
      `${hs256}.${payload}.${hmac(hs256, JSON.stringify(jwk))}`,
      `${hs256}.${payload}.${hmac(hs256, Buffer.from(jwk?.x ?? '', 'base64url'))}`,
      signed(own, claims),
      signed({ ...own, kid: 'other' }, claims),
      signed({ ...own, jwk: strangeJwk }, claims),
      signed({ ...own, jku: 'https://evil.example/jwks' }, claims),
      signed({ alg: 'ES256', typ: 'at+jwt' }, claims),
      `${header}.${encode({ ...claims, sub: 'admin' })}.${signature}`,
      `${header}.${payload}.${'A'.repeat(86)}`,
      `${header}.${payload}.`,
      `${encode('not json')}.${payload}.${signature}`,
      `${encode('[]')}.${encode('[]')}.${signature}`,
    ]
    for (const bearer of forgeries) {
      expect(await core.accessTokens.verify(bearer)).toBeUndefined()
      await expect(core.authenticator.authenticate({ bearer }, origin)).rejects.toThrow(
        refusal('unauthenticated'),
      )
    }
  })

  test('of our key with another type, issuer, audience, subject or form are refused', async () => {
    const key = await core.storage.read.signingKeys.findActive('_platform', 'oauth')
    if (key === undefined) throw new Error('no key')
    const good = decode((await issue()).accessToken.split('.')[1])
    const signed = (claims: unknown, typ = 'at+jwt') =>
      core.signer.signCompact('_platform', key, typ, Buffer.from(JSON.stringify(claims)))
    expect(await core.accessTokens.verify(await signed(good))).toBeDefined()
    const bad = [
      signed(good, 'JWT'),
      signed(good, 'countersign-checkpoint+jws'),
      signed({ ...good, iss: 'https://other.test' }),
      signed({ ...good, aud: 'https://other.test' }),
      signed({ ...good, aud: [testPublicUrl] }),
      signed({ ...good, client_id: 'another' }),
      signed({ ...good, exp: '9999999999' }),
      signed({ ...good, exp: 1e300 }),
      signed({ ...good, iat: Math.floor(core.clock() / 1000) + 3600 }),
      signed({ ...good, tenant: 7 }),
      signed({ ...good, secret_ref: undefined }),
      signed([good]),
      signed(null),
      signed('text'),
    ]
    for (const token of await Promise.all(bad)) {
      expect(await core.accessTokens.verify(token)).toBeUndefined()
    }
    for (const changes of [
      { sub: 'nobody', client_id: 'nobody' },
      { tenant: 'other' },
      { tenant: null },
      { secret_ref: '0'.repeat(22) },
    ]) {
      const bearer = await signed({ ...good, ...changes })
      await expect(core.authenticator.authenticate({ bearer }, origin)).rejects.toThrow(
        refusal('unauthenticated'),
      )
    }
  })

  describe('keys', () => {
    const kidOf = (token: string): unknown => decode(token.split('.')[0]).kid

    test('a rotated key signs at once; the old one checks until its last token is over', async () => {
      const before = await issue()
      await core.accessTokens.rotateKey(platformAdmin)
      const after = await issue()
      expect(kidOf(after.accessToken)).not.toBe(kidOf(before.accessToken))
      const kids = (await core.accessTokens.publicKeys()).map(({ kid }) => kid)
      expect(kids).toEqual(
        expect.arrayContaining([kidOf(before.accessToken), kidOf(after.accessToken)]),
      )
      await core.authenticator.authenticate({ bearer: before.accessToken }, origin)

      core.clock.advance(300_000)
      await core.accessTokens.maintainKeys('me')
      const stillThere = (await core.accessTokens.publicKeys()).map(({ kid }) => kid)
      expect(stillThere).toContain(kidOf(before.accessToken))
      core.clock.advance(180_000)
      await core.accessTokens.maintainKeys('me')
      const left = (await core.accessTokens.publicKeys()).map(({ kid }) => kid)
      expect(left).toEqual([kidOf(after.accessToken)])
      expect((await waitingRecords(core, '_platform')).at(-1)).toMatchObject({
        action: 'oauth-key.rotated',
        target: { id: kidOf(after.accessToken) },
      })
    })

    test('another process notices a new key by the first token of it', async () => {
      const { storage, signer, clock, nextId } = core
      const { JwsVerifier } = await import('#custody/signer.ts')
      const elsewhere = new AccessTokens({
        storage,
        signer,
        verifier: new JwsVerifier(),
        publicUrl: () => testPublicUrl,
        clock,
        nextId,
      })
      await elsewhere.publicKeys()
      core.clock.advance(2_000)
      await core.accessTokens.rotateKey(platformAdmin)
      const { accessToken } = await issue()
      expect(await elsewhere.verify(accessToken)).toBeDefined()
    })

    test('are rotated after 90 days, by one of several processes', async () => {
      const [before] = await core.accessTokens.publicKeys()
      core.clock.advance(91 * 86_400_000)
      await Promise.all([
        core.accessTokens.maintainKeys('one'),
        core.accessTokens.maintainKeys('two'),
      ])
      const keys = await core.storage.read.signingKeys.list('_platform', 'oauth')
      expect(keys.filter(({ retiredAtMs }) => retiredAtMs === null)).toHaveLength(1)
      expect(keys.filter(({ createdAtMs }) => createdAtMs === core.clock())).toHaveLength(1)
      expect(keys[0]?.kid).not.toBe(before?.kid)
    })

    test('are rotated by platform administrators only', async () => {
      await expect(
        core.accessTokens.rotateKey(testCaller('acme', ['tenant:write'])),
      ).rejects.toThrow(refusal('forbidden'))
    })

    test('are published without their private halves', async () => {
      for (const key of await core.accessTokens.publicKeys()) {
        expect(Object.keys(key).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'])
      }
    })
  })

  describe('described', () => {
    const acme = testCaller('acme', ['verify'])

    test('to the own tenant and to the platform, tokens and secrets', async () => {
      const { accessToken } = await issue(['verify'])
      const iat = Math.floor(core.clock() / 1000)
      for (const caller of [acme, testCaller(null, ['firmware:read'])]) {
        expect(await core.oauth.describe(caller, accessToken)).toMatchObject({
          accountId: 'vpn-gateway',
          tenantId: 'acme',
          scopes: ['verify'],
          issuer: testPublicUrl,
          times: { issuedAtSeconds: iat, expiresAtSeconds: iat + 300 },
        })
        const described = await core.oauth.describe(caller, secret)
        expect(described).toMatchObject({ accountId: 'vpn-gateway' })
        expect(described?.times).toBeUndefined()
      }
    })

    test('to nobody else, and not when they would be refused', async () => {
      const { accessToken } = await issue()
      const stranger = testCaller('other', ['tenant:write'])
      expect(await core.oauth.describe(stranger, accessToken)).toBeUndefined()
      expect(await core.oauth.describe(stranger, secret)).toBeUndefined()
      expect(await core.oauth.describe(acme, 'nonsense')).toBeUndefined()
      await core.serviceAccounts.update(platformAdmin, 'vpn-gateway', { enabled: false })
      expect(await core.oauth.describe(acme, accessToken)).toBeUndefined()
      expect(await core.oauth.describe(acme, secret)).toBeUndefined()
      await core.serviceAccounts.update(platformAdmin, 'vpn-gateway', { enabled: true })
    })
  })
})
