import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Caller } from '#domain/callers/caller.ts'
import { engines, testCaller } from '#test/support/core.ts'
import { createTestKey, csrOf } from '#test/support/device-keys.ts'
import { type AstInstallation, createAstInstallation } from './ast.fixture.ts'

const installations = new Map<string, Promise<AstInstallation>>()
const installationOn = (engine: (typeof engines)[number]) => {
  const made = installations.get(engine) ?? createAstInstallation({ engine })
  installations.set(engine, made)
  return made
}
afterAll(async () => {
  for (const made of installations.values()) await (await made)[Symbol.asyncDispose]()
})

/** A certificate of a device that nobody had before. */
async function issue(ast: AstInstallation, userId: string, profile: 'AST_DEVICE' | 'SIGNATURE') {
  const { pki } = ast.core
  const [deviceKey, bioKey] = [createTestKey(), createTestKey()]
  const deviceId = ast.composed.nextId()
  const caller = new Caller({
    type: 'DEVICE',
    id: deviceId,
    address: null,
    surface: 'device',
    requestId: null,
    tenantId: 'acme',
    scopes: [],
  })
  const thumbprints = { deviceKey: deviceKey.thumbprint, bioKey: bioKey.thumbprint }
  const owner = { tenantId: 'acme', deviceId, userId, ...thumbprints }
  const csr = await csrOf(profile === 'AST_DEVICE' ? deviceKey : bioKey)
  const { id } = await pki.certificates.request(caller, owner, { profile, csr })
  await pki.issuance.issueDue()
  return { id, deviceId }
}

describe.each(engines)('listSigners on %s', (engine) => {
  let ast: AstInstallation
  const list = (query: Record<string, string> = {}, tenant = 'shop') =>
    ast.call(`GET /v2/tenants/${tenant}/signers?${new URLSearchParams(query)}`, {
      token: tenant === 'shop' ? ast.stranger : ast.admin,
    })
  const namesOf = async (filter: string) => {
    const { status, body, headers } = await list({ filter })
    expect(status).toBe(200)
    expect(headers['x-total-count']).toBe(String(body.length))
    return body.map(({ name }: { name: string }) => name)
  }

  beforeAll(async () => {
    ast = await installationOn(engine)
    for (const name of ['SignerA-1', 'signera-2', 'Other', 'A_b', 'AxB', 'Grün', 'zz']) {
      await ast.call('POST /v2/tenants/shop/signers', { token: ast.stranger, body: { name } })
      ast.clock.advance(1000)
    }
  })

  test('200 newest first, in pages, with how many there are', async () => {
    const first = await list({ page_size: '5' })
    expect(first.headers['x-total-count']).toBe('7')
    expect(first.body.map(({ generation }: { generation: number }) => generation)).toEqual([
      6, 5, 4, 3, 2,
    ])
    expect(first.body[0]).toMatchObject({ name: 'zz', state: 'ACTIVE', tenant: 'shop' })
    const second = await list({ page: '2', page_size: '5' })
    expect(second.body.map(({ name }: { name: string }) => name)).toEqual([
      'signera-2',
      'SignerA-1',
    ])
    const beyond = await list({ page: '3', page_size: '5' })
    expect(beyond.body).toEqual([])
    expect(beyond.headers['x-total-count']).toBe('7')
    expect((await list({ page: '2147483647', page_size: '100' })).body).toEqual([])
  })

  test.each([
    ['name^=SignerA-', ['SignerA-1']],
    ['name ^= SignerA- [i]', ['signera-2', 'SignerA-1']],
    ['name like "A_b"', ['A_b']],
    ['name like "A_b"[i]', ['AxB', 'A_b']],
    ['name *= "_"', ['A_b']],
    ['name = "GRüN"[i]', ['Grün']],
    ['name = "GRÜN"[i]', []],
    ['name > Z', ['zz', 'signera-2']],
    ['state=ACTIVE or generation in {0, 2.0, 9.5}', ['zz', 'Other', 'SignerA-1']],
    ['generation > 1.5 and generation < 4', ['A_b', 'Other']],
    ['state !in {ACTIVE} and name !in {Other, A_b}', ['Grün', 'AxB', 'signera-2', 'SignerA-1']],
    ['name = null', []],
    ["name='x'' or 1=1 --'", 400],
  ])('filter %s', async (filter, names) => {
    if (names === 400) {
      expect((await list({ filter })).body).toMatchObject({ code: '4002', subsystem: 519 })
    } else {
      expect(await namesOf(filter)).toEqual(names)
    }
  })

  test('filter by the moments that it tells', async () => {
    const { body } = await list()
    const [, , , , third] = body
    expect(await namesOf(`createdAt = "${third.createdAt}"`)).toEqual([third.name])
    expect(await namesOf(`createdAt < "${third.createdAt}"`)).toEqual(['signera-2', 'SignerA-1'])
    expect(await namesOf(`id = ${third.id}`)).toEqual([third.name])
  })

  test('400 for properties that are none, filters that are none, and pages out of range', async () => {
    const unknown = await list({ filter: 'colour=red' })
    expect(unknown.status).toBe(400)
    expect(unknown.body).toMatchObject({ code: '4001', subsystem: 519 })
    expect(unknown.body.message).toContain('UnknownProperty: colour')
    const broken = await list({ filter: 'name=' })
    expect(broken.body).toMatchObject({ code: '4002', subsystem: 519 })
    expect(broken.body.message).toContain('character 6')
    for (const query of [
      { page: '0' },
      { page_size: '4' },
      { page_size: '101' },
      { page: 'x' },
      { filter: '' },
    ]) {
      expect((await list(query)).status).toBe(400)
    }
  })

  test('another tenant’s are not among them', async () => {
    expect(
      (await list({}, 'acme')).body.every(({ tenant }: { tenant: string }) => tenant === 'acme'),
    ).toBe(true)
    const { headers } = await list({ filter: 'name=zz' }, 'acme')
    expect(headers['x-total-count']).toBe('0')
  })
})

