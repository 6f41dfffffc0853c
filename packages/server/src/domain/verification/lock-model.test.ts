import { randomBytes } from 'node:crypto'
import { hotp } from '@countersign/protocol/otp/hotp.ts'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { UserLockService } from '#domain/users/user-lock-service.ts'
import { testCaller } from '#test/support/core.ts'
import { createTokenBench, type TokenBench, tenantId } from '#test/support/otp-tokens.ts'
import type { VerificationPolicy } from './policy.ts'
import type { Verification } from './verification.ts'
import { VerificationService } from './verification-service.ts'

const accept = 2
const hint = 5
const lookBack = 10
const hotpWindows = {
  acceptCounters: accept,
  resyncHintCounters: hint,
  resyncSearchCounters: 100,
}
const verifier = testCaller(tenantId, ['verify'])

type Lockout = VerificationPolicy['lockout']

interface Lock {
  failures: number
  locked: boolean
  untilMs: number | null
}

interface ModelToken extends Lock {
  readonly codeAt: (counter: number) => string
  next: number
  byAdministrator: boolean
}

/** What a test does to one user with two tokens. */
type Action =
  /** Token 0 or 1 by serial, or both through the user; `offset` from the next expected counter of token `of`. */
  | { do: 'try'; by: 0 | 1 | 'user'; of: 0 | 1; offset: number }
  | { do: 'guess'; by: 0 | 1 | 'user'; code: string }
  | { do: 'wait'; ms: number }
  | { do: 'lock' | 'unlock'; token: 0 | 1 }
  | { do: 'unlock-user' }
  | { do: 'set'; lockout: Lockout }

/** Section 4 of platform.md, rules 2 to 6, for HOTP tokens without PIN: as short as they can be said. */
class LockModel {
  readonly tokens: readonly [ModelToken, ModelToken]
  readonly user: Lock = { failures: 0, locked: false, untilMs: null }
  lockout: Lockout
  nowMs: number

  constructor(codes: readonly [ModelToken['codeAt'], ModelToken['codeAt']], nowMs: number) {
    const fresh = { failures: 0, locked: false, untilMs: null, next: 0, byAdministrator: false }
    this.tokens = [
      { ...fresh, codeAt: codes[0] },
      { ...fresh, codeAt: codes[1] },
    ]
    this.lockout = firstLockout
    this.nowMs = nowMs
  }

  isLocked({ locked, untilMs }: Lock): boolean {
    return locked && (untilMs === null || this.nowMs < untilMs)
  }

  failuresOf(lock: Lock): number {
    return lock.locked && !this.isLocked(lock) ? 0 : lock.failures
  }

  verify(code: string, by: 0 | 1 | 'user'): { result: string; attemptsLeft?: number } {
    const candidates = by === 'user' ? this.tokens : [this.tokens[by]]
    if (this.isLocked(this.user)) return { result: 'LOCKED' }
    const open = candidates.filter((token) => !this.isLocked(token))
    if (open.length === 0) return { result: 'LOCKED' }
    for (const token of open) {
      const position = find(token, code, token.next, token.next + accept)
      if (position === undefined) continue
      token.next = position + 1
      clear(token)
      clear(this.user)
      return { result: 'ACCEPTED' }
    }
    const isHint = open.some(
      (token) =>
        find(token, code, token.next - lookBack, token.next - 1) === undefined &&
        find(token, code, token.next + accept + 1, token.next + hint) !== undefined,
    )
    const { tokenMaxFailures, tokenLockSeconds, userMaxFailures, userLockSeconds } = this.lockout
    const left = open.map((token) => this.#fail(token, tokenMaxFailures, tokenLockSeconds))
    const userLeft = this.#fail(this.user, userMaxFailures, userLockSeconds)
    const attemptsLeft = Math.min(...left, userLeft)
    return { result: isHint ? 'RESYNC_REQUIRED' : 'REJECTED', attemptsLeft }
  }

  unlock(token: ModelToken): void {
    clear(token)
    token.byAdministrator = false
  }

  unlockUser(): void {
    clear(this.user)
    for (const token of this.tokens) {
      if (token.byAdministrator) token.failures = 0
      else clear(token)
    }
  }

  /** @returns how many failures are left; without a limit, any number. */
  #fail(lock: Lock, failuresMax: number, lockSeconds: number): number {
    lock.failures = this.failuresOf(lock) + 1
    lock.locked = failuresMax > 0 && lock.failures >= failuresMax
    lock.untilMs = lock.locked && lockSeconds > 0 ? this.nowMs + lockSeconds * 1000 : null
    return failuresMax === 0 ? Number.POSITIVE_INFINITY : Math.max(0, failuresMax - lock.failures)
  }
}

