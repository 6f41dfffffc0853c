import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines, testCaller } from '#test/support/core.ts'
import { createTokenBench, type TokenBench } from '#test/support/otp-tokens.ts'
import type { EntityName } from './directory.ts'
import type { Condition, Projection, Search } from './directory-query.ts'
import { DirectoryService } from './directory-service.ts'

const tenantId = 'acme'

describe.each(engines)('the directory on %s', (engine) => {
  let bench: TokenBench
  let directory: DirectoryService
  const statements: string[] = []

  beforeAll(async () => {
    bench = await createTokenBench({ engine, observer: observerOf(statements) })
    const { storage, clock, settings } = bench.core
    directory = new DirectoryService({ storage, clock, policies: settings })
    const { admin, addToken, assignments, users } = bench
    await users.update(admin, tenantId, 'jsmith', { email: 'J.Smith@example.com' })
    await users.update(admin, tenantId, 'mjones', { lastName: 'Ångström_100%' })
    for (let number = 1; number <= 3; number++) {
      await addToken({ serial: `S-${number}`, user: { id: 'jsmith' } })
    }
    const free = await addToken({ serial: 's-2', description: 'Spare' })
    await addToken({ serial: '100%', description: null })
    const [owned] = await tokens([{ path: ['serial'], op: '=', value: 'S-1' }])
    await assignments.create(admin, tenantId, owned?.id ?? '', {
      user: { id: 'mjones' },
      shared: true,
    })
    expect(free.serial).toBe('s-2')
  }, 60_000)
  afterAll(() => bench[Symbol.asyncDispose]())

  const search = (entity: EntityName, changes: Partial<Search>) =>
    directory.search(bench.reader, tenantId, entity, { ...everything, ...changes })

  async function tokens(conditions: readonly Condition[]) {
    return (await search('token', { conditions })).rows
  }

  async function serials(...conditions: Condition[]) {
    return (await tokens(conditions)).map(({ fields }) => fields.serial)
  }

  test.each<[Condition, string[]]>([
    [{ path: ['serial'], op: '=', value: 'S-2' }, ['S-2']],
    [{ path: ['serial'], op: 'like', value: 's-_' }, ['S-1', 'S-2', 'S-3', 's-2']],
    [{ path: ['serial'], op: 'like', value: '1%\\%' }, ['100%']],
    [{ path: ['serial'], op: 'like', value: '%' }, ['S-1', 'S-2', 'S-3', 's-2', '100%']],
    [{ path: ['serial'], op: '!=', value: 'S-2' }, ['S-1', 'S-3', 's-2', '100%']],
    [{ path: ['description'], op: '!=', value: 'Spare' }, ['S-1', 'S-2', 'S-3', '100%']],
    [{ path: ['description'], op: 'isNull', value: false }, ['s-2']],
    [{ path: ['serial'], op: 'in', value: ['S-1', '100%', 'nobody'] }, ['S-1', '100%']],
    [{ path: ['serial'], op: 'in', value: [] }, []],
    [{ path: ['serial'], op: '<', value: 'S' }, ['100%']],
    [{ path: ['counter'], op: '>=', value: 1 }, []],
    [{ path: ['counter'], op: '<', value: 1 }, ['S-1', 'S-2', 'S-3', 's-2', '100%']],
    [{ path: ['confined'], op: '=', value: true }, []],
    [{ path: ['users', 'loginName'], op: '=', value: 'MJONES@Example.COM' }, ['S-1']],
    [{ path: ['sharers', 'loginName'], op: 'like', value: 'MJ%' }, ['S-1']],
    [{ path: ['owners', 'loginName'], op: 'like', value: 'MJ%' }, []],
    [{ path: ['users', 'email'], op: '=', value: 'j.smith@EXAMPLE.com' }, ['S-1', 'S-2', 'S-3']],
    [{ path: ['users', 'domain', 'name'], op: '=', value: 'DEFAULT' }, ['S-1', 'S-2', 'S-3']],
    [{ path: ['tokenAssignments'], op: 'isNull', value: true }, ['s-2', '100%']],
    [{ path: ['tokenAssignments', 'isOwner'], op: '=', value: false }, ['S-1']],
    [{ path: ['users', 'tokens', 'serial'], op: '=', value: 'S-3' }, ['S-1', 'S-2', 'S-3']],
    [{ path: ['repository', 'parent'], op: 'isNull', value: true }, all()],
    [{ path: ['repository', 'parent', 'name'], op: '!=', value: 'x' }, all()],
    [{ path: ['product', 'searchWindow'], op: '>', value: 5 }, all()],
    [{ path: [], op: 'never' }, []],
  ])('finds tokens by %j', async (condition, expected) => {
    expect(new Set(await serials(condition))).toEqual(new Set(expected))
  })

  test('matches what is not ASCII by itself, ignoring case only where names do', async () => {
    const find = async (condition: Condition) =>
      (await search('user', { conditions: [condition], projection: fieldsOf('key') })).total
    expect(await find({ path: ['lastName'], op: 'like', value: 'Ångström\\_%\\%' })).toBe(1)
    expect(await find({ path: ['lastName'], op: '=', value: 'ångström_100%' })).toBe(0)
  })

  test('all conditions hold together', async () => {
    const owned: Condition = { path: ['users', 'key'], op: '=', value: 'jsmith' }
    expect(await serials(owned, { path: ['serial'], op: 'like', value: '%3' })).toEqual(['S-3'])
  })

  test('counts all matches, sorts and gives the page that was asked for', async () => {
    const sort = { path: ['serial'], descending: true }
    const page = await search('token', { sort, offset: 1, limit: 2 })
    expect(page.total).toBe(5)
    expect(page.rows.map(({ fields }) => fields.serial)).toEqual(['S-3', 'S-2'])
    const beyond = await search('token', { offset: 5_000_000 })
    expect(beyond).toEqual({ total: 5, rows: [] })
  })

  test('puts what has no sort key first, and breaks ties by id', async () => {
    const sort = { path: ['description'], descending: false }
    const { rows } = await search('token', { sort })
    expect(rows.at(-1)?.fields.serial).toBe('s-2')
    const ids = rows.slice(0, -1).map(({ id }) => id)
    expect(ids).toEqual(ids.toSorted())
  })

  test('gives to-one and to-many relations, nested', async () => {
    const { rows } = await search('token', {
      conditions: [{ path: ['serial'], op: '=', value: 'S-1' }],
      projection: {
        fields: ['serial', 'confined'],
        relations: {
          product: fieldsOf('name', 'acceptWindow'),
          repository: { fields: ['name'], relations: { parent: fieldsOf('name') } },
          users: { fields: ['loginName'], relations: { domain: fieldsOf('name', 'isDefault') } },
          sharers: fieldsOf('key'),
        },
      },
    })
    const [row] = rows
    expect(row?.fields).toEqual({ serial: 'S-1', confined: false })
    expect(row?.one.product?.fields).toEqual({ name: 'HOTP', acceptWindow: 10 })
    expect(row?.one.repository?.one.parent).toBeNull()
    expect(
      row?.many.users?.map(({ fields, one }) => [fields.loginName, one.domain?.fields]),
    ).toEqual([
      ['jsmith@example.com', { name: 'default', isDefault: true }],
      ['mjones@example.com', { name: 'default', isDefault: true }],
    ])
    expect(row?.many.sharers?.map(({ fields }) => fields.key)).toEqual(['mjones'])
  })

  test('costs one statement a relation, however many rows there are', async () => {
    const projection = {
      fields: ['serial'],
      relations: {
        product: fieldsOf('name'),
        users: { fields: [], relations: { domain: fieldsOf('name') } },
      },
    }
    const count = async (conditions: readonly Condition[]) => {
      statements.length = 0
      await search('token', { conditions, projection })
      return statements.filter((sql) => /otp_|user_domain/.test(sql)).length
    }
    const few = await count([{ path: ['serial'], op: 'in', value: ['S-1'] }])
    const many = await count([{ path: ['serial'], op: 'in', value: ['S-1', 'S-2', 'S-3'] }])
    expect(many).toBe(few)
    expect(few).toBe(5)
  })

  test('a lock that has ended is none, and its failures are forgotten', async () => {
    const [token] = await tokens([{ path: ['serial'], op: '=', value: 'S-3' }])
    const untilMs = bench.core.clock() + 1000
    await bench.lockForFailures({ tokenId: token?.id ?? '', userId: 'jsmith', untilMs })
    const locked: Condition = { path: ['tokenAssignments', 'status'], op: '=', value: 'LOCKED' }
    expect(await serials(locked)).toEqual(['S-3'])
    bench.core.clock.advance(1000)
    expect(await serials(locked)).toEqual([])
    const { rows } = await search('tokenAssignment', {
      conditions: [{ path: ['token', 'serial'], op: '=', value: 'S-3' }],
      projection: fieldsOf('status', 'failureCount'),
    })
    expect(rows.map(({ fields }) => fields)).toEqual([{ status: 'ACTIVE', failureCount: 0 }])
  })

  test('another tenant sees nothing of it, over relations neither', async () => {
    const stranger = testCaller('other', ['tenant:read'])
    for (const entity of ['token', 'tokenAssignment'] as const) {
      const { total } = await directory.search(stranger, 'other', entity, {
        ...everything,
        projection: fieldsOf('id'),
      })
      expect(total).toBe(0)
    }
    const conditions: Condition[] = [{ path: ['users', 'key'], op: '=', value: 'jsmith' }]
    expect(
      (await directory.search(stranger, 'other', 'token', { ...everything, conditions })).total,
    ).toBe(0)
    await expect(directory.search(stranger, tenantId, 'token', everything)).rejects.toMatchObject({
      code: 'tenant_not_found',
    })
    await expect(
      directory.search(testCaller(tenantId, ['verify']), tenantId, 'token', everything),
    ).rejects.toMatchObject({ code: 'forbidden' })
  })

  test.each<[string, Partial<Search>]>([
    ['a field that does not exist', { conditions: [{ path: ['secret'], op: '=', value: 'x' }] }],
    ['a value of another kind', { conditions: [{ path: ['digits'], op: '=', value: '6' }] }],
    ['a member of Object', { conditions: [{ path: ['constructor'], op: '=', value: 'x' }] }],
    ['more conditions than 50', { conditions: Array(51).fill(serialIs('x')) }],
    [
      'more values than 5000',
      { conditions: Array(6).fill({ ...serialIs('x'), op: 'in', value: Array(1000).fill('x') }) },
    ],
    [
      'a way over five relations',
      {
        conditions: [
          { path: ['users', 'tokens', 'users', 'tokens', 'users', 'key'], op: '=', value: 'x' },
        ],
      },
    ],
    ['an order over many', { sort: { path: ['users', 'key'], descending: false } }],
    ['a field of nobody', { projection: fieldsOf('sealed_secret') }],
    ['a page of 1001', { limit: 1001 }],
  ])('refuses %s', async (_what, changes) => {
    await expect(search('token', changes)).rejects.toMatchObject({ code: 'invalid_request' })
  })

  test('find answers a narrow question in one statement', async () => {
    statements.length = 0
    const found = await directory.find(bench.reader, tenantId, 'user', {
      conditions: [{ path: ['loginName'], op: '=', value: 'JSMITH@example.com' }],
      projection: fieldsOf('key'),
      limit: 2,
    })
    expect(found.map(({ fields }) => fields.key)).toEqual(['jsmith'])
    expect(statements.filter((sql) => sql.includes('app_user'))).toHaveLength(1)
  })

  test('find gives no more than asked', async () => {
    const found = await directory.find(bench.reader, tenantId, 'token', {
      conditions: [],
      projection: fieldsOf('serial'),
      limit: 2,
    })
    expect(found.map(({ fields }) => fields.serial)).toEqual(['S-1', 'S-2'])
  })
})

const everything: Search = {
  conditions: [],
  sort: { path: ['id'], descending: false },
  limit: 100,
  offset: 0,
  projection: fieldsOf('serial', 'id'),
}

function fieldsOf(...fields: string[]): Projection {
  return { fields, relations: {} }
}

function serialIs(value: string): Condition {
  return { path: ['serial'], op: '=', value }
}

function all(): string[] {
  return ['S-1', 'S-2', 'S-3', 's-2', '100%']
}

function observerOf(statements: string[]) {
  return {
    observeDatabase: () => {},
    statementRun: (sql: string) => {
      statements.push(sql)
    },
  }
}
