import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  createReadyTestCore,
  engines,
  platformAdmin,
  type TestCore,
  testCaller,
} from '#test/support/core.ts'
import { recordsOf, refusal, type UserServices, userServices } from '#test/support/users.ts'

describe.each(engines)('domains on %s', (engine) => {
  let core: TestCore
  let services: UserServices
  let tenantCount = 0

  beforeAll(async () => {
    core = await createReadyTestCore({ engine })
    services = userServices(core)
  })
  afterAll(() => core[Symbol.asyncDispose]())

  async function newTenant() {
    const { id } = await core.tenants.create(platformAdmin, {
      id: `bank-${++tenantCount}`,
      name: 'A bank',
    })
    return { id, admin: testCaller(id, ['tenant:write']) }
  }

  async function defaultsOf(tenantId: string): Promise<string[]> {
    const all = await core.storage.read.userDomains.list(tenantId, { afterUlid: '', limit: 200 })
    return all.filter(({ isDefault }) => isDefault).map(({ name }) => name)
  }

  test('a domain is found by its name in any case and any spelling', async () => {
    const { id, admin } = await newTenant()
    const domain = await services.domains.create(admin, id, {
      name: 'Caf\u00e9.Example',
      netbiosName: 'CAFE',
    })
    expect(domain).toMatchObject({
      name: 'Caf\u00e9.Example',
      netbiosName: 'CAFE',
      dnsName: null,
      description: null,
      isDefault: false,
    })
    expect(await services.domains.get(admin, id, 'CAFE\u0301.EXAMPLE')).toEqual(domain)
  })

  test('a name is taken ignoring case, and only in its tenant', async () => {
    const one = await newTenant()
    const other = await newTenant()
    await services.domains.create(one.admin, one.id, { name: 'Acme' })
    await expect(services.domains.create(one.admin, one.id, { name: 'aCME' })).rejects.toEqual(
      refusal('already_exists', ['/name']),
    )
    await services.domains.create(other.admin, other.id, { name: 'acme' })
  })

  test.each([
    [''],
    ['a/b'],
    ['a\\b'],
    ['a?'],
    ['a#'],
    ['100%'],
    ['a\0b'],
    ['a\tb'],
    ['\udfff'],
    ['x'.repeat(256)],
    ['\u0958'.repeat(200)],
  ])('the name %j is refused', async (name) => {
    const { id, admin } = await newTenant()
    await expect(services.domains.create(admin, id, { name })).rejects.toEqual(
      refusal('invalid_request', ['/name']),
    )
  })

  test('texts that cannot be kept are refused, each with its place', async () => {
    const { id, admin } = await newTenant()
    const draft = {
      name: 'acme',
      dnsName: 'x'.repeat(256),
      netbiosName: 'x'.repeat(16),
      description: 'a\0b',
    }
    await expect(services.domains.create(admin, id, draft)).rejects.toEqual(
      refusal('invalid_request', ['/dnsName', '/netbiosName', '/description']),
    )
    expect(await services.domains.list(admin, id, { limit: 50 })).toMatchObject({
      items: [{ name: 'default' }],
    })
  })

  test('text that looks like SQL is text', async () => {
    const { id, admin } = await newTenant()
    const name = "x'); drop table user_domain; --"
    const description = '$1 \' " ; -- {}'
    await services.domains.create(admin, id, { name, description })
    expect(await services.domains.get(admin, id, name)).toMatchObject({ name, description })
  })

  test('a change leaves alone what it does not name, and null clears', async () => {
    const { id, admin } = await newTenant()
    await services.domains.create(admin, id, {
      name: 'acme',
      dnsName: 'acme.com',
      description: 'd',
    })
    core.clock.advance(1000)
    const changed = await services.domains.update(admin, id, 'ACME', { description: null })
    expect(changed).toMatchObject({ name: 'acme', dnsName: 'acme.com', description: null })
    expect(changed.updatedAtMs).toBe(changed.createdAtMs + 1000)
    expect(await services.domains.get(admin, id, 'acme')).toEqual(changed)
  })

  test('the mark of the default moves and is never given away', async () => {
    const { id, admin } = await newTenant()
    await services.domains.create(admin, id, { name: 'one', isDefault: true })
    expect(await defaultsOf(id)).toEqual(['one'])
    await services.domains.update(admin, id, 'default', { isDefault: true })
    expect(await defaultsOf(id)).toEqual(['default'])
    await services.domains.update(admin, id, 'default', { isDefault: true })
    expect(await defaultsOf(id)).toEqual(['default'])
    await expect(
      services.domains.update(admin, id, 'default', { isDefault: false }),
    ).rejects.toEqual(refusal('invalid_request', ['/isDefault']))
  })

  test('one domain is the default while twenty take the mark at once', async () => {
    const { id, admin } = await newTenant()
    const names = Array.from({ length: 10 }, (_, index) => `d${index}`)
    for (const name of names) await services.domains.create(admin, id, { name })
    await Promise.all([
      ...names.map((name) => services.domains.update(admin, id, name, { isDefault: true })),
      ...names.map((name) =>
        services.domains.create(admin, id, { name: `new-${name}`, isDefault: true }),
      ),
    ])
    expect(await defaultsOf(id)).toHaveLength(1)
  })

  test('a race for one name has one winner', async () => {
    const { id, admin } = await newTenant()
    const names = ['acme', 'ACME', 'Acme', 'aCme', 'acMe', 'acmE']
    const outcomes = await Promise.allSettled(
      names.map((name) => services.domains.create(admin, id, { name })),
    )
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') {
        expect(outcome.reason).toEqual(refusal('already_exists', ['/name']))
      }
    }
  })

  test('only an empty domain that is not the default can be deleted', async () => {
    const { id, admin } = await newTenant()
    await services.domains.create(admin, id, { name: 'acme' })
    const user = await services.users.create(admin, id, { loginName: 'john', domain: 'acme' })
    const deletion = (name: string) => services.domains.delete(admin, id, name)
    await expect(deletion('acme')).rejects.toEqual(refusal('in_use'))
    await expect(deletion('default')).rejects.toEqual(refusal('in_use'))
    await services.users.delete(admin, id, user.id)
    await deletion('ACME')
    await expect(deletion('acme')).rejects.toEqual(refusal('domain_not_found'))
    await expect(services.domains.get(admin, id, 'acme')).rejects.toEqual(
      refusal('domain_not_found'),
    )
  })

  test('deleting a domain while users are made in it leaves no user without a domain', async () => {
    const { id, admin } = await newTenant()
    for (let round = 0; round < 15; round++) {
      const domain = `d${round}`
      await services.domains.create(admin, id, { name: domain })
      const mover = await services.users.create(admin, id, { loginName: `mover-${round}` })
      const [deletion, ...others] = await Promise.allSettled([
        services.domains.delete(admin, id, domain),
        services.users.create(admin, id, { loginName: 'john', domain }),
        services.users.create(admin, id, { loginName: 'jane', domain }),
        services.users.update(admin, id, mover.id, { domain }),
      ])
      const entered = others.filter(({ status }) => status === 'fulfilled').length
      if (deletion?.status === 'fulfilled') {
        expect(entered).toBe(0)
        for (const outcome of others) {
          expect(outcome).toMatchObject({ reason: refusal('domain_not_found') })
        }
      } else {
        expect(deletion).toMatchObject({ reason: refusal('in_use') })
        expect(entered).toBeGreaterThan(0)
      }
    }
  })

  test('a deleted domain takes its name from the repositories bound to it', async () => {
    const { id, admin } = await newTenant()
    await services.domains.create(admin, id, { name: 'acme' })
    const repository = {
      tenantId: id,
      id: core.nextId(),
      name: 'Head office',
      description: null,
      parentId: null,
      domain: 'acme',
      createdAtMs: core.clock(),
    }
    await core.storage.transaction(({ repositories }) => repositories.insert(repository))
    await services.domains.delete(admin, id, 'acme')
    expect(await core.storage.read.repositories.find(id, repository.id)).toMatchObject({
      domain: null,
    })
  })

  test('pages never repeat and never skip while domains come and go', async () => {
    const { id, admin } = await newTenant()
    const stays: string[] = ['default']
    for (let index = 0; index < 7; index++) {
      const { name } = await services.domains.create(admin, id, { name: `stays-${index}` })
      stays.push(name)
      await services.domains.create(admin, id, { name: `goes-${index}` })
    }
    const seen: string[] = []
    let cursor: string | undefined
    for (let page = 0; ; page++) {
      const { items, nextCursor } = await services.domains.list(admin, id, { limit: 3, cursor })
      seen.push(...items.map(({ name }) => name))
      if (nextCursor === undefined) break
      cursor = nextCursor
      await services.domains.delete(admin, id, `goes-${page}`)
      await services.domains.create(admin, id, { name: `late-${page}` })
    }
    expect(new Set(seen).size).toBe(seen.length)
    expect(seen.filter((name) => stays.includes(name))).toEqual(stays)
  })

  test('another tenant does not see it, and a missing scope is forbidden', async () => {
    const one = await newTenant()
    const other = await newTenant()
    await services.domains.create(one.admin, one.id, { name: 'secret' })
    await expect(services.domains.get(other.admin, other.id, 'secret')).rejects.toEqual(
      refusal('domain_not_found'),
    )
    await expect(services.domains.get(other.admin, one.id, 'secret')).rejects.toEqual(
      refusal('tenant_not_found'),
    )
    await expect(
      services.domains.create(testCaller(one.id, ['tenant:read']), one.id, { name: 'x' }),
    ).rejects.toEqual(refusal('forbidden'))
    await expect(
      services.domains.get(testCaller(one.id, ['verify']), one.id, 'secret'),
    ).rejects.toEqual(refusal('forbidden'))
    await expect(services.domains.list(platformAdmin, 'nobody', { limit: 1 })).rejects.toEqual(
      refusal('tenant_not_found'),
    )
    await expect(services.domains.create(platformAdmin, 'nobody', { name: 'x' })).rejects.toEqual(
      refusal('tenant_not_found'),
    )
  })

  test('every change is recorded with it', async () => {
    const { id, admin } = await newTenant()
    await services.domains.create(admin, id, { name: 'Acme', description: 'private' })
    await services.domains.update(admin, id, 'acme', { description: 'more private' })
    await services.domains.delete(admin, id, 'acme')
    expect(await recordsOf(core, id)).toEqual([
      {
        action: 'domain.created',
        target: { type: 'domain', id: 'Acme' },
        userId: null,
        detail: { domain: 'Acme', isDefault: false },
      },
      {
        action: 'domain.updated',
        target: { type: 'domain', id: 'Acme' },
        userId: null,
        detail: { domain: 'Acme', changed: ['description'] },
      },
      {
        action: 'domain.deleted',
        target: { type: 'domain', id: 'Acme' },
        userId: null,
        detail: { domain: 'Acme' },
      },
    ])
  })
})
