import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  createReadyTestCore,
  engines,
  expectAll,
  platformAdmin,
  refusal,
  type TestCore,
  testCaller,
  waitingRecords,
} from '#test/support/core.ts'
import { AddressRange } from '../address-range.ts'
import type { PublicJwk } from './public-jwk.ts'

const admin = testCaller('acme', ['tenant:write'])
const jwksUri = 'https://idp.acme.example/certs'
/** RFC 7517, appendix A.1. */
const ecKey: PublicJwk = {
  kty: 'EC',
  crv: 'P-256',
  x: 'MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4',
  y: '4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM',
  use: 'sig',
  kid: '1',
}
const rsaKey: PublicJwk = {
  kty: 'RSA',
  n: '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw',
  e: 'AQAB',
}

describe.each(engines)('trusted issuers on %s', (engine) => {
  let core: TestCore
  beforeAll(async () => {
    const loopback = AddressRange.parse('127.0.0.0/8')
    core = await createReadyTestCore({
      engine,
      outboundAllow: { hosts: [], ranges: loopback === undefined ? [] : [loopback] },
    })
    for (const id of ['acme', 'other']) {
      await core.tenants.create(platformAdmin, { id, name: id })
    }
  })
  afterAll(() => core[Symbol.asyncDispose]())

  const create = (id: string, changes: Record<string, unknown> = {}) =>
    core.trustedIssuers.create(admin, 'acme', {
      id,
      issuer: `https://idp.acme.example/${id}`,
      audiences: ['ast'],
      jwksUri,
      ...changes,
    })

  test('a new one has the defaults of the contract', async () => {
    const issuer = await create('defaults')
    expect(issuer).toMatchObject({
      tenantId: 'acme',
      jwksUri,
      jwks: null,
      algorithms: ['ES256', 'RS256'],
      claimPath: 'realm_access.roles',
      scopeMap: {
        'ast-admin-read': ['ast:read'],
        'ast-admin-write': ['ast:write'],
        'ast-client': ['ast:client'],
      },
      clientIdClaim: 'astClientId',
      enabled: true,
    })
    expect(await core.trustedIssuers.get(admin, 'acme', 'defaults')).toEqual(issuer)
    expect((await waitingRecords(core, 'acme')).at(-1)).toMatchObject({
      action: 'trusted-issuer.created',
      detail: { issuer: issuer.issuer },
    })
  })

  test('id and issuer are taken once in a tenant, and free in another', async () => {
    await create('twice')
    await expectAll(
      [
        create('twice', { issuer: 'https://else' }),
        create('else', { issuer: 'https://idp.acme.example/twice' }),
      ],
      refusal('already_exists'),
    )
    await core.trustedIssuers.create(platformAdmin, 'other', {
      id: 'twice',
      issuer: 'https://idp.acme.example/twice',
      audiences: ['ast'],
      jwks: { keys: [ecKey] },
    })
  })

  test('keys of every kind are kept as they are given', async () => {
    const keys = [
      ecKey,
      rsaKey,
      { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' },
    ] as const
    const { jwks } = await create('keys', { jwksUri: undefined, jwks: { keys } })
    expect(jwks).toEqual({ keys })
  })

  test.each([
    ['both kinds of keys', { jwks: { keys: [ecKey] } }, '/jwks', 'mutually_exclusive'],
    ['neither kind', { jwksUri: null }, '/jwksUri', 'required'],
    ['an id with a blank', { id: 'a b' }, '/id', 'bad_format'],
  ])('with %s it is refused', async (_name, changes, pointer, code) => {
    await expect(create('faulty', changes)).rejects.toMatchObject({
      code: 'invalid_request',
      faults: [{ pointer, code }],
    })
  })

  test.each([
    ['a short coordinate', { ...ecKey, x: ecKey.x?.slice(0, -2) }],
    ['no coordinate', { ...ecKey, y: undefined }],
    ['an unknown curve', { ...ecKey, crv: 'P-192' }],
    ['a curve of another kind', { ...ecKey, crv: 'Ed25519' }],
    ['base64 with padding', { ...ecKey, x: `${ecKey.x}=` }],
    ['a weak modulus', { ...rsaKey, n: rsaKey.n?.slice(0, 128) }],
    ['no exponent', { ...rsaKey, e: undefined }],
  ])('a key with %s is refused', async (_name, key) => {
    await expect(
      create('bad-key', { jwksUri: undefined, jwks: { keys: [ecKey, key] } }),
    ).rejects.toMatchObject({
      code: 'invalid_request',
      faults: [{ pointer: '/jwks/keys/1', code: 'bad_format' }],
    })
  })

  test.each(['http://idp.acme.example/certs', 'https://10.0.0.1/certs', 'https://[::1]/certs'])(
    'an address that may not be called is refused: %s',
    async (uri) => {
      await expect(create('far', { jwksUri: uri })).rejects.toMatchObject({
        code: 'url_not_allowed',
        faults: [{ pointer: '/jwksUri' }],
      })
    },
  )

  test('an address that the operator allows is kept', async () => {
    const { jwksUri: kept } = await create('near', { jwksUri: 'http://127.0.0.1:9/certs' })
    expect(kept).toBe('http://127.0.0.1:9/certs')
  })

  test('a change keeps what it does not name; one kind of keys takes the place of the other', async () => {
    await create('patched', { clientIdClaim: null })
    core.clock.advance(1000)
    const withKeys = await core.trustedIssuers.update(admin, 'acme', 'patched', {
      jwks: { keys: [ecKey] },
      enabled: false,
    })
    expect(withKeys).toMatchObject({
      jwksUri: null,
      jwks: { keys: [ecKey] },
      enabled: false,
      clientIdClaim: null,
      audiences: ['ast'],
      updatedAtMs: core.clock(),
    })
    const withUri = await core.trustedIssuers.update(admin, 'acme', 'patched', { jwksUri })
    expect(withUri).toMatchObject({ jwksUri, jwks: null })
    expect(await core.trustedIssuers.get(admin, 'acme', 'patched')).toEqual(withUri)
    await expectAll(
      [
        core.trustedIssuers.update(admin, 'acme', 'patched', { jwksUri: null }),
        core.trustedIssuers.update(admin, 'acme', 'patched', { jwksUri, jwks: { keys: [] } }),
      ],
      refusal('invalid_request'),
    )
    await create('neighbour')
    await expect(
      core.trustedIssuers.update(admin, 'acme', 'patched', {
        issuer: 'https://idp.acme.example/neighbour',
      }),
    ).rejects.toThrow(refusal('already_exists'))
  })

  test('of two changes at once neither is lost', async () => {
    await create('contended')
    await Promise.all([
      core.trustedIssuers.update(admin, 'acme', 'contended', { audiences: ['a', 'b'] }),
      core.trustedIssuers.update(admin, 'acme', 'contended', { claimPath: 'roles' }),
      core.trustedIssuers.update(admin, 'acme', 'contended', { enabled: false }),
    ])
    expect(await core.trustedIssuers.get(admin, 'acme', 'contended')).toMatchObject({
      audiences: ['a', 'b'],
      claimPath: 'roles',
      enabled: false,
    })
  })

  test('the list pages in order of creation; what is deleted is gone', async () => {
    await using fresh = await createReadyTestCore({ engine })
    await fresh.tenants.create(platformAdmin, { id: 'acme', name: 'x' })
    for (const id of ['c', 'a', 'b']) {
      await fresh.trustedIssuers.create(admin, 'acme', {
        id,
        issuer: id,
        audiences: ['x'],
        jwksUri,
      })
    }
    const first = await fresh.trustedIssuers.list(admin, 'acme', { limit: 2 })
    expect(first.items.map(({ id }) => id)).toEqual(['c', 'a'])
    await fresh.trustedIssuers.delete(admin, 'acme', 'a')
    const { nextCursor: cursor } = first
    const second = await fresh.trustedIssuers.list(admin, 'acme', { limit: 2, cursor })
    expect(second).toEqual({ items: [expect.objectContaining({ id: 'b' })] })
    await expect(fresh.trustedIssuers.get(admin, 'acme', 'a')).rejects.toThrow(
      refusal('issuer_not_found'),
    )
  })

  test('another tenant does not see them', async () => {
    await create('private')
    const stranger = testCaller('other', ['tenant:write'])
    await expectAll(
      [
        core.trustedIssuers.get(stranger, 'acme', 'private'),
        core.trustedIssuers.list(stranger, 'acme', { limit: 1 }),
        core.trustedIssuers.update(stranger, 'acme', 'private', { enabled: false }),
        core.trustedIssuers.delete(stranger, 'acme', 'private'),
        core.trustedIssuers.list(platformAdmin, 'missing', { limit: 1 }),
      ],
      refusal('tenant_not_found'),
    )
    await expectAll(
      [
        core.trustedIssuers.get(stranger, 'other', 'private'),
        core.trustedIssuers.delete(stranger, 'other', 'private'),
      ],
      refusal('issuer_not_found'),
    )
    const reader = testCaller('acme', ['tenant:read'])
    await expect(core.trustedIssuers.delete(reader, 'acme', 'private')).rejects.toThrow(
      refusal('forbidden'),
    )
  })
})
