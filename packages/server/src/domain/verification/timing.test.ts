import { CounterHmacSha1 } from '@countersign/protocol/otp/hmac-sha1.ts'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { testCaller } from '#test/support/core.ts'
import { createTokenBench, type TokenBench, tenantId } from '#test/support/otp-tokens.ts'
import { defaultPolicy } from '#test/support/tokens.ts'
import type { VerificationRequest } from './verification.ts'
import { VerificationService } from './verification-service.ts'

const verifier = testCaller(tenantId, ['verify'])
const rounds = 60
/** Loose: this finds a forgotten computation or an early exit, not a microsecond. */
const ratioMax = 3
/** A failure of somebody is counted, on the assignment and on the user; of nobody it is not. */
const fewerStatementsMax = 1

/** Requests that a stranger who guesses names may compare. */
const requests = {
  wrongCode: { user: { id: 'holder' }, code: '000000' },
  unknownUser: { user: { id: 'nobody' }, code: '000000' },
  unknownLogin: { user: { loginName: 'nobody@example.com' }, code: '000000' },
  wrongCodeByLogin: { user: { loginName: 'holder' }, code: '000000' },
  withoutToken: { user: { id: 'tokenless' }, code: '000000' },
  disabledUser: { user: { id: 'disabled' }, code: '000000' },
} as const satisfies Record<string, VerificationRequest>
type Name = keyof typeof requests
const names = Object.keys(requests) as Name[]

interface Work {
  readonly reads: number
  readonly writes: number
  readonly hmacs: number
}

describe.each(['sqlite', 'postgres'] as const)(
  'R20: no enumeration of users by time, %s',
  (engine) => {
    let bench: TokenBench
    let verification: VerificationService
    const statements: string[] = []

    beforeAll(async () => {
      bench = await createTokenBench({
        engine,
        observer: { observeDatabase: () => {}, statementRun: (sql) => void statements.push(sql) },
      })
      for (const id of ['holder', 'tokenless', 'disabled']) {
        await bench.users.create(bench.admin, tenantId, { id, loginName: `${id}@example.com` })
      }
      await bench.users.update(bench.admin, tenantId, 'disabled', { status: 'DISABLED' })
      await bench.addToken({ type: 'TOTP', serial: 'T-1', user: { id: 'holder' } })
      const { storage, vault, clock } = bench.core
      const lockout = { ...defaultPolicy.lockout, tokenMaxFailures: Number.MAX_SAFE_INTEGER }
      const policies = { settingsFor: async () => ({ ...defaultPolicy, lockout }) }
      verification = new VerificationService({ storage, vault, clock, policies, pins: bench.pins })
    })
    afterAll(() => bench[Symbol.asyncDispose]())

    async function workOf(request: VerificationRequest): Promise<Work> {
      const hmac = vi.spyOn(CounterHmacSha1.prototype, 'truncated')
      statements.length = 0
      try {
        const { result } = await verification.verify(verifier, tenantId, request)
        expect(result).not.toBe('ACCEPTED')
        const reads = statements.filter((sql) => /^select/i.test(sql)).length
        return { reads, writes: statements.length - reads, hmacs: hmac.mock.calls.length }
      } finally {
        hmac.mockRestore()
      }
    }

    test('nobody costs as many codes as somebody, and all that is not the count of a failure', async () => {
      for (const name of names) {
        const isByLogin = 'loginName' in requests[name].user
        const known = await workOf(isByLogin ? requests.wrongCodeByLogin : requests.wrongCode)
        const work = await workOf(requests[name])
        expect(work.hmacs, name).toBe(known.hmacs)
        expect(work.reads, name).toBeGreaterThanOrEqual(known.reads)
        expect(work.writes, name).toBeGreaterThanOrEqual(known.writes - fewerStatementsMax)
        expect(work.reads + work.writes, name).toBeLessThanOrEqual(known.reads + known.writes)
      }
    })

    test('a text that is no code costs as many codes as one', async () => {
      const known = await workOf(requests.wrongCode)
      for (const code of ['', '12', '1234567', 'password', '１２３４５６']) {
        expect(await workOf({ user: { id: 'holder' }, code }), code).toEqual(known)
      }
    })

    test('the medians of interleaved rounds are of one size', async () => {
      const times = new Map<Name, number[]>(names.map((name) => [name, []]))
      for (let round = 0; round < rounds; round++) {
        for (let turn = 0; turn < names.length; turn++) {
          const name = names[(round + turn) % names.length] ?? 'wrongCode'
          const startedAt = performance.now()
          await verification.verify(verifier, tenantId, requests[name])
          times.get(name)?.push(performance.now() - startedAt)
        }
      }
      const medians = names.map((name) => ({ name, ms: median(times.get(name) ?? []) }))
      const told = medians.map(({ name, ms }) => `${name} ${ms.toFixed(2)} ms`).join(', ')
      process.stdout.write(`${engine}: ${told}\n`)
      const all = medians.map(({ ms }) => ms)
      expect(Math.max(...all) / Math.min(...all), told).toBeLessThan(ratioMax)
    })
  },
)

function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
