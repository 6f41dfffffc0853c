import { randomBytes } from 'node:crypto'
import { hotp } from '@countersign/protocol/otp/hotp.ts'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testCaller } from '#test/support/core.ts'
import { createTokenBench, type TokenBench, tenantId } from '#test/support/otp-tokens.ts'
import type { VerificationPolicy } from './policy.ts'
import { ResyncService } from './resync-service.ts'
import { VerificationService } from './verification-service.ts'

const verifier = testCaller(tenantId, ['verify'])

/** A token whose clock is off, and a server that is configured as somebody liked. */
interface Setting {
  readonly periodSeconds: number
  /** Of the token's clock; not a multiple of the period. */
  readonly driftMs: number
  readonly acceptSteps: number
}

type Action =
  /** The token's code now, or as it will be or was so many steps away. */
  | { do: 'show'; steps: number }
  /** A code that was accepted before: the latest is 0. */
  | { do: 'replay'; back: number }
  /** Negative: somebody sets the server's clock back. */
  | { do: 'wait'; ms: number }
  | { do: 'resync'; steps: number }
  | { do: 'reset' }

const settings: fc.Arbitrary<Setting> = fc.record({
  periodSeconds: fc.constantFrom(15, 30, 45, 60),
  driftMs: fc.integer({ min: -200_000, max: 200_000 }),
  acceptSteps: fc.integer({ min: 0, max: 4 }),
})
const actions: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('show' as const),
      steps: fc.integer({ min: -5, max: 5 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('replay' as const), back: fc.nat({ max: 5 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.oneof(
        fc.integer({ min: 0, max: 120_000 }),
        fc.constantFrom(1, 14_999, 15_000, 30_000, -1, -30_000, -90_000),
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('resync' as const),
      steps: fc.integer({ min: -8, max: 8 }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'reset' as const }) },
)

describe.each([
  { engine: 'sqlite', runs: 150 },
  { engine: 'postgres', runs: 20 },
] as const)('TOTP on $engine', ({ engine, runs }) => {
  let bench: TokenBench
  let verification: VerificationService
  let resync: ResyncService
  let policy: VerificationPolicy
  let count = 0

  beforeAll(async () => {
    bench = await createTokenBench(engine === 'sqlite' ? { url: 'sqlite::memory:' } : { engine })
    const { storage, vault, clock } = bench.core
    const policies = { settingsFor: async () => policy }
    verification = new VerificationService({ storage, vault, clock, policies, pins: bench.pins })
    resync = new ResyncService({ storage, vault, clock, policies })
  })
  afterAll(() => bench[Symbol.asyncDispose]())

  /** Runs the actions, and after each holds against the rules what became of the token. */
  async function live(setting: Setting, steps: readonly Action[]): Promise<void> {
    const { clock, storage } = bench.core
    const { periodSeconds, driftMs, acceptSteps } = setting
    const periodMs = periodSeconds * 1000
    policy = {
      totp: { acceptSteps, resyncHintSteps: 10, resyncSearchSteps: 40 },
      hotp: { acceptCounters: 1, resyncHintCounters: 1, resyncSearchCounters: 1 },
      // High enough to be out of the way.
      lockout: {
        tokenMaxFailures: 100,
        tokenLockSeconds: 0,
        userMaxFailures: 0,
        userLockSeconds: 1,
      },
    }
    const secret = randomBytes(20)
    const { id: tokenId } = await bench.addToken({
      type: 'TOTP',
      serial: `drift-${engine}-${++count}`,
      periodSeconds,
      secret: { encoding: 'HEX', value: secret.toString('hex') },
      user: { id: 'jsmith' },
    })
    const codeOf = (step: number) => hotp({ secret, algorithm: 'SHA1', digits: 6, counter: step })
    const factor = async () => {
      const found = await storage.read.candidates.findOwned(tenantId, tokenId)
      if (found === undefined) throw new Error('The token is there.')
      return { guard: found.lastStep, drift: found.driftSteps }
    }
    const shownStep = (away: number) => Math.floor((clock() + driftMs) / periodMs) + away
    const serverStep = () => Math.floor(clock() / periodMs)
    /** Steps whose codes are spent. */
    const spent: number[] = []
    let before = await factor()

    const submit = async (step: number): Promise<void> => {
      const { result } = await verification.verify(verifier, tenantId, {
        token: { id: tokenId },
        code: codeOf(step),
      })
      const after = await factor()
      if (result !== 'ACCEPTED') {
        expect(after).toEqual(before)
        return
      }
      // R3: only ever forward. R1: no step twice. What was accepted lay within the window around the known drift.
      expect(after.guard).toBeGreaterThan(before.guard)
      expect(spent).not.toContain(after.guard)
      expect(codeOf(after.guard)).toBe(codeOf(step))
      expect(Math.abs(after.guard - serverStep() - before.drift)).toBeLessThanOrEqual(acceptSteps)
      expect(after.drift).toBe(after.guard - serverStep())
      spent.push(after.guard)
    }

    for (const step of steps) {
      switch (step.do) {
        case 'show':
          await submit(shownStep(step.steps))
          break
        case 'replay': {
          const again = spent.at(-1 - step.back)
          if (again !== undefined) await submit(again)
          break
        }
        case 'wait':
          clock.advance(step.ms)
          break
        case 'resync': {
          const first = shownStep(step.steps)
          const { result } = await resync.resync(bench.admin, tenantId, {
            tokenId,
            codes: [codeOf(first), codeOf(first + 1)],
          })
          const after = await factor()
          if (result === 'FAILED') {
            expect(after).toEqual(before)
            break
          }
          expect(after.guard - 1).toBeGreaterThan(before.guard)
          spent.push(after.guard - 1, after.guard)
          break
        }
        case 'reset': {
          await bench.tokens.reset(bench.admin, tenantId, tokenId)
          const after = await factor()
          expect(after).toEqual({ guard: Math.min(before.guard, serverStep()), drift: 0 })
          // What lies ahead of the server's clock may be shown again: the contract says so, the journal too.
          spent.splice(0, spent.length, ...spent.filter((one) => one <= after.guard))
          break
        }
      }
      before = await factor()
    }
    await bench.tokens.delete(bench.admin, tenantId, tokenId)
  }

  test('R1, R3: no code is accepted twice and the guard only grows, whatever drift, window, period and clock', async () => {
    await fc.assert(
      fc.asyncProperty(settings, fc.array(actions, { minLength: 5, maxLength: 40 }), live),
      { numRuns: runs },
    )
  }, 180_000)

  test('R3: neither synchronisation nor reset brings a spent code back; clearing the guard does', async () => {
    const { clock } = bench.core
    policy = {
      totp: { acceptSteps: 1, resyncHintSteps: 10, resyncSearchSteps: 40 },
      hotp: { acceptCounters: 1, resyncHintCounters: 1, resyncSearchCounters: 1 },
      lockout: {
        tokenMaxFailures: 100,
        tokenLockSeconds: 0,
        userMaxFailures: 0,
        userLockSeconds: 1,
      },
    }
    const secret = randomBytes(20)
    const token = await bench.addToken({
      type: 'TOTP',
      serial: `guard-${engine}`,
      secret: { encoding: 'HEX', value: secret.toString('hex') },
      user: { id: 'mjones' },
    })
    const now = Math.floor(clock() / 30_000)
    const codeOf = (step: number) => hotp({ secret, algorithm: 'SHA1', digits: 6, counter: step })
    const verify = async (step: number) =>
      (
        await verification.verify(verifier, tenantId, {
          token: { id: token.id },
          code: codeOf(step),
        })
      ).result
    const synchronise = async (step: number) =>
      (
        await resync.resync(bench.admin, tenantId, {
          tokenId: token.id,
          codes: [codeOf(step), codeOf(step + 1)],
        })
      ).result

    expect(await verify(now)).toBe('ACCEPTED')
    expect(await synchronise(now - 6)).toBe('FAILED')
    expect(await synchronise(now)).toBe('FAILED')
    await bench.tokens.reset(bench.admin, tenantId, token.id)
    expect(await verify(now)).toBe('REJECTED')
    expect(await synchronise(now + 1)).toBe('SYNCHRONISED')
    expect(await verify(now + 1)).toBe('REJECTED')
    expect(await verify(now + 2)).toBe('REJECTED')
    await bench.tokens.reset(bench.admin, tenantId, token.id, { counter: 0 })
    expect(await verify(now)).toBe('ACCEPTED')
  })
})