function clear(lock: Lock): void {
  lock.failures = 0
  lock.locked = false
  lock.untilMs = null
}

function find(token: ModelToken, code: string, from: number, to: number): number | undefined {
  for (let counter = Math.max(0, from); counter <= to; counter++) {
    if (token.codeAt(counter) === code) return counter
  }
  return undefined
}

const firstLockout: Lockout = {
  tokenMaxFailures: 3,
  tokenLockSeconds: 60,
  userMaxFailures: 0,
  userLockSeconds: 60,
}
const lockouts = fc.record({
  tokenMaxFailures: fc.integer({ min: 1, max: 4 }),
  tokenLockSeconds: fc.constantFrom(0, 10, 60),
  userMaxFailures: fc.integer({ min: 0, max: 5 }),
  userLockSeconds: fc.constantFrom(0, 10, 60),
})
const bys = fc.constantFrom<(0 | 1 | 'user')[]>(0, 1, 'user', 'user')
const tokens = fc.constantFrom<(0 | 1)[]>(0, 1)
const actions: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('try' as const),
      by: bys,
      of: tokens,
      offset: fc.integer({ min: -4, max: accept + hint + 1 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('guess' as const),
      by: bys,
      code: fc.constantFrom('000000', '123456', '12345', '1234567', 'abcdef', ''),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.constantFrom(1, 9_999, 10_000, 50_000, 59_999, 60_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom('lock' as const, 'unlock' as const),
      token: tokens,
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'unlock-user' as const }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('set' as const), lockout: lockouts }) },
)

