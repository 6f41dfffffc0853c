import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createPlace, type DatabasePlace, engines } from '#test/storage/databases.ts'
import { explain } from '#test/storage/query-plans.ts'
import { createTestStorage, type TestStorage } from '#test/support/storage.ts'
import {
  createVerificationBench,
  rfcCodes,
  testCaller,
  type VerificationBench,
} from '#test/support/tokens.ts'
import type { VerificationRequest } from './verification.ts'

const verifier = testCaller('acme', ['verify'])
const tokenCount = 1_000
/** With the one that finds the caller, at most five for a code that is accepted. A wrong one counts two failures, and nobody costs the same. */
const statementsMax = { ACCEPTED: 4, REJECTED: 5, NO_CREDENTIAL: 5 }

describe.each(engines)('the statements of a verification on %s', (engine) => {
  let place: DatabasePlace
  let storage: TestStorage
  let bench: VerificationBench
  let seen: string[] = []

  beforeAll(async () => {
    place = await createPlace(engine)
    const observer = {
      observeDatabase() {},
      statementRun(sql: string) {
        seen.push(sql)
      },
    }
    storage = await createTestStorage({ url: place.url, observer })
    bench = await createVerificationBench({ test: storage })
    await Promise.all(
      Array.from({ length: tokenCount }, (_, n) =>
        bench.addToken({ serial: `T${n}`, userId: `user-${n}` }),
      ),
    )
    if (engine === 'postgres') await analyse(place.url)
  }, 120_000)

  afterAll(async () => {
    await storage[Symbol.asyncDispose]()
    await place[Symbol.asyncDispose]()
  })

  const cases: readonly {
    name: string
    request: VerificationRequest
    result: keyof typeof statementsMax
  }[] = [
    {
      name: 'a code by serial',
      request: { token: { serial: 'T1' }, code: rfcCodes[0] },
      result: 'ACCEPTED',
    },
    {
      name: 'a code by user',
      request: { user: { id: 'user-2' }, code: rfcCodes[0] },
      result: 'ACCEPTED',
    },
    {
      name: 'a code by login name',
      request: { user: { loginName: 'user-3', domain: 'default' }, code: rfcCodes[0] },
      result: 'ACCEPTED',
    },
    {
      name: 'a wrong code by serial',
      request: { token: { serial: 'T4' }, code: '000000' },
      result: 'REJECTED',
    },
    {
      name: 'a wrong code by user',
      request: { user: { id: 'user-5' }, code: '000000' },
      result: 'REJECTED',
    },
    {
      name: 'a code of nobody',
      request: { user: { id: 'nobody' }, code: rfcCodes[0] },
      result: 'NO_CREDENTIAL',
    },
  ]

  test.each(cases)('$name: few, each by index', async ({ request, result }) => {
    seen = []
    const outcome = await bench.verification.verify(verifier, 'acme', request)
    const statements = seen
    expect(outcome.result).toBe(result)
    expect(statements.length).toBeGreaterThan(2)
    // The head of the chain is read once for a whole commit.
    const own = statements.filter((sql) => !/^select "seq", "hash"/.test(sql))
    expect(own.length, own.join('\n')).toBeLessThanOrEqual(statementsMax[result])
    const plans = await Promise.all(statements.map((sql) => explain(engine, place.url, sql)))
    expect(plans.filter(({ faults }) => faults.length > 0)).toEqual([])
    expect(plans.flatMap(({ accesses }) => accesses).length).toBeGreaterThan(0)
  })

  test('would be found out if they read a whole tenant, a whole table, or sorted', async () => {
    const parameter = engine === 'sqlite' ? '?' : '$1'
    for (const sql of [
      `select id from otp_token where tenant_id = ${parameter}`,
      'select description from otp_token',
      `select serial from otp_token where tenant_id = ${parameter} and id > 'a' order by description`,
    ]) {
      expect((await explain(engine, place.url, sql)).faults, sql).not.toEqual([])
    }
  })
})

async function analyse(url: string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  await client.query('analyze')
  await client.end()
}
