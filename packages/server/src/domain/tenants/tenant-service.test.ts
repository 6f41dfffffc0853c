import { afterAll, beforeAll, describe, expect, test } from 'vitest'
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
import { purgedTables } from './tenant-purge-store.ts'

async function rowCount(core: TestCore, table: string, tenantId: string): Promise<number> {
  const count = statement((db, p: { tenantId: string }) =>
    db
      .selectFrom(table as 'user_domain')
      .select((eb) => eb.fn.countAll<number>().as('count'))
      .where('tenant_id', '=', p.tenantId),
  )
  return Number((await core.test.database.reader.first(count, { tenantId }))?.count)
}

describe.each(engines)('tenants on %s', (engine) => {
  let core: TestCore
  beforeAll(async () => {
    core = await createReadyTestCore({ engine })
  })
  afterAll(() => core[Symbol.asyncDispose]())

  const create = (id?: string) => core.tenants.create(platformAdmin, { id, name: 'A bank' })

  async function createDisabled(id: string): Promise<void> {
    await create(id)
    await core.tenants.update(platformAdmin, id, { status: 'DISABLED' })
  }

  test('a new tenant has its keys, its domain, its products and its repository', async () => {
    const tenant = await create('new-bank')
    expect(tenant).toMatchObject({ id: 'new-bank', name: 'A bank', status: 'ACTIVE' })
    const { read } = core.storage
    expect(await read.tenantKeys.listWrappedKeys('new-bank')).toHaveLength(1)
    const auditKey = await read.signingKeys.findActive('new-bank', 'audit')
    expect(auditKey?.publicJwk).toMatchObject({ kty: 'EC', crv: 'P-256', use: 'sig', alg: 'ES256' })
    expect(await read.userDomains.findDefault('new-bank')).toMatchObject({ name: 'default' })
    expect(await read.products.list('new-bank', { afterId: '', limit: 50 })).not.toEqual([])
    expect(await read.repositories.findDefault('new-bank')).toBeDefined()
    expect(await core.settings.callbackSecretOf('new-bank')).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
  })

  test('its audit key signs and its data key seals', async () => {
    await create('keys')
    const key = await core.storage.read.signingKeys.findActive('keys', 'audit')
    if (key === undefined) throw new Error('no key')
    const jws = await core.signer.signCompact('keys', key, 'test+jws', Buffer.from('{}'))
    expect(jws.split('.')).toHaveLength(3)
    const place = { tenantId: 'keys', table: 'otp_token', row: 'x', column: 'sealed_secret' }
    const sealed = await core.vault.seal(place, Buffer.from('secret'))
    expect(Buffer.from(await core.vault.open(place, sealed)).toString()).toBe('secret')
  })

  test('without an id it gets a ULID', async () => {
    expect((await create()).id).toMatch(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/)
  })

  test('numbers rise without gaps, also over refused creations', async () => {
    const first = await create('numbered-1')
    await expect(create('numbered-1')).rejects.toThrow(refusal('already_exists'))
    const second = await create('numbered-2')
    expect(second.number).toBe(first.number + 1)
  })

  test('an id is taken whatever its case, also after deletion', async () => {
    await createDisabled('Taken')
    await expect(create('taken')).rejects.toThrow(refusal('already_exists'))
    await core.tenants.delete(platformAdmin, 'Taken')
    await expect(create('TAKEN')).rejects.toThrow(refusal('already_exists'))
    await expect(create('Taken')).rejects.toThrow(refusal('already_exists'))
  })

  test.each(['', '_platform', '.a', 'a b', 'a/b', 'ä', 'x'.repeat(65)])(
    'nothing can be named %j',
    async (id) => {
      await expect(create(id)).rejects.toThrow(refusal('invalid_request'))
    },
  )

  test('of twenty that create one id at once, one succeeds; numbers stay unique', async () => {
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, (_item, index) => create(index % 2 === 0 ? 'race' : 'RACE')),
    )
    const made = results.filter(({ status }) => status === 'fulfilled')
    expect(made).toHaveLength(1)
    for (const result of results) {
      if (result.status === 'rejected') expect(result.reason).toEqual(refusal('already_exists'))
    }
    const others = await Promise.all(Array.from({ length: 10 }, () => create()))
    expect(new Set(others.map(({ number }) => number)).size).toBe(10)
  })

  test('the platform journal tells who made, changed and deleted it', async () => {
    await createDisabled('reported')
    await core.tenants.delete(platformAdmin, 'reported')
    const records = (await waitingRecords(core, '_platform')).filter(
      ({ target }) => target?.id === 'reported',
    )
    expect(records.map(({ action }) => action)).toEqual([
      'tenant.created',
      'tenant.updated',
      'tenant.deleted',
    ])
    expect(records[1]?.detail).toEqual({ name: 'A bank', status: 'DISABLED' })
  })

  test('the list pages in order of creation and leaves out what is deleted', async () => {
    await using fresh = await createReadyTestCore({ engine })
    for (const id of ['c', 'a', 'd', 'b']) {
      await fresh.tenants.create(platformAdmin, { id, name: id })
    }
    await fresh.tenants.update(platformAdmin, 'a', { status: 'DISABLED' })
    await fresh.tenants.update(platformAdmin, 'd', { status: 'DISABLED' })
    await fresh.tenants.delete(platformAdmin, 'd')

    const first = await fresh.tenants.list(platformAdmin, { limit: 2 })
    expect(first.items.map(({ id }) => id)).toEqual(['c', 'a'])
    const second = await fresh.tenants.list(platformAdmin, { limit: 2, cursor: first.nextCursor })
    expect(second.items.map(({ id }) => id)).toEqual(['b'])
    expect(second.nextCursor).toBeUndefined()

    const disabled = await fresh.tenants.list(platformAdmin, { limit: 50, status: 'DISABLED' })
    expect(disabled.items.map(({ id }) => id)).toEqual(['a'])
    await expect(
      fresh.tenants.list(platformAdmin, { limit: 2, cursor: first.nextCursor, status: 'ACTIVE' }),
    ).rejects.toThrow(refusal('cursor_invalid'))
  })

  test('a change keeps what it does not name', async () => {
    await create('changed')
    core.clock.advance(1000)
    const renamed = await core.tenants.update(platformAdmin, 'changed', { name: 'Other' })
    expect(renamed).toMatchObject({ name: 'Other', status: 'ACTIVE', updatedAtMs: core.clock() })
    const disabled = await core.tenants.update(platformAdmin, 'changed', { status: 'DISABLED' })
    expect(disabled).toMatchObject({ name: 'Other', status: 'DISABLED' })
    expect(await core.tenants.get(platformAdmin, 'changed')).toEqual(disabled)
  })

  test('only platform administrators make, list, change and delete', async () => {
    await create('guarded')
    const caller = testCaller('guarded', ['tenant:write'])
    const calls = [
      core.tenants.create(caller, { name: 'x' }),
      core.tenants.list(caller, { limit: 1 }),
      core.tenants.update(caller, 'guarded', { name: 'x' }),
      core.tenants.delete(caller, 'guarded'),
    ]
    await expectAll(calls, refusal('forbidden'))
  })

  test('another tenant does not see it', async () => {
    await create('mine')
    await create('theirs')
    const caller = testCaller('mine', ['tenant:read'])
    expect(await core.tenants.get(caller, 'mine')).toMatchObject({ id: 'mine' })
    for (const id of ['theirs', 'missing', 'MINE']) {
      await expect(core.tenants.get(caller, id)).rejects.toThrow(refusal('tenant_not_found'))
      await expect(core.tenants.requireVisible(caller, id)).rejects.toThrow(
        refusal('tenant_not_found'),
      )
    }
    await core.tenants.requireVisible(platformAdmin, 'theirs')
    await expect(core.tenants.requireVisible(platformAdmin, 'missing')).rejects.toThrow(
      refusal('tenant_not_found'),
    )
  })

  describe('deletion', () => {
    test('is refused while the tenant is active, and for what is not there', async () => {
      await create('active')
      await expect(core.tenants.delete(platformAdmin, 'active')).rejects.toThrow(
        refusal('state_conflict'),
      )
      await expect(core.tenants.delete(platformAdmin, 'never-there')).rejects.toThrow(
        refusal('tenant_not_found'),
      )
    })

    test('leaves nothing in any table but the taken id, and nothing of others is touched', async () => {
      await create('stays')
      await createDisabled('goes')
      await core.settings.update(platformAdmin, 'goes', { patch: { push: { title: 'Private' } } })
      expect(await rowCount(core, 'otp_product', 'goes')).toBeGreaterThan(0)
      await core.tenants.delete(platformAdmin, 'goes')

      for (const table of Object.keys(purgedTables)) {
        expect(`${table}: ${await rowCount(core, table, 'goes')}`).toBe(`${table}: 0`)
      }
      expect(await rowCount(core, 'tenant', 'goes')).toBe(1)
      const left = statement((db, p: { id: string }) =>
        db.selectFrom('tenant').selectAll().where('tenant_id', '=', p.id),
      )
      const row = await core.test.database.reader.first(left, { id: 'goes' })
      expect(row).toMatchObject({ name: '', status: 'DELETED', settings: '{}' })

      await expect(core.tenants.get(platformAdmin, 'goes')).rejects.toThrow(
        refusal('tenant_not_found'),
      )
      await expect(core.tenants.delete(platformAdmin, 'goes')).rejects.toThrow(
        refusal('tenant_not_found'),
      )
      expect(await rowCount(core, 'otp_product', 'stays')).toBeGreaterThan(0)
      expect(await core.storage.read.tenantKeys.listWrappedKeys('stays')).toHaveLength(1)
    })

    test('records the end of the chain in the platform journal', async () => {
      await createDisabled('chained')
      await core.settings.update(platformAdmin, 'chained', { patch: { push: { enabled: false } } })
      const head = await core.sealer.sealTenant('chained')
      await core.settings.update(platformAdmin, 'chained', { patch: { push: { enabled: true } } })
      await core.tenants.delete(platformAdmin, 'chained')
      const records = await waitingRecords(core, '_platform')
      const record = records.find(
        ({ action, target }) => action === 'tenant.deleted' && target?.id === 'chained',
      )
      expect(record?.detail.lastSeq).toBe((head?.seq ?? 0) + 1)
      expect(record?.detail.lastHash).toMatch(/^[0-9a-f]{64}$/)
    })

    test('of several at once, one deletes', async () => {
      await createDisabled('gone-once')
      const results = await Promise.allSettled(
        Array.from({ length: 8 }, () => core.tenants.delete(platformAdmin, 'gone-once')),
      )
      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    })

    test('is finished later by the timer, also for rows that were written meanwhile', async () => {
      await createDisabled('late')
      await core.tenants.delete(platformAdmin, 'late')
      await core.storage.transaction((stores) =>
        stores.userDomains.insertFirst('late', core.clock(), core.nextId),
      )
      await core.tenantPurge.continueAll()
      expect(await rowCount(core, 'user_domain', 'late')).toBe(0)

      const marks = () =>
        core.storage.read.platformValues.listByPrefix('_platform', 'tenant-purge:', 100)
      expect((await marks()).map(({ name }) => name)).toContain('tenant-purge:late')
      core.clock.advance(60_001)
      await core.tenantPurge.continueAll()
      expect(await marks()).toEqual([])
    })

    test('of more rows than one batch removes all', async () => {
      await createDisabled('large')
      const insert = statement((db, p: { value: string }) =>
        db
          .insertInto('user_identifier')
          .values({ tenant_id: 'large', scheme: 'external', value: p.value, user_id: 'u' }),
      )
      await core.test.database.transaction(async (queries) => {
        for (let index = 0; index < 1201; index++) {
          await queries.run(insert, { value: String(index) })
        }
      })
      await core.tenants.delete(platformAdmin, 'large')
      expect(await rowCount(core, 'user_identifier', 'large')).toBe(0)
    })
  })
})

test('the tables that are emptied are the tables of the database', async () => {
  await using core = await createReadyTestCore()
  const listTables = statement((db) =>
    db
      .selectFrom('sqlite_master' as 'tenant')
      .select('name')
      .where('type' as 'name', '=', 'table'),
  )
  const rows = await core.test.database.reader.all(listTables, {})
  const tables = rows.map(({ name }) => name).filter((name) => !name.startsWith('sqlite_'))
  expect(tables.filter((name) => name !== 'tenant' && name !== 'schema_version').sort()).toEqual(
    Object.keys(purgedTables).sort(),
  )
})
