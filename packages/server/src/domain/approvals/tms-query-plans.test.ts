import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { explain, StatementWatch } from '#test/storage/query-plans.ts'
import { createTestCore, engines, type TestCore, type TestEngine } from '#test/support/core.ts'

describe.each(engines)('what AST callers ask of %s', (engine: TestEngine) => {
  const watch = new StatementWatch()
  let core: TestCore
  beforeAll(async () => {
    core = await createTestCore({ engine, observer: watch })
  })
  afterAll(() => core[Symbol.asyncDispose]())

  test('follows an index and needs no sort: what is open of a user, and the devices that fit a condition', async () => {
    const { read } = core.storage
    watch.clear()
    await read.approvals.open.listOfUser({ tenantId: 'acme', userId: 'u', afterId: '' }, 10)
    const condition = { op: '=', field: 'lockState', value: 'LOCKED' } as const
    await read.deviceSearch.listOfUser({ tenantId: 'acme', userId: 'u' }, condition, 10)
    expect(watch.distinct).toHaveLength(2)
    // PostgreSQL joins by what it knows of the sizes of tables: empty ones prove nothing.
    const telling = watch.distinct.filter((sql) => engine === 'sqlite' || !sql.includes('join'))
    for (const sql of telling) {
      const { faults } = await explain(core.test.url, sql)
      expect(faults, sql).toEqual([])
    }
  })
})
