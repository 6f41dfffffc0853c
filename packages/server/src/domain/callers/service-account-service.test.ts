import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sha256Hex } from '#custody/secrets.ts'
import { statement } from '#storage/statement.ts'
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
import type { Scope } from './scopes.ts'

const acmeAdmin = testCaller('acme', ['tenant:write'])
const thumbprint = 'ab'.repeat(32)

describe.each(engines)('service accounts on %s', (engine) => {
  let core: TestCore
  beforeAll(async () => {
    core = await createReadyTestCore({ engine })
    for (const id of ['acme', 'other']) {
      await core.tenants.create(platformAdmin, { id, name: id })
    }
  })
  afterAll(() => core[Symbol.asyncDispose]())

  const create = (id: string, scopes: readonly Scope[] = ['verify'], tenantId = 'acme') =>
    core.serviceAccounts.create(platformAdmin, { id, tenantId, scopes })

  async function storedHash(id: string): Promise<string | undefined> {
    const find = statement((db, p: { id: string }) =>
      db.selectFrom('service_account').select('secret_hash').where('id', '=', p.id),
    )
    return (await core.test.database.reader.first(find, { id }))?.secret_hash
  }

  describe('created', () => {
    test('has the defaults of the contract and a secret of which only the hash is kept', async () => {
      const { account, secret } = await core.serviceAccounts.create(acmeAdmin, {
        id: 'defaults',
        scopes: ['verify'],
      })
      expect(secret).toMatch(/^csk_[A-Za-z0-9_-]{43}$/)
      expect(account).toMatchObject({
        tenantId: 'acme',
        description: '',
        enabled: true,
        expiresAtMs: null,
        allowedAddresses: [],
        certificateThumbprints: [],
        lastUsedAtMs: null,
      })
      expect(await core.serviceAccounts.get(acmeAdmin, 'defaults')).toEqual(account)
      expect(await storedHash('defaults')).toBe(sha256Hex(secret))
    })

    test('keeps everything that is said', async () => {
      const { account } = await core.serviceAccounts.create(acmeAdmin, {
        id: 'full',
        description: 'VPN gateway',
        scopes: ['verify', 'tenant:read'],
        enabled: false,
        expiresAtMs: core.clock() + 1000,
        allowedAddresses: ['192.0.2.0/24', '2001:db8::1'],
        certificateThumbprints: [thumbprint, '0'.repeat(64)],
      })
      expect(account.certificateThumbprints).toEqual(['0'.repeat(64), thumbprint])
      expect(await core.serviceAccounts.get(acmeAdmin, 'full')).toEqual(account)
    })

    test('is named once on the whole server, and so is a certificate', async () => {
      await create('unique')
      await expect(create('unique', ['verify'], 'other')).rejects.toThrow(refusal('already_exists'))
      const certificateThumbprints = ['cd'.repeat(32)]
      await core.serviceAccounts.update(platformAdmin, 'unique', { certificateThumbprints })
      await expect(
        core.serviceAccounts.create(platformAdmin, {
          id: 'thief',
          tenantId: 'other',
          scopes: ['verify'],
          certificateThumbprints,
        }),
      ).rejects.toThrow(
        expect.objectContaining({ message: expect.stringContaining('certificate') }),
      )
      await expect(core.serviceAccounts.get(platformAdmin, 'thief')).rejects.toThrow(
        refusal('account_not_found'),
      )
    })

    test('of many with one id at once there is one', async () => {
      const results = await Promise.allSettled(Array.from({ length: 12 }, () => create('raced')))
      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    })

    test.each([
      ['/id', { id: '_x' }],
      ['/scopes', { scopes: [] }],
      ['/scopes', { scopes: ['verify', 'verify'] as Scope[] }],
      ['/allowedAddresses/1', { allowedAddresses: ['192.0.2.1', '192.0.2.1/24'] }],
      ['/allowedAddresses/0', { allowedAddresses: ['010.0.0.1'] }],
      ['/certificateThumbprints/0', { certificateThumbprints: ['AB'.repeat(32)] }],
      ['/description', { description: 'x'.repeat(256) }],
    ])('is refused with a fault at %s and leaves nothing', async (pointer, changes) => {
      const draft = { id: 'faulty', scopes: ['verify'] as Scope[], ...changes }
      await expect(core.serviceAccounts.create(acmeAdmin, draft)).rejects.toMatchObject({
        code: 'invalid_request',
        faults: [{ pointer }],
      })
      expect(await storedHash('faulty')).toBeUndefined()
    })

    test('in a tenant that is not there is refused at the member that names it', async () => {
      for (const [caller, tenantId] of [
        [platformAdmin, 'missing'],
        [acmeAdmin, 'other'],
        [acmeAdmin, 'missing'],
      ] as const) {
        await expect(
          core.serviceAccounts.create(caller, { tenantId, scopes: ['verify'] }),
        ).rejects.toMatchObject({ code: 'tenant_not_found', pointer: '/tenantId' })
      }
    })

    test('with the id of the first administrator belongs to the platform or to nobody', async () => {
      await expect(
        core.serviceAccounts.create(acmeAdmin, { id: 'bootstrap', scopes: ['verify'] }),
      ).rejects.toThrow(refusal('already_exists'))
    })
  })

  describe('scopes', () => {
    const all: Scope[] = ['tenant:write', 'verify', 'audit:read', 'okms:write', 'firmware:read']

    test('tenant:write grants all in its tenant but those of the platform', async () => {
      await core.serviceAccounts.create(acmeAdmin, { id: 'granted', scopes: all })
      for (const scopes of [['platform:admin'], ['verify', 'firmware:write']] as Scope[][]) {
        await expect(core.serviceAccounts.create(acmeAdmin, { scopes })).rejects.toThrow(
          refusal('not_grantable'),
        )
        await expect(core.serviceAccounts.update(acmeAdmin, 'granted', { scopes })).rejects.toThrow(
          refusal('not_grantable'),
        )
        await expect(
          core.serviceAccounts.create(platformAdmin, { tenantId: 'acme', scopes }),
        ).rejects.toThrow(refusal('not_grantable'))
      }
      expect((await core.serviceAccounts.get(acmeAdmin, 'granted')).scopes).toEqual(all)
    })

    test('only platform administrators make accounts of the platform', async () => {
      const draft = { tenantId: null, scopes: ['firmware:write'] as Scope[] }
      const { account } = await core.serviceAccounts.create(platformAdmin, draft)
      expect(account.tenantId).toBeNull()
      for (const caller of [acmeAdmin, testCaller(null, ['tenant:write'])]) {
        await expect(core.serviceAccounts.create(caller, draft)).rejects.toThrow(
          refusal('not_grantable'),
        )
      }
    })

    test('without tenant:write nothing is changed, without tenant:read nothing is read', async () => {
      await create('scoped')
      const verifier = testCaller('acme', ['verify'])
      const reader = testCaller('acme', ['tenant:read'])
      await expectAll(
        [
          core.serviceAccounts.get(verifier, 'scoped'),
          core.serviceAccounts.list(verifier, { limit: 1 }),
          core.serviceAccounts.create(reader, { scopes: ['verify'] }),
          core.serviceAccounts.update(reader, 'scoped', { enabled: false }),
          core.serviceAccounts.rotateSecret(reader, 'scoped', {}),
          core.serviceAccounts.delete(reader, 'scoped'),
        ],
        refusal('forbidden'),
      )
    })
  })

  describe('seen by others', () => {
    test('another tenant has no such account', async () => {
      await create('hidden')
      const stranger = testCaller('other', ['tenant:write'])
      await expectAll(
        [
          core.serviceAccounts.get(stranger, 'hidden'),
          core.serviceAccounts.update(stranger, 'hidden', { enabled: false }),
          core.serviceAccounts.rotateSecret(stranger, 'hidden', {}),
          core.serviceAccounts.delete(stranger, 'hidden'),
          core.serviceAccounts.get(stranger, 'never-there'),
        ],
        refusal('account_not_found'),
      )
    })

    test('accounts of the platform are there for its administrators only', async () => {
      await core.serviceAccounts.create(platformAdmin, {
        id: 'platform-reader',
        tenantId: null,
        scopes: ['tenant:write'],
      })
      const helper = testCaller(null, ['tenant:write'])
      expect(await core.serviceAccounts.get(platformAdmin, 'platform-reader')).toBeDefined()
      await expectAll(
        [
          core.serviceAccounts.get(helper, 'platform-reader'),
          core.serviceAccounts.rotateSecret(helper, 'platform-reader', {}),
          core.serviceAccounts.get(acmeAdmin, 'platform-reader'),
        ],
        refusal('account_not_found'),
      )
      const { items } = await core.serviceAccounts.list(helper, { limit: 200 })
      expect(items.length).toBeGreaterThan(0)
      expect(items.every(({ tenantId }) => tenantId !== null)).toBe(true)
    })

    test('lists page in order of creation, filtered, of the own tenant only', async () => {
      await using fresh = await createReadyTestCore({ engine })
      for (const id of ['one', 'two']) await fresh.tenants.create(platformAdmin, { id, name: id })
      for (const [id, tenantId] of [
        ['c', 'one'],
        ['a', 'two'],
        ['b', 'one'],
        ['z', null],
        ['d', 'one'],
      ] as const) {
        await fresh.serviceAccounts.create(platformAdmin, { id, tenantId, scopes: ['verify'] })
      }
      await fresh.serviceAccounts.update(platformAdmin, 'b', {
        enabled: false,
        certificateThumbprints: [thumbprint],
      })
      const list = async (
        caller: typeof acmeAdmin,
        filter: { tenantId?: string; enabled?: boolean } = {},
      ) => {
        const ids: string[] = []
        let cursor: string | undefined
        do {
          const page = await fresh.serviceAccounts.list(caller, { limit: 2, cursor, ...filter })
          ids.push(...page.items.map(({ id }) => id))
          cursor = page.nextCursor
        } while (cursor !== undefined)
        return ids.join('')
      }
      const one = testCaller('one', ['tenant:read'])
      expect(await list(platformAdmin)).toBe('cabzd')
      expect(await list(platformAdmin, { tenantId: 'two' })).toBe('a')
      expect(await list(platformAdmin, { tenantId: 'missing' })).toBe('')
      expect(await list(one)).toBe('cbd')
      expect(await list(one, { enabled: true })).toBe('cd')
      expect(await list(one, { tenantId: 'one', enabled: false })).toBe('b')
      expect(await list(one, { tenantId: 'two' })).toBe('')
      const { items } = await fresh.serviceAccounts.list(one, { limit: 50 })
      expect(items.map(({ certificateThumbprints }) => certificateThumbprints)).toEqual([
        [],
        [thumbprint],
        [],
      ])
    })
  })

  describe('changed', () => {
    test('keeps what is not named, and tells the journal what was', async () => {
      await create('changed', ['verify', 'audit:read'])
      core.clock.advance(1000)
      const changed = await core.serviceAccounts.update(acmeAdmin, 'changed', {
        description: 'new',
        expiresAtMs: 99,
      })
      expect(changed).toMatchObject({
        description: 'new',
        expiresAtMs: 99,
        scopes: ['verify', 'audit:read'],
        updatedAtMs: core.clock(),
      })
      const cleared = await core.serviceAccounts.update(acmeAdmin, 'changed', { expiresAtMs: null })
      expect(cleared.expiresAtMs).toBeNull()
      const records = (await waitingRecords(core, 'acme')).filter(
        ({ target }) => target?.id === 'changed',
      )
      expect(records.map(({ action, detail }) => [action, detail.members])).toEqual([
        ['service-account.created', undefined],
        ['service-account.updated', ['description', 'expiresAtMs']],
        ['service-account.updated', ['expiresAtMs']],
      ])
    })

    test('by two at once on different members loses neither', async () => {
      await create('both')
      await Promise.all([
        core.serviceAccounts.update(acmeAdmin, 'both', { description: 'one' }),
        core.serviceAccounts.update(acmeAdmin, 'both', { allowedAddresses: ['192.0.2.1'] }),
      ])
      expect(await core.serviceAccounts.get(acmeAdmin, 'both')).toMatchObject({
        description: 'one',
        allowedAddresses: ['192.0.2.1'],
      })
    })

    test('deleted, it is gone and its id is free', async () => {
      await create('deleted')
      await core.serviceAccounts.update(acmeAdmin, 'deleted', {
        certificateThumbprints: ['ef'.repeat(32)],
      })
      await core.serviceAccounts.delete(acmeAdmin, 'deleted')
      await expect(core.serviceAccounts.delete(acmeAdmin, 'deleted')).rejects.toThrow(
        refusal('account_not_found'),
      )
      await core.serviceAccounts.create(acmeAdmin, {
        id: 'deleted',
        scopes: ['verify'],
        certificateThumbprints: ['ef'.repeat(32)],
      })
    })
  })

  describe('secrets', () => {
    test('of many rotations at once one gives a secret, and that one is stored', async () => {
      await create('rotated')
      const results = await Promise.allSettled(
        Array.from({ length: 10 }, () =>
          core.serviceAccounts.rotateSecret(acmeAdmin, 'rotated', { graceSeconds: 60 }),
        ),
      )
      const done = results.filter((result) => result.status === 'fulfilled')
      for (const result of results) {
        if (result.status === 'rejected') expect(result.reason).toEqual(refusal('state_conflict'))
      }
      const hashes = done.map(({ value }) => sha256Hex(value.secret))
      expect(hashes).toContain(await storedHash('rotated'))
      // Those that came one after the other are fine; no two may have replaced the same secret.
      const records = await waitingRecords(core, 'acme')
      const rotations = records.filter(
        ({ action, target }) =>
          action === 'service-account.secret-rotated' && target?.id === 'rotated',
      )
      expect(rotations).toHaveLength(done.length)
    })
  })
})

