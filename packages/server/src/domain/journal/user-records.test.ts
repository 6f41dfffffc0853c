import { parseExportLine } from '@countersign/protocol/journal/chain-verifier.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { JwsVerifier } from '#custody/signer.ts'
import { nothing, statement } from '#storage/statement.ts'
import { explain, StatementWatch } from '#test/storage/query-plans.ts'
import {
  createReadyTestCore,
  engines,
  platformAdmin,
  type TestCore,
  testCaller,
} from '#test/support/core.ts'
import { CheckpointService } from './checkpoint-service.ts'
import { JournalService } from './journal-service.ts'
import { Retention } from './retention.ts'
import { Sealer } from './sealer.ts'
import { UserRecords } from './user-records.ts'

const listed = statement((db) =>
  db
    .selectFrom('journal_user')
    .select(['tenant_id', 'user_id', 'seq'])
    .orderBy('tenant_id')
    .orderBy('seq'),
)

describe.each(engines)('the records of users on %s', (engine) => {
  const watch = new StatementWatch()
  let core: TestCore
  let journal: JournalService
  let userRecords: UserRecords
  let sealer: Sealer
  let retention: Retention

  beforeAll(async () => {
    core = await createReadyTestCore({ engine, observer: watch })
    const checkpoints = new CheckpointService({ ...core, verifier: new JwsVerifier() })
    userRecords = new UserRecords(core)
    sealer = new Sealer({
      ...core,
      holder: 'a',
      afterSealing: async (tenantId, { seq }) => userRecords.note(tenantId, seq),
      observer: {
        sealingFailed: (error) => {
          throw error
        },
      },
    })
    journal = new JournalService({ ...core, checkpoints, sealer, userRecords })
    retention = new Retention({ ...core, checkpoints, userRecords })
  })
  afterAll(() => core[Symbol.asyncDispose]())

  /** Records about five users and about nobody, in turn. @returns the last seq. */
  async function write(tenantId: string, count: number): Promise<number> {
    const caller = testCaller(tenantId, ['tenant:write'])
    await core.storage.transaction(async ({ journal }) => {
      for (let number = 0; number < count; number++) {
        const userId = number % 6 === 5 ? null : `user-${number % 6}`
        const action = number % 4 === 0 ? 'user.updated' : 'verification.attempted'
        await journal.append(caller, tenantId, { action, userId })
      }
    })
    return (await sealer.sealTenant(tenantId))?.seq ?? 0
  }

  async function newTenant(id: string, count: number): Promise<number> {
    await core.tenants.create(platformAdmin, { id, name: id })
    return write(id, count)
  }

  async function listOf(tenantId: string): Promise<string[]> {
    const rows = await core.test.database.reader.all(listed, nothing)
    return rows
      .filter(({ tenant_id }) => tenant_id === tenantId)
      .map(({ user_id, seq }) => `${seq} ${user_id}`)
  }

  /** From the chain itself. */
  async function expected(tenantId: string, toSeq: number): Promise<string[]> {
    const range = { fromSeq: 1, toSeq }
    const records = await core.storage.read.journalReader.listRange(tenantId, range, 10_000)
    return records.flatMap(({ seq, body }) => {
      const { userId } = JSON.parse(body) as { userId: string | null }
      return userId === null ? [] : [`${seq} ${userId}`]
    })
  }

  async function page(
    tenantId: string,
    filter: { order: 'asc' | 'desc'; userId: string; action?: string },
  ): Promise<number[]> {
    const seen: number[] = []
    let cursor: string | undefined
    do {
      const { items, nextCursor } = await journal.list(
        testCaller(tenantId, ['audit:read']),
        tenantId,
        { limit: 7, ...filter, ...(cursor === undefined ? {} : { cursor }) },
      )
      seen.push(...items.map((line) => parseExportLine(line)?.seq ?? 0))
      cursor = nextCursor
    } while (cursor !== undefined)
    return seen
  }

  test('are found in both orders, whether none, some or all of them are listed', async () => {
    const last = await newTenant('found', 120)
    const all = (await expected('found', last)).filter((row) => row.endsWith(' user-3'))
    const seqs = all.map((row) => Number.parseInt(row, 10))
    expect(seqs).toHaveLength(20)
    for (const listedTo of [0, 1, Math.floor(last / 2), last]) {
      await userRecords.listTo('found', listedTo)
      expect(await core.storage.read.userRecords.findListedTo('found')).toBe(listedTo)
      expect(await page('found', { order: 'asc', userId: 'user-3' })).toEqual(seqs)
      expect(await page('found', { order: 'desc', userId: 'user-3' })).toEqual(seqs.toReversed())
      const some = await page('found', { order: 'asc', userId: 'user-3', action: 'user.*' })
      expect(some).toHaveLength(0)
      const others = await page('found', { order: 'asc', userId: 'user-2', action: 'user.*' })
      expect(others).toHaveLength(10)
      expect(await page('found', { order: 'desc', userId: 'nobody' })).toEqual([])
    }
  })

  test('are listed once each, also by several at the same time and in several steps', async () => {
    const last = await newTenant('twice', 1_300)
    await Promise.all(Array.from({ length: 4 }, () => new UserRecords(core).listTo('twice', last)))
    // Whoever was overtaken stops: one of them comes to the end, or the next one does.
    await userRecords.listTo('twice', last)
    expect(await listOf('twice')).toEqual(await expected('twice', last))
  })

  test('are listed soon when many wait, and after ten seconds when few do', async () => {
    const last = await newTenant('due', 40)
    await userRecords.continueDue()
    expect(await listOf('due')).toEqual([])
    core.clock.advance(10_000)
    await userRecords.continueDue()
    expect(await listOf('due')).toEqual(await expected('due', last))
    const more = await write('due', 2_000)
    await userRecords.continueDue()
    expect(await listOf('due')).toEqual(await expected('due', more))
  })

  test('of a tenant that is gone are not listed', async () => {
    userRecords.note('gone', 12)
    core.clock.advance(10_000)
    await userRecords.continueDue()
    expect(await core.storage.read.userRecords.findListedTo('gone')).toBe(0)
    expect(await listOf('gone')).toEqual([])
  })

  test('are taken off the list with the records, and those that were not listed yet too', async () => {
    const last = await newTenant('old', 700)
    await userRecords.listTo('old', 300)
    core.clock.advance(40 * 86_400_000)
    const end = await write('old', 10)
    await retention.apply('old', 30)
    await userRecords.listTo('old', end)
    const left = await expected('old', end)
    expect(left).toHaveLength(9)
    expect(await listOf('old')).toEqual(left)
    expect(Number.parseInt(left[0] ?? '', 10)).toBeGreaterThan(last)
    expect(await page('old', { order: 'desc', userId: 'user-0' })).toHaveLength(2)
  })

  test('are found, listed and removed by index', async () => {
    const last = await newTenant('plans', 60)
    watch.clear()
    await userRecords.listTo('plans', last)
    await page('plans', { order: 'desc', userId: 'user-1' })
    await core.storage.transaction(({ userRecords }) =>
      userRecords.remove('plans', { fromSeq: 1, toSeq: 10 }),
    )
    const asked = watch.distinct.filter((sql) => sql.includes('journal_user'))
    expect(asked.length).toBeGreaterThanOrEqual(4)
    for (const sql of asked) {
      const { faults, accesses } = await explain(core.test.url, sql)
      expect(accesses, sql).not.toEqual([])
      const isSorted = sql.startsWith('insert')
      // What is listed is sorted on purpose; small tables say nothing of how PostgreSQL joins a delete to its list.
      if (!isSorted && (engine === 'sqlite' || !sql.startsWith('delete'))) {
        expect(faults, sql).toEqual([])
      }
    }
  })
})
