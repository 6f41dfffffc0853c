import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { statement } from '#storage/statement.ts'
import { explain, StatementWatch } from '#test/storage/query-plans.ts'
import { createTestCore, engines, type TestCore } from '#test/support/core.ts'
import { anyEvent } from './event-store.ts'

const subscribe = statement((db, p: { tenantId: string; type: string; endpointId: string }) =>
  db.insertInto('webhook_subscription').values({
    tenant_id: p.tenantId,
    event_type: p.type,
    endpoint_id: p.endpointId,
    queue: p.endpointId,
  }),
)
const listOutbox = statement((db, p: { tenantId: string }) =>
  db.selectFrom('outbox').selectAll().where('tenant_id', '=', p.tenantId).orderBy('target'),
)

describe.each(engines)('events on %s', (engine) => {
  const watch = new StatementWatch()
  let core: TestCore

  beforeAll(async () => {
    core = await createTestCore({ engine, observer: watch })
    await core.test.database.transaction(async (queries) => {
      for (const [tenantId, type, endpointId] of [
        ['bank', 'user.created', 'one'],
        ['bank', anyEvent, 'two'],
        ['bank', 'user.deleted', 'three'],
        ['shop', 'user.locked', 'four'],
      ] as const) {
        await queries.run(subscribe, { tenantId, type, endpointId })
      }
    })
  })
  afterAll(() => core[Symbol.asyncDispose]())

  const rowsOf = (tenantId: string) => core.test.database.reader.all(listOutbox, { tenantId })

  test('an event waits once for each endpoint of its tenant that wants it, under one id', async () => {
    await core.storage.transaction(({ events }) =>
      events.append('bank', { type: 'user.created', data: { user: { id: 'jürgen' } } }),
    )
    const rows = await rowsOf('bank')
    expect(rows.map(({ target, status, topic, kind }) => [target, status, topic, kind])).toEqual([
      ['one', 'WAITING', 'user.created', 'webhook'],
      ['two', 'WAITING', 'user.created', 'webhook'],
    ])
    expect(new Set(rows.map(({ id }) => id)).size).toBe(1)
    for (const { payload } of rows) {
      expect(JSON.parse(Buffer.from(payload).toString())).toEqual({
        type: 'user.created',
        timestamp: '2026-11-21T10:00:00.000Z',
        data: { user: { id: 'jürgen' }, tenantId: 'bank' },
      })
    }
    expect(await rowsOf('shop')).toEqual([])
  })

  test('an event nobody wants leaves nothing, and its data are not asked for', async () => {
    let wasAsked = false
    const data = async () => {
      wasAsked = true
      return {}
    }
    await core.storage.transaction(async ({ events }) => {
      await events.append('shop', { type: 'user.created', data: {} })
      await events.append('shop', { type: 'user.updated', data })
    })
    expect(await rowsOf('shop')).toEqual([])
    expect(wasAsked).toBe(false)
  })

  test('what a tenant without endpoints pays is one seek', async () => {
    const append = watch.distinct.filter((sql) => sql.includes('webhook_subscription'))
    expect(append.length).toBeGreaterThan(1)
    for (const sql of append.filter((text) => !text.startsWith('insert into "webhook_sub'))) {
      const { accesses } = await explain(core.test.url, sql)
      const isSeek = /^SEARCH .*\(tenant_id=\? AND event_type=\?\)|^(Index|Bitmap).*event_type/
      expect({ sql, seeks: accesses.filter((access) => isSeek.test(access)).length }).toEqual({
        sql,
        seeks: 1,
      })
    }
  })

  test('an effect that is undone was never told', async () => {
    const work = core.storage.transaction(async ({ events }) => {
      await events.append('shop', { type: 'user.locked', data: {} })
      throw new Error('undone')
    })
    await expect(work).rejects.toThrow('undone')
    expect(await rowsOf('shop')).toEqual([])
  })
})