describe.each(engines)('listCertificates on %s', (engine) => {
  let ast: AstInstallation
  let signer: string
  let issued: { id: string; deviceId: string }[]
  const list = (query: Record<string, string> = {}, token?: string) =>
    ast.call(`GET /v1/tenants/acme/certificates/admin?${new URLSearchParams(query)}`, {
      token: token ?? ast.reader,
    })
  const refsOf = async (filter: string) => {
    const { status, body, headers } = await list({ filter })
    expect(status).toBe(200)
    expect(headers['x-total-count']).toBe(String(body.length))
    return body.map(({ certRef }: { certRef: string }) => certRef)
  }

  beforeAll(async () => {
    ast = await installationOn(engine)
    signer = (await ast.call('POST /v2/tenants/acme/signers')).body.id
    await ast.core.pki.issuance.issueDue()
    issued = []
    for (const [userId, profile] of [
      ['anna', 'AST_DEVICE'],
      ['anna', 'SIGNATURE'],
      ['Bert', 'AST_DEVICE'],
      ['x y', 'SIGNATURE'],
    ] as const) {
      ast.clock.advance(1000)
      issued.push(await issue(ast, userId, profile))
    }
  })

  test('200 newest first; a signer’s own request has neither user nor client', async () => {
    const { status, body, headers } = await list()
    expect(status).toBe(200)
    expect(headers['x-total-count']).toBe('5')
    const refs = [signer, ...issued.map(({ id }) => id)].reverse()
    expect(body.map(({ certRef }: { certRef: string }) => certRef)).toEqual(refs)
    expect(body[0]).toMatchObject({
      status: 'ISSUED',
      signer,
      user: 'x y',
      client: issued[3]?.deviceId,
      certProfile: 'SIGNATURE',
    })
    expect(body[4]).toMatchObject({ certProfile: 'TENANT_SIGNER', user: null, client: null })
    expect((await list({ page: '2', page_size: '5' })).body).toEqual([])
  })

  test('filters of the page, on both engines alike', async () => {
    const [first, second, third, fourth] = issued.map(({ id }) => id)
    expect(await refsOf('user=anna')).toEqual([second, first])
    expect(await refsOf('user=bert')).toEqual([])
    expect(await refsOf('user=bert[i]')).toEqual([third])
    expect(await refsOf('profile in { AST_DEVICE, SIGNATURE }')).toEqual([
      fourth,
      third,
      second,
      first,
    ])
    expect(await refsOf('profile !in { AST_DEVICE, SIGNATURE }')).toEqual([signer])
    expect(await refsOf('user=null')).toEqual([signer])
    expect(await refsOf('user!=anna')).toEqual([fourth, third])
    expect(
      await refsOf(`client=${issued[0]?.deviceId} or (user="x y" and certRef=${fourth})`),
    ).toEqual([fourth, first])
    expect(await refsOf('status=REQUESTED')).toEqual([])
  })

  test('a certificate that was revoked counts as ISSUED, in the filter as in the reply', async () => {
    const { id } = await issue(ast, 'carla', 'AST_DEVICE')
    const admin = testCaller('acme', ['tenant:write'])
    await ast.core.pki.certificates.revoke(admin, 'acme', { id, reason: 'KEY_COMPROMISE' })
    expect(await refsOf('user=carla and status=ISSUED')).toEqual([id])
    expect(await refsOf('status=REVOKED')).toEqual([])
    const { body } = await ast.call(`GET /v1/tenants/acme/certificates/admin/${id}`)
    expect(body.status).toBe('ISSUED')
  })

  test('another tenant’s are not among them', async () => {
    const other = await ast.call('GET /v1/tenants/shop/certificates/admin', { token: ast.stranger })
    for (const { certProfile } of other.body) expect(certProfile).toBe('TENANT_SIGNER')
  })
})
