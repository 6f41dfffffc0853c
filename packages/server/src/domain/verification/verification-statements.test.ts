import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { systemRandomness } from '#custody/randomness.ts'
import { analyse, explain, StatementWatch } from '#test/storage/query-plans.ts'
import { createReadyTestCore, engines, platformAdmin, type TestCore } from '#test/support/core.ts'
import {
  createVerificationBench,
  rfcCodes,
  testCaller,
  type VerificationBench,
} from '#test/support/tokens.ts'
import { OtpListMethodService } from '../otp-lists/otp-list-method-service.ts'
import { OtpListService } from '../otp-lists/otp-list-service.ts'
import type { VerificationRequest } from './verification.ts'

const verifier = testCaller('acme', ['verify'])
const admin = testCaller('acme', ['tenant:write'])
const tokenCount = 1_000
const listCount = 500
/** With one method, PostgreSQL may as well read all of them. */
const methodCount = 50
/** Without the one that finds the caller. A wrong code counts two failures, and nobody costs the same. */
const statementsMax = { ACCEPTED: 5, REJECTED: 5, NO_CREDENTIAL: 5 }

describe.each(engines)('the statements of a verification on %s', (engine) => {
  let core: TestCore
  let bench: VerificationBench
  const watch = new StatementWatch()
  const listCodes: string[] = []

  beforeAll(async () => {
    core = await createReadyTestCore({ engine, observer: watch })
    await core.tenants.create(platformAdmin, { id: 'acme', name: 'Acme' })
    bench = await createVerificationBench({ test: core.test })
    await Promise.all(
      Array.from({ length: tokenCount }, (_, n) =>
        bench.addToken({ serial: `T${n}`, userId: `user-${n}` }),
      ),
    )
    await addLists()
    await analyse(core.test.url)
  }, 120_000)

  afterAll(() => core[Symbol.asyncDispose]())

  /** One for each user, and as many that are free. */
  async function addLists(): Promise<void> {
    const { storage, clock, nextId } = core
    const base = {
      storage,
      vault: bench.vault,
      clock,
      nextId,
      randomness: systemRandomness,
    }
    const methods = new OtpListMethodService(base)
    for (let n = 1; n <= methodCount; n++) {
      await methods.create(admin, 'acme', { name: `otp.${n}` })
    }
    const lists = new OtpListService(base)
    await lists.create(admin, 'acme', { method: 'otp.1', count: listCount })
    for (let n = 0; n < listCount; n++) {
      const user = { id: `user-${tokenCount - 1 - n}` }
      const [made] = await lists.create(admin, 'acme', { method: 'otp.1', user })
      listCodes.push(made?.codes[0]?.otp ?? '')
    }
  }

  const cases: readonly {
    name: string
    request: VerificationRequest
    result: keyof typeof statementsMax
    /** Where it is less. */
    most?: number
  }[] = [
    {
      name: 'a code by serial',
      request: { token: { serial: 'T1' }, code: rfcCodes[0] },
      result: 'ACCEPTED',
      most: 3,
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
    {
      name: 'a wrong code of a list',
      request: { user: { id: 'user-999' }, code: 'A00000', methods: ['list'] },
      result: 'REJECTED',
      most: 4,
    },
    {
      name: 'a code of a list of nobody',
      request: { user: { id: 'nobody' }, code: '000000', methods: ['list'] },
      result: 'NO_CREDENTIAL',
      most: 4,
    },
    {
      name: 'a code of a list, by one who has none',
      request: { user: { id: 'user-6' }, code: '000000', methods: ['list:otp.1'] },
      result: 'NO_CREDENTIAL',
      most: 4,
    },
  ]

  test('a code of a list: three, each by index; the first one also takes over', async () => {
    const user = { id: 'user-998' }
    const lists = await core.storage.read.otpLists.listOfUser(
      { tenantId: 'acme', userId: user.id, method: 'otp.1' },
      core.clock(),
    )
    expect(lists).toHaveLength(1)
    watch.clear()
    const code = listCodes[1] ?? ''
    const request = { user, code, methods: ['list:otp.1'] }
    expect((await bench.verification.verify(verifier, 'acme', request)).result).toBe('ACCEPTED')
    const { statements } = watch
    expect(statements.length, statements.join('\n')).toBeLessThanOrEqual(9)
    const plans = await Promise.all(statements.map((sql) => explain(core.test.url, sql)))
    expect(plans.filter(({ faults }) => faults.length > 0)).toEqual([])
  })

  test.each(cases)('$name: few, each by index', async ({ request, result, most }) => {
    watch.clear()
    const outcome = await bench.verification.verify(verifier, 'acme', request)
    const { statements } = watch
    expect(outcome.result).toBe(result)
    expect(statements.length).toBeGreaterThan(2)
    // The head of the chain is read once for a whole commit.
    const own = statements.filter((sql) => !/^select "seq", "hash"/.test(sql))
    expect(own.length, own.join('\n')).toBeLessThanOrEqual(most ?? statementsMax[result])
    const plans = await Promise.all(statements.map((sql) => explain(core.test.url, sql)))
    expect(plans.filter(({ faults }) => faults.length > 0)).toEqual([])
    expect(plans.flatMap(({ accesses }) => accesses).length).toBeGreaterThan(0)
  })

  test.runIf(engine === 'postgres')(
    'codes of one moment, right and wrong: collected, each by index',
    async () => {
      const query = vi.spyOn(Client.prototype, 'query')
      const requests = Array.from({ length: 20 }, (_, n) => ({
        token: { serial: `T${n + 100}` },
        code: n % 2 === 0 ? rfcCodes[0] : '000000',
      }))
      const outcomes = await Promise.all(
        requests.map((request) => bench.verification.verify(verifier, 'acme', request)),
      )
      const texts = query.mock.calls.map(([sent]) => (sent as unknown as { text?: string }).text)
      query.mockRestore()
      expect(outcomes.filter(({ result }) => result === 'ACCEPTED')).toHaveLength(10)
      const collected = texts.filter((text) => text?.includes('batch_input')) as string[]
      for (const table of ['otp_token', 'otp_factor', 'otp_assignment']) {
        const own = new RegExp(`(from|update|insert into) "${table}"`)
        const those = collected.filter((text) => own.test(text.replace(/exists \(.*/, '')))
        expect(those, table).toHaveLength(1)
      }
      const plans = await Promise.all(collected.map((sql) => explain(core.test.url, sql)))
      expect(plans.filter(({ faults }) => faults.length > 0)).toEqual([])
    },
  )

  test('would be found out if they read a whole tenant, a whole table, or sorted', async () => {
    const parameter = engine === 'sqlite' ? '?' : '$1'
    for (const sql of [
      `select id from otp_token where tenant_id = ${parameter}`,
      'select description from otp_token',
      `select serial from otp_token where tenant_id = ${parameter} and id > 'a' order by description`,
    ]) {
      expect((await explain(core.test.url, sql)).faults, sql).not.toEqual([])
    }
  })
})
