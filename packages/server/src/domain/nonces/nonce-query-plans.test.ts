import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { explain, StatementWatch } from '#test/storage/query-plans.ts'
import { createTestCore, engines, type TestCore, type TestEngine } from '#test/support/core.ts'
import type { Nonce } from './nonce.ts'

const nonce: Nonce = {
  tenantId: 'acme',
  id: '01KS51D0WG000000000000N0NC',
  hash: 'h',
  action: 'LOGIN_NONCE',
  portalSessionId: 's',
  callbackUrl: 'https://portal.example',
  tms: null,
  createdBy: 'a',
  createdAtMs: 1,
  expiresAtMs: 2,
  redeemedAtMs: null,
}

describe.each(engines)('what nonces ask of %s', (engine: TestEngine) => {
  const watch = new StatementWatch()
  let core: TestCore
  beforeAll(async () => {
    core = await createTestCore({ engine, observer: watch })
  })
  afterAll(() => core[Symbol.asyncDispose]())

  test('follows an index: looking, spending, counting, and what is over', async () => {
    watch.clear()
    const counted = { tenantId: 'acme', subject: 'device/d' }
    await core.storage.transaction(async ({ nonces: { rows, attempts } }) => {
      await rows.find('acme', 'h')
      await rows.spend(nonce, 'LOGIN_NONCE', { userId: 'u', deviceId: 'd', nowMs: 1 })
      await rows.removeExpired(1, 10)
      await attempts.take(counted, 1)
      await attempts.giveBack(counted)
      await attempts.endOf(counted)
      await attempts.removeOver(1, 10)
    })
    const asked = watch.distinct.filter((sql) => /nonce/.test(sql) && !sql.startsWith('insert'))
    expect(asked).toHaveLength(6)
    for (const sql of asked) {
      const { faults, accesses } = await explain(core.test.url, sql)
      expect(accesses, sql).not.toEqual([])
      // PostgreSQL joins a delete to its list by what it knows of the sizes of tables: empty ones prove nothing.
      if (engine === 'sqlite' || !sql.startsWith('delete')) expect(faults, sql).toEqual([])
    }
  })
})
