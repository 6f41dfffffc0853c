import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { explain, StatementWatch } from '#test/storage/query-plans.ts'
import { createTestCore, engines, type TestCore } from '#test/support/core.ts'
import type { NewMessage, OutboxMessage } from './outbox-message.ts'

const leaseMs = 30_000

describe.each(engines)('the outbox on %s', (engine) => {
  const watch = new StatementWatch()
  let core: TestCore
  let round = 0
  /** Each test has a tenant of its own, which sorts behind those of the tests before. */
  let tenantId: string

  beforeAll(async () => {
    core = await createTestCore({ engine, observer: watch })
  })
  beforeEach(() => {
    round += 1
    tenantId = `tenant-${String(round).padStart(3, '0')}`
  })
  afterAll(() => core[Symbol.asyncDispose]())

  async function append(changes: Partial<NewMessage> = {}): Promise<string> {
    const message: NewMessage = {
      kind: 'plain',
      target: 'one',
      topic: 'something',
      payload: Buffer.from('payload'),
      lifetimeMs: 86_400_000,
      ...changes,
    }
    return core.storage.transaction(({ outbox }) => outbox.append(tenantId, message))
  }
  const queueName = (target = 'one', kind = 'plain') => `${tenantId}/${kind}/${target}`
  const claimOf = (target?: string) => ({
    queue: queueName(target),
    nowMs: core.clock(),
    untilMs: core.clock() + leaseMs,
  })
  const claimNext = (limit: number, target?: string): Promise<OutboxMessage[]> =>
    core.storage.transaction(({ outbox }) => outbox.claimNext(claimOf(target), limit))
  const claimFirst = (orderKey: string): Promise<OutboxMessage | undefined> =>
    core.storage.transaction(({ outbox }) => outbox.claimFirst(claimOf(), orderKey))
  const postpone = (message: OutboxMessage, inMs: number, isOrdered = false) =>
    core.storage.transaction(({ outbox }) =>
      outbox.postponeClaimed(message, {
        dueAtMs: core.clock() + inMs,
        tries: message.tries + 1,
        attempts: [],
        isOrdered,
      }),
    )
  const remove = (message: OutboxMessage) =>
    core.storage.transaction(({ outbox }) => outbox.removeClaimed(message))
  const idsOf = (messages: readonly OutboxMessage[]) => messages.map(({ id }) => id)

  test('of what nobody has tried the newest stay, of this target and order key alone', async () => {
    const ordered = { orderKey: 'k' }
    const [first = '', ...others] = [
      await append(ordered),
      await append(ordered),
      await append(ordered),
      await append(ordered),
      await append(ordered),
    ]
    const beside = [await append({ orderKey: 'l' }), await append({ ...ordered, target: 'two' })]
    const head = await claimFirst('k')
    expect(head?.id).toBe(first)
    const drop = () =>
      core.storage.transaction(({ outbox }) =>
        outbox.dropOldest(tenantId, { kind: 'plain', target: 'one', ...ordered }, 2),
      )
    await drop()
    await drop()
    const present = async (id: string, target = 'one') =>
      (await core.storage.read.outbox.find({ tenantId, target, id })) !== undefined
    expect(await Promise.all(others.map((id) => present(id)))).toEqual([false, false, true, true])
    expect(await Promise.all([present(first), present(beside[0] ?? '')])).toEqual([true, true])
    expect(await present(beside[1] ?? '', 'two')).toBe(true)
    if (head !== undefined) await remove(head)
    expect((await claimFirst('k'))?.id).toBe(others[2])
  })

  test('queues are found one after the other, each once, with what is due first in it', async () => {
    await append({ target: 'a' })
    core.clock.advance(5)
    await append({ target: 'a' })
    await append({ target: 'b/c' })
    const found = await core.storage.read.outbox.listQueues(tenantId)
    expect(found).toEqual([
      { queue: queueName('a'), dueAtMs: core.clock() - 5, createdAtMs: core.clock() - 5 },
      { queue: queueName('b%2Fc'), dueAtMs: core.clock(), createdAtMs: core.clock() },
    ])
    expect(await core.storage.read.outbox.listQueues(queueName('b%2Fc'))).toEqual([])
  })

  test('a claimed message is nobody else’s until the claim ends, and then another one’s', async () => {
    const ids = [await append(), await append(), await append()]
    expect(idsOf(await claimNext(2))).toEqual(ids.slice(0, 2))
    expect(idsOf(await claimNext(5))).toEqual(ids.slice(2))
    expect(await claimNext(5)).toEqual([])
    core.clock.advance(leaseMs)
    const again = await claimNext(5)
    expect(idsOf(again)).toEqual(ids)
    expect(again.map(({ claim }) => claim)).toEqual([2, 2, 2])
  })

  test('R4: of twenty claims at once each message is in exactly one', async () => {
    const ids = await Promise.all(Array.from({ length: 40 }, () => append()))
    const claims = await Promise.all(Array.from({ length: 20 }, () => claimNext(4)))
    const claimed = idsOf(claims.flat())
    expect(new Set(claimed).size).toBe(claimed.length)
    // Whoever lost a race comes again.
    for (;;) {
      const more = idsOf(await claimNext(10))
      if (more.length === 0) break
      claimed.push(...more)
    }
    expect(claimed.toSorted()).toEqual(ids.toSorted())
  })

  test('whoever comes too late settles nothing', async () => {
    await append()
    const [late] = await claimNext(1)
    core.clock.advance(leaseMs)
    const [current] = await claimNext(1)
    if (late === undefined || current === undefined) throw new Error('Nothing was claimed.')
    expect(await remove(late)).toBe(false)
    expect(await postpone(late, 0)).toBe(false)
    expect(await remove(current)).toBe(true)
    expect(await core.storage.read.outbox.find(current)).toBeUndefined()
  })

  test('in an order key one message at a time, in order, the failed one first again', async () => {
    const first = await append({ orderKey: 'k' })
    const second = await append({ orderKey: 'k' })
    const other = await append({ orderKey: 'other' })
    const one = await claimFirst('k')
    expect(one?.id).toBe(first)
    expect(await claimFirst('k')).toBeUndefined()
    expect((await claimFirst('other'))?.id).toBe(other)
    if (one === undefined) throw new Error('Nothing was claimed.')
    await postpone(one, 5_000, true)
    expect(await claimFirst('k')).toBeUndefined()
    core.clock.advance(5_000)
    const retried = await claimFirst('k')
    expect(retried?.id).toBe(first)
    expect(retried?.tries).toBe(1)
    if (retried !== undefined) await remove(retried)
    expect((await claimFirst('k'))?.id).toBe(second)
  })

  test('what is under way stays the first of its order key, whatever is committed late', async () => {
    await append({ orderKey: 'k' })
    const underWay = await claimFirst('k')
    core.clock.advance(-10)
    await append({ orderKey: 'k' })
    core.clock.advance(10)
    expect(underWay).toBeDefined()
    expect(await claimFirst('k')).toBeUndefined()
  })

  test('order keys are found one after the other', async () => {
    for (const orderKey of ['b', 'a', 'a', 'c']) await append({ orderKey })
    const keys = await core.storage.read.outbox.listOrderKeys(queueName(), undefined)
    expect(keys.map(({ orderKey }) => orderKey)).toEqual(['a', 'b', 'c'])
    expect(await core.storage.read.outbox.listOrderKeys(queueName(), 'c')).toEqual([])
  })

  test('R4: of twenty requests to send again one begins the new series', async () => {
    await append()
    const [message] = await claimNext(1)
    if (message === undefined) throw new Error('Nothing was claimed.')
    const restart = () =>
      core.storage.transaction(({ outbox }) =>
        outbox.restart(message, { deadlineMs: core.clock() + 1000 }),
      )
    expect(await restart()).toBe(false)
    const end = { status: 'FAILED' as const, tries: 3, attempts: [], nowMs: core.clock() }
    await core.storage.transaction(({ outbox }) => outbox.finishClaimed(message, end))
    const begun = await Promise.all(Array.from({ length: 20 }, restart))
    expect(begun.filter(Boolean)).toHaveLength(1)
    expect(await core.storage.read.outbox.find(message)).toMatchObject({
      status: 'WAITING',
      tries: 0,
      settledAtMs: null,
    })
  })

  test('another tenant does not see it', async () => {
    const id = await append()
    const foreign = { tenantId: 'another', target: 'one', id }
    expect(await core.storage.read.outbox.find(foreign)).toBeUndefined()
    const page = { beforeId: 'Z', limit: 10 }
    const log = await core.storage.read.outbox.listLog(foreign, {}, page)
    expect(log.messages).toEqual([])
    await core.storage.transaction(({ outbox }) => outbox.removeOfTarget('another', 'one'))
    expect(await core.storage.read.outbox.find({ ...foreign, tenantId })).toBeDefined()
  })

  test('the log is read and emptied from the right ends; what waits stays', async () => {
    const ids: string[] = []
    for (let index = 0; index < 3; index++) ids.push(await append())
    const [message] = await claimNext(1)
    if (message === undefined) throw new Error('Nothing was claimed.')
    const end = { status: 'DELIVERED' as const, tries: 0, attempts: [], nowMs: core.clock() }
    await core.storage.transaction(({ outbox }) => outbox.finishClaimed(message, end))
    const list = (filter: object) =>
      core.storage.read.outbox.listLog({ tenantId, target: 'one' }, filter, {
        beforeId: 'Z',
        limit: 10,
      })
    expect(idsOf((await list({})).messages)).toEqual(ids.toReversed())
    expect(idsOf((await list({ status: 'DELIVERED' })).messages)).toEqual([ids[0]])
    expect(idsOf((await list({ topic: 'else' })).messages)).toEqual([])
    const rest = await core.storage.transaction(({ outbox }) =>
      outbox.removeOver(tenantId, 'one', { afterId: '', beforeId: 'Z' }),
    )
    expect(rest).toBeUndefined()
    expect(idsOf((await list({})).messages)).toEqual([ids[2], ids[1]])
  })

  test('every statement follows an index, also with thousands of messages for a dead receiver', async () => {
    await core.test.database.transaction(async (queries) => {
      const { dynamicStatement } = await import('#storage/statement.ts')
      for (let batch = 0; batch < 10; batch++) {
        const rows = Array.from({ length: 500 }, (_row, index) => ({
          tenant_id: tenantId,
          target: 'dead',
          id: `0${batch}${String(index).padStart(4, '0')}`,
          kind: 'plain',
          queue: queueName('dead'),
          order_key: '',
          topic: 'x',
          status: index % 2 === 0 ? 'WAITING' : 'FAILED',
          position: index,
          due_at: index,
          deadline_at: 1,
          claim: 0,
          tries: 0,
          attempts: '',
          envelope: '',
          payload: Buffer.alloc(10),
          created_at: 1,
        }))
        await queries.run(
          dynamicStatement((db) => db.insertInto('outbox').values(rows)),
          {},
        )
      }
    })
    await core.storage.read.outbox.findNextTarget(tenantId, '')
    await core.storage.read.outbox.countWaiting()
    // Statements of these tests themselves, written on the spot, are not of interest.
    const statements = watch.distinct.filter(
      (sql) =>
        sql.includes('outbox') &&
        !/^insert|values/.test(sql) &&
        !/limit (\$|0 \+ \?)\d*$/.test(sql),
    )
    expect(statements.length).toBeGreaterThan(10)
    for (const sql of statements) {
      const { accesses } = await explain(core.test.url, sql)
      const scans = accesses.filter((access) => /^SCAN outbox|^SCAN o\b|Seq Scan/.test(access))
      expect({ sql, scans }).toEqual({ sql, scans: [] })
    }
  })
})
