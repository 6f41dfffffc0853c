import { afterAll, beforeAll, expect, test } from 'vitest'
import { explain, StatementWatch } from '#test/storage/query-plans.ts'
import {
  createTokenBench,
  rfcSecretHex,
  type TokenBench,
  tenantId,
} from '#test/support/otp-tokens.ts'

let bench: TokenBench
const watch = new StatementWatch()

beforeAll(async () => {
  bench = await createTokenBench({
    observer: watch,
  })
})
afterAll(() => bench[Symbol.asyncDispose]())

test('no statement about tokens reads a tenant from end to end', async () => {
  const { admin, reader } = bench
  const { id, serial } = await bench.addToken()
  const held = { tokenId: id, userId: 'jsmith' }
  watch.clear()
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

  const { url } = bench.core.test
  const plans = await Promise.all(watch.distinct.map((sql) => explain(url, sql)))
  const steps = plans
    .flatMap(({ sql, accesses }) => accesses.map((step) => ({ sql, step })))
    .filter(({ step }) => /^(?:SCAN|SEARCH)/.test(step))
  expect(steps.length).toBeGreaterThan(25)
  for (const { sql, step } of steps) {
    // Two columns at least: the first is the tenant.
    expect(step, sql).toMatch(/SEARCH .*\(\w+=\? AND \w+(?:=|>)/)
  }
  const lists = steps.filter(({ sql }) => sql.includes('order by "t"."id"'))
  expect(lists.some(({ step }) => step.includes('id>?'))).toBe(false)
})
