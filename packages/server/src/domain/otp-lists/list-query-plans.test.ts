import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { analyse, StatementWatch } from '#test/storage/query-plans.ts'
import { engines } from '#test/support/core.ts'
import { createListBench, type ListBench, listTenant } from '#test/support/otp-lists.ts'
import type { OtpListQuery } from './otp-list-service.ts'

/** More than one window of the search without an index. */
const freeCount = 2_600
const methodCount = 50

describe.each(engines)('the statements of lists on %s', (engine) => {
  let bench: ListBench
  const watch = new StatementWatch()

  beforeAll(async () => {
    bench = await createListBench({ engine, observer: watch })
    for (let n = 2; n <= methodCount; n++) await bench.addMethod({ name: `otp.${n}` })
    await bench.addMethod({ listSize: 1 })
    for (const method of ['otp.3', 'otp.4', 'otp.5']) {
      await bench.lists.create(bench.admin, listTenant, { method, count: 1_000 })
    }
    for (let made = 0; made < freeCount; made += 650) {
      await bench.lists.create(bench.admin, listTenant, { method: 'otp.1', count: 650 })
      bench.core.clock.advance(1)
    }
    await analyse(bench.core.test.url)
  }, 120_000)
  afterAll(() => bench[Symbol.asyncDispose]())

  async function plansOf(work: () => Promise<unknown>): Promise<void> {
    const plans = await watch.plansOf(bench.core.test.url, work)
    expect(plans.length).toBeGreaterThan(0)
    const faults = plans.flatMap((plan) => plan.faults.map((fault) => ({ ...plan, fault })))
    expect(faults.filter((one) => !isSortOfFew(one))).toEqual([])
  }

  test('making, giving, reading, checking and deleting search by index', async () => {
    const { lists, admin } = bench
    await plansOf(async () => {
      const { list: old } = await bench.addList({ user: 'jsmith' })
      const { list, codes } = await bench.addList()
      await lists.associate(admin, listTenant, list.id, { id: 'jsmith' })
      await lists.get(admin, listTenant, list.id)
      await lists.userInfo(admin, listTenant, { method: 'otp.1', user: { id: 'jsmith' } })
      await bench.verifyList(codes[0]?.otp)
      await bench.verifyList('A00000')
      await lists.delete(admin, listTenant, old.id).catch(() => undefined)
      await lists.delete(admin, listTenant, list.id)
      await bench.methods.update(admin, listTenant, 'otp.2', { maxFailures: 7 })
      await bench.methods.delete(admin, listTenant, 'otp.2')
    })
  })

  const queries: OtpListQuery[] = [
    {},
    { method: 'otp.1' },
    { method: 'otp.1', statuses: ['FREE'] },
    { method: 'otp.1', statuses: ['ACTIVE'], remainingMax: 10 },
    { statuses: ['ASSOCIATED', 'ACTIVE'] },
    { user: { id: 'jsmith' } },
    { user: { id: 'jsmith' }, method: 'otp.1', remainingMax: 0 },
    { createdAfterMs: 1, createdBeforeMs: Date.UTC(2030, 0) },
    { method: 'otp.1', expiresAfterMs: 1, expiresBeforeMs: Date.UTC(2030, 0) },
  ]

  test.each(queries)('a query for %o reads an index in its order', async (query) => {
    await plansOf(() => bench.lists.query(bench.reader, listTenant, query, { limit: 20 }))
  })

  test('what is rare is found behind windows, in pages that go on', async () => {
    const { list } = await bench.addList({ user: 'mjones' })
    const found: string[] = []
    let cursor: string | undefined
    do {
      const query = { statuses: ['ASSOCIATED', 'ACTIVE'] } as const
      const page = await bench.lists.query(bench.reader, listTenant, query, { limit: 1, cursor })
      found.push(...page.items.map(({ id }) => id))
      cursor = page.nextCursor
    } while (cursor !== undefined)
    expect(found).toEqual([list.id])
  })

  test('all pages of a query give every list once', async () => {
    const found = new Set<string>()
    let count = 0
    let cursor: string | undefined
    do {
      const query = { method: 'otp.1', remainingMax: 1, statuses: ['FREE'] } as const
      const page = await bench.lists.query(bench.reader, listTenant, query, { limit: 999, cursor })
      for (const { id } of page.items) found.add(id)
      count += page.items.length
      cursor = page.nextCursor
    } while (cursor !== undefined)
    expect(count).toBe(freeCount)
    expect(found.size).toBe(freeCount)
  })
})

/** What is sorted after it was found: a user's lists, or what a window holds. */
function isSortOfFew({
  fault,
  sql,
  accesses,
}: {
  fault: string
  sql: string
  accesses: readonly string[]
}): boolean {
  if (!/^(?:USE TEMP B-TREE FOR ORDER BY|Sort|Incremental Sort)/.test(fault)) return false
  const isWindow = accesses.some((text) => /created_at, id\) <=/.test(text))
  return isWindow || /"o"."user_id" = /.test(sql)
}
