import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { SqliteDatabase } from '#storage/sqlite.ts'
import { explain } from '#test/storage/query-plans.ts'
import { createTestCore, engines, type TestCore, type TestEngine } from '#test/support/core.ts'
import { createTestDatabase } from '#test/support/postgres.ts'

describe.each(engines)('what AST callers ask of %s', (engine: TestEngine) => {
  const seen = new Set<string>()
  let core: TestCore
  let url: string
  let drop = async () => {}
  beforeAll(async () => {
    const own = engine === 'postgres' ? await createTestDatabase() : undefined
    drop = async () => own?.drop()
    core = await createTestCore({
      ...(own === undefined ? {} : { url: own.url }),
      observer: { observeDatabase: () => {}, statementRun: (sql) => seen.add(sql) },
    })
    url = own?.url ?? `sqlite:${pathOf(core)}`
  })
  afterAll(async () => {
    await core[Symbol.asyncDispose]()
    await drop()
  })

  test('follows an index and needs no sort: what is open of a user, and the devices that fit a condition', async () => {
    const { read } = core.storage
    seen.clear()
    await read.approvals.open.listOfUser({ tenantId: 'acme', userId: 'u', afterId: '' }, 10)
    const condition = { op: '=', field: 'lockState', value: 'LOCKED' } as const
    await read.deviceSearch.listOfUser({ tenantId: 'acme', userId: 'u' }, condition, 10)
    expect(seen.size).toBe(2)
    // PostgreSQL joins by what it knows of the sizes of tables: empty ones prove nothing.
    const telling = [...seen].filter((sql) => engine === 'sqlite' || !sql.includes('join'))
    for (const sql of telling) {
      const { faults } = await explain(engine, url, sql)
      expect(faults, sql).toEqual([])
    }
  })
})

function pathOf({ test: { database } }: TestCore): string {
  if (!(database instanceof SqliteDatabase)) throw new Error('Not SQLite.')
  return database.path
}
