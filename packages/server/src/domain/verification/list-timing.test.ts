import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { engines } from '#test/support/core.ts'
import { createListBench, type ListBench, listTenant } from '#test/support/otp-lists.ts'
import { defaultPolicy } from '#test/support/tokens.ts'
import type { VerificationRequest } from './verification.ts'

const wrong = { code: 'A00000', methods: ['list'] } as const
/** Requests that a stranger who guesses names may compare. */
const requests = {
  newList: { user: { id: 'fresh' }, ...wrong },
  usedList: { user: { id: 'used' }, ...wrong },
  spentCode: { user: { id: 'used' }, ...wrong },
  unknownUser: { user: { id: 'nobody' }, ...wrong },
  withoutList: { user: { id: 'listless' }, ...wrong },
  disabledUser: { user: { id: 'disabled' }, ...wrong },
} satisfies Record<string, VerificationRequest>
type Name = keyof typeof requests
const names = Object.keys(requests) as Name[]
/** What all HMACs have their methods from. */
const hmacs: ReturnType<typeof createHmac> = Object.getPrototypeOf(createHmac('sha256', ''))
/** What the hash of a code begins with. */
const tagged = 'countersign-otp-list-v1\n'
const rounds = 40
/** Loose: this finds a forgotten computation or an early exit, not a microsecond. */
const ratioMax = 3
/** A failure of somebody is counted over the lists and on the user; of nobody once. */
const fewerStatementsMax = 1

describe.each(engines)('R20: no enumeration of those who have printed lists, %s', (engine) => {
  let bench: ListBench
  const statements: string[] = []
  let spentCode = ''

  beforeAll(async () => {
    bench = await createListBench({
      engine,
      observer: { observeDatabase: () => {}, statementRun: (sql) => void statements.push(sql) },
    })
    for (const id of ['fresh', 'used', 'listless', 'disabled']) {
      await bench.users.users.create(bench.admin, listTenant, { id, loginName: id })
    }
    const { lockout } = defaultPolicy
    bench.policy = { ...defaultPolicy, lockout: { ...lockout, tokenMaxFailures: 1_000_000 } }
    await bench.methods.create(bench.admin, listTenant, { name: 'otp.1', maxFailures: 100 })
    await bench.addList({ user: 'fresh' })
    await bench.addList({ user: 'disabled' })
    await bench.users.users.update(bench.admin, listTenant, 'disabled', { status: 'DISABLED' })
    const { codes } = await bench.addList({ user: 'used' })
    for (const { otp } of codes.slice(0, 20)) await bench.verifyList(otp, { userId: 'used' })
    spentCode = codes[3]?.otp ?? ''
  })
  afterAll(() => bench[Symbol.asyncDispose]())

  const requestOf = (name: Name): VerificationRequest =>
    name === 'spentCode' ? { ...requests[name], code: spentCode } : requests[name]
  const verify = (name: Name) => bench.verification.verify(bench.admin, listTenant, requestOf(name))

  const unlockAll = () =>
    Promise.all(
      ['fresh', 'used'].map((id) => bench.users.locks.unlock(bench.admin, listTenant, id)),
    )

  async function workOf(name: Name) {
    statements.length = 0
    using update = vi.spyOn(hmacs, 'update')
    const { result } = await verify(name)
    expect(result).not.toBe('ACCEPTED')
    const reads = statements.filter((sql) => /^select/i.test(sql)).length
    const hashes = update.mock.calls.filter(([text]) => String(text).startsWith(tagged)).length
    return { reads, writes: statements.length - reads, hashes }
  }

  test('nobody costs as many hashes as somebody, and all that is not the count of a failure', async () => {
    const known = await workOf('newList')
    expect(known.hashes).toBe(50)
    for (const name of names) {
      const work = await workOf(name)
      expect(work.hashes, name).toBe(known.hashes)
      expect(work.reads, name).toBeGreaterThanOrEqual(known.reads)
      expect(work.writes, name).toBeGreaterThanOrEqual(known.writes - fewerStatementsMax)
      expect(work.reads + work.writes, name).toBeLessThanOrEqual(known.reads + known.writes)
    }
  })

  test('the medians of interleaved rounds are of one size', async () => {
    const times = new Map<Name, number[]>(names.map((name) => [name, []]))
    for (let round = 0; round < rounds; round++) {
      for (let turn = 0; turn < names.length; turn++) {
        const name = names[(round + turn) % names.length] ?? 'newList'
        if (turn === 0 && round % 20 === 0) await unlockAll()
        const startedAt = performance.now()
        await verify(name)
        times.get(name)?.push(performance.now() - startedAt)
      }
    }
    const medians = names.map((name) => ({ name, ms: median(times.get(name) ?? []) }))
    const told = medians.map(({ name, ms }) => `${name} ${ms.toFixed(2)} ms`).join(', ')
    const all = medians.map(({ ms }) => ms)
    expect(Math.max(...all) / Math.min(...all), told).toBeLessThan(ratioMax)
  })
})

function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