describe.each(engines)('the last platform administrator on %s', (engine) => {
  async function withAdministrators(count: number): Promise<TestCore> {
    const core = await createReadyTestCore({ engine })
    for (let index = 0; index < count; index++) {
      await core.serviceAccounts.create(platformAdmin, {
        id: `admin-${index}`,
        tenantId: null,
        scopes: ['platform:admin'],
      })
    }
    return core
  }

  test('cannot be disabled, stripped, expired or deleted', async () => {
    await using core = await withAdministrators(1)
    await core.serviceAccounts.create(platformAdmin, {
      id: 'no-admin',
      tenantId: null,
      scopes: ['tenant:write'],
    })
    await expectAll(
      [
        core.serviceAccounts.update(platformAdmin, 'admin-0', { enabled: false }),
        core.serviceAccounts.update(platformAdmin, 'admin-0', { scopes: ['tenant:write'] }),
        core.serviceAccounts.update(platformAdmin, 'admin-0', { expiresAtMs: core.clock() }),
        core.serviceAccounts.delete(platformAdmin, 'admin-0'),
      ],
      refusal('state_conflict'),
    )
    await core.serviceAccounts.update(platformAdmin, 'admin-0', { description: 'still here' })
    await core.serviceAccounts.delete(platformAdmin, 'no-admin')
  })

  test('does not count when disabled or expired', async () => {
    await using core = await withAdministrators(3)
    await core.serviceAccounts.update(platformAdmin, 'admin-1', { enabled: false })
    await core.serviceAccounts.update(platformAdmin, 'admin-2', {
      expiresAtMs: core.clock() + 1000,
    })
    core.clock.advance(1000)
    await expect(core.serviceAccounts.delete(platformAdmin, 'admin-0')).rejects.toThrow(
      refusal('state_conflict'),
    )
    await core.serviceAccounts.delete(platformAdmin, 'admin-1')
  })

  test('remains when all are removed at the same moment', async () => {
    await using core = await withAdministrators(6)
    const results = await Promise.allSettled(
      Array.from({ length: 6 }, (_item, index) =>
        index % 2 === 0
          ? core.serviceAccounts.delete(platformAdmin, `admin-${index}`)
          : core.serviceAccounts.update(platformAdmin, `admin-${index}`, { enabled: false }),
      ),
    )
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(1)
    const { items } = await core.serviceAccounts.list(platformAdmin, { limit: 50, enabled: true })
    expect(items).toHaveLength(1)
  })
})

describe.each(engines)('the first administrator on %s', (engine) => {
  test('is made once, with a secret that works', async () => {
    await using core = await createReadyTestCore({ engine })
    const made = await core.serviceAccounts.ensureAdministrator()
    expect(made?.account).toMatchObject({ id: 'bootstrap', scopes: ['platform:admin'] })
    const caller = await core.authenticator.authenticate(
      { bearer: made?.secret },
      { address: '127.0.0.1', surface: 'native', requestId: null },
    )
    expect(caller).toMatchObject({ id: 'bootstrap', isPlatform: true })
    expect(await core.serviceAccounts.ensureAdministrator()).toBeUndefined()
  })

  test('is made by one of many starts', async () => {
    await using core = await createReadyTestCore({ engine })
    const starts = await Promise.all(
      Array.from({ length: 8 }, () => core.serviceAccounts.ensureAdministrator()),
    )
    expect(starts.filter((start) => start !== undefined)).toHaveLength(1)
  })
})
