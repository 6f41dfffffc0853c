import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { SqliteDatabase } from '#storage/sqlite.ts'
import {
  createTokenBench,
  rfcSecretHex,
  type TokenBench,
  tenantId,
} from '#test/support/otp-tokens.ts'

let bench: TokenBench
const seen = new Set<string>()

beforeAll(async () => {
  bench = await createTokenBench({
    observer: { observeDatabase: () => {}, statementRun: (sql) => seen.add(sql) },
  })
})
afterAll(() => bench[Symbol.asyncDispose]())

/** One line for each table a statement touches. */
function plansOf(statements: Iterable<string>): { sql: string; step: string }[] {
  const { database } = bench.core.test
  if (!(database instanceof SqliteDatabase)) throw new Error('This is about SQLite.')
  const db = new DatabaseSync(database.path, { readOnly: true })
  try {
    return [...statements].flatMap((sql) => {
      const parameters = Array<string>(sql.split('?').length - 1).fill('1')
      const plan = db.prepare(`explain query plan ${sql}`).all(...parameters)
      return plan.map(({ detail }) => ({ sql, step: String(detail) }))
    })
  } finally {
    db.close()
  }
}

test('no statement about tokens reads a tenant from end to end', async () => {
  const { admin, reader } = bench
  const { id, serial } = await bench.addToken()
  const held = { tokenId: id, userId: 'jsmith' }
  seen.clear()
  await bench.assignments.create(admin, tenantId, id, { user: { id: 'jsmith' } })
  for (const filters of [{ userId: 'jsmith' }, { serial }]) {
    await bench.tokens.list(reader, tenantId, { limit: 5, filters })
  }
  await bench.tokens.get(reader, tenantId, id)
  await bench.assignments.lock(admin, tenantId, held)
  await bench.tokens.confine(admin, tenantId, id)
  await bench.tokens.reset(admin, tenantId, id)
  const file = {
    text: `serial number,secret key\n1,${rfcSecretHex}`,
    format: 'CSV',
    encoding: 'HEX',
  } as const
  const product = { manufacturerCode: 'DN', productCode: 'ST' }
  await bench.imports.importFile(admin, tenantId, {
    file,
    product,
    duplicates: 'SKIP',
    dryRun: false,
  })
  await bench.assignments.delete(admin, tenantId, held)
  await bench.tokens.delete(admin, tenantId, id)

  const steps = plansOf(seen).filter(({ step }) => /^(?:SCAN|SEARCH)/.test(step))
  expect(steps.length).toBeGreaterThan(25)
  for (const { sql, step } of steps) {
    // Two columns at least: the first is the tenant.
    expect(step, sql).toMatch(/SEARCH .*\(\w+=\? AND \w+(?:=|>)/)
  }
  const lists = steps.filter(({ sql }) => sql.includes('order by "t"."id"'))
  expect(lists.some(({ step }) => step.includes('id>?'))).toBe(false)
})