describe.each([
  { engine: 'sqlite', runs: 150 },
  { engine: 'postgres', runs: 20 },
] as const)('R7: the locks on $engine', ({ engine, runs }) => {
  let bench: TokenBench
  let verification: VerificationService
  let userLocks: UserLockService
  let lockout: Lockout = firstLockout
  let count = 0

  beforeAll(async () => {
    bench = await createTokenBench(engine === 'sqlite' ? { url: 'sqlite::memory:' } : { engine })
    const { storage, vault, clock } = bench.core
    const policies = {
      settingsFor: async (): Promise<VerificationPolicy> => ({
        totp: { acceptSteps: 1, resyncHintSteps: 10, resyncSearchSteps: 120 },
        hotp: hotpWindows,
        lockout,
      }),
    }
    verification = new VerificationService({ storage, vault, clock, policies, pins: bench.pins })
    userLocks = new UserLockService({ storage, clock })
  })
  afterAll(() => bench[Symbol.asyncDispose]())

  /** A user with two tokens of their own, and the model of them. */
  async function begin() {
    const userId = `user-${++count}`
    await bench.users.create(bench.admin, tenantId, { id: userId, loginName: userId })
    const held = []
    for (const number of [0, 1]) {
      const secret = randomBytes(20)
      const { id } = await bench.addToken({
        serial: `${userId}-${number}`,
        secret: { encoding: 'HEX', value: secret.toString('hex') },
        user: { id: userId },
      })
      // The order of trial is that of creation.
      bench.core.clock.advance(1)
      const codeAt = (counter: number) => hotp({ secret, algorithm: 'SHA1', digits: 6, counter })
      held.push({ tokenId: id, userId, codeAt })
    }
    const [first, second] = held
    if (first === undefined || second === undefined) throw new Error('Two tokens were made.')
    lockout = firstLockout
    const model = new LockModel([first.codeAt, second.codeAt], bench.core.clock())
    return { userId, held: [first, second] as const, model }
  }

  type Scene = Awaited<ReturnType<typeof begin>>

  async function verify({ userId, held }: Scene, by: 0 | 1 | 'user', code: string) {
    const subject = by === 'user' ? { user: { id: userId } } : { token: { id: held[by].tokenId } }
    const outcome = await verification.verify(verifier, tenantId, { ...subject, code })
    return seen(outcome)
  }

  async function act(scene: Scene, action: Action): Promise<void> {
    const { model, held, userId } = scene
    switch (action.do) {
      case 'try': {
        const token = model.tokens[action.of]
        const code = token.codeAt(Math.max(0, token.next + action.offset))
        expect(await verify(scene, action.by, code)).toEqual(model.verify(code, action.by))
        return
      }
      case 'guess':
        expect(await verify(scene, action.by, action.code)).toEqual(
          model.verify(action.code, action.by),
        )
        return
      case 'wait':
        bench.core.clock.advance(action.ms)
        model.nowMs += action.ms
        return
      case 'lock': {
        const token = model.tokens[action.token]
        await bench.assignments.lock(bench.admin, tenantId, held[action.token])
        Object.assign(token, { locked: true, untilMs: null, byAdministrator: true })
        return
      }
      case 'unlock':
        await bench.assignments.unlock(bench.admin, tenantId, held[action.token])
        model.unlock(model.tokens[action.token])
        return
      case 'unlock-user':
        await userLocks.unlock(bench.admin, tenantId, userId)
        model.unlockUser()
        return
      case 'set':
        lockout = action.lockout
        model.lockout = action.lockout
    }
  }

  /** What administrators see is what the model holds. */
  async function expectSame({ userId, held, model }: Scene): Promise<void> {
    for (const number of [0, 1] as const) {
      const token = model.tokens[number]
      const assignment = await bench.assignments.get(bench.admin, tenantId, held[number])
      expect(assignment.status).toBe(model.isLocked(token) ? 'LOCKED' : 'ACTIVE')
      expect(assignment.lockedUntilMs).toBe(model.isLocked(token) ? token.untilMs : null)
      if (!token.byAdministrator) expect(assignment.failureCount).toBe(model.failuresOf(token))
    }
    const user = await bench.users.get(bench.admin, tenantId, userId)
    expect(user.lock !== null).toBe(model.isLocked(model.user))
    expect(user.failureCount).toBe(model.failuresOf(model.user))
  }

  test('do what the rules say, whatever comes in whatever order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(actions, { minLength: 5, maxLength: 40 }), async (steps) => {
        const scene = await begin()
        for (const step of steps) await act(scene, step)
        await expectSame(scene)
      }),
      { numRuns: runs },
    )
  }, 180_000)

  test('a timed lock that ends gives as many attempts as the first one did, and not one more', async () => {
    const scene = await begin()
    for (let round = 1; round <= 5; round++) {
      for (let attempt = 1; attempt <= firstLockout.tokenMaxFailures; attempt++) {
        expect((await verify(scene, 0, '000000')).result).toBe('REJECTED')
      }
      const right = scene.held[0].codeAt(0)
      bench.core.clock.advance(firstLockout.tokenLockSeconds * 1000 - 1)
      expect((await verify(scene, 0, right)).result).toBe('LOCKED')
      bench.core.clock.advance(1)
    }
    expect((await verify(scene, 0, scene.held[0].codeAt(0))).result).toBe('ACCEPTED')
  })
})

function seen({ result, attemptsLeft }: Verification): { result: string; attemptsLeft?: number } {
  return attemptsLeft === undefined ? { result } : { result, attemptsLeft }
}
