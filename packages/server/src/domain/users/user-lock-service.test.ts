import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  createReadyTestCore,
  engines,
  platformAdmin,
  type TestCore,
  testCaller,
} from '#test/support/core.ts'
import {
  createVerificationBench,
  defaultPolicy,
  type VerificationBench,
} from '#test/support/tokens.ts'
import { recordsOf, refusal, type UserServices, userServices } from '#test/support/users.ts'

describe.each(engines)('locks of users on %s', (engine) => {
  let core: TestCore
  let bench: VerificationBench
  let services: UserServices
  let tenantCount = 0

  beforeAll(async () => {
    core = await createReadyTestCore({ engine })
    bench = await createVerificationBench({ test: core.test })
    services = userServices(core)
  })
  afterAll(() => core[Symbol.asyncDispose]())

  /** A tenant with the user `john`, whose codes are checked under the given limits. */
  async function newTenant(lockout: Partial<typeof defaultPolicy.lockout>) {
    const { id } = await core.tenants.create(platformAdmin, {
      id: `bank-${++tenantCount}`,
      name: 'A bank',
    })
    bench.policy = { ...defaultPolicy, lockout: { ...defaultPolicy.lockout, ...lockout } }
    const admin = testCaller(id, ['tenant:write'])
    await services.users.create(admin, id, { id: 'john', loginName: 'john' })
    return {
      id,
      admin,
      get: () => services.users.get(admin, id, 'john'),
      lock: (reason?: string) => services.locks.lock(admin, id, 'john', reason),
      unlock: () => services.locks.unlock(admin, id, 'john'),
      verify: async (code: string) => {
        const request = { user: { id: 'john' }, code }
        return (await bench.verification.verify(testCaller(id, ['verify']), id, request)).result
      },
    }
  }

  test('R7: a lock is shown while it lasts, and its failures are forgotten with it', async () => {
    const { id, get, verify } = await newTenant({ userMaxFailures: 2, userLockSeconds: 60 })
    await bench.addToken({ tenantId: id, userId: 'john' })
    await verify('000000')
    expect(await get()).toMatchObject({ lock: null, failureCount: 1 })
    await verify('000000')
    const lockedAtMs = core.clock()
    expect(await get()).toMatchObject({
      lock: { lockedAtMs, untilMs: lockedAtMs + 60_000, reason: 'FAILURES' },
      failureCount: 2,
    })
    expect(await verify('755224')).toBe('LOCKED')
    core.clock.advance(59_999)
    expect((await get()).lock).not.toBeNull()
    core.clock.advance(1)
    expect(await get()).toMatchObject({ lock: null, failureCount: 0 })
  })

  test('unlocking lifts the locks that failures have set, and forgets all failures', async () => {
    const { id, get, unlock, verify } = await newTenant({ tokenMaxFailures: 2, userMaxFailures: 3 })
    const first = await bench.addToken({ tenantId: id, userId: 'john', serial: '1' })
    const second = await bench.addToken({ tenantId: id, userId: 'john', serial: '2' })
    await verify('000000')
    await verify('000000')
    expect(await verify('755224')).toBe('LOCKED')
    expect(await unlock()).toMatchObject({ id: 'john', lock: null, failureCount: 0 })
    for (const tokenId of [first, second]) {
      expect(await core.storage.read.assignments.listOfToken(id, tokenId)).toMatchObject([
        { status: 'ACTIVE', failureCount: 0, lockReason: null, lockedUntilMs: null },
      ])
    }
    expect(await verify('755224')).toBe('ACCEPTED')
    expect((await get()).lock).toBeNull()
    expect(await recordsOf(core, id)).toContainEqual({
      action: 'user.unlocked',
      target: { type: 'user', id: 'john' },
      userId: 'john',
      detail: { unlockedTokenCount: 2 },
    })
  })

  test('a lock that an administrator has set on one assignment stays', async () => {
    const { id, unlock, verify } = await newTenant({ tokenMaxFailures: 2 })
    const tokenId = await bench.addToken({ tenantId: id, userId: 'john', serial: '1' })
    const key = { tenantId: id, tokenId, userId: 'john' }
    await verify('000000')
    await core.storage.transaction(({ assignments }) =>
      assignments.setStatus(key, 'LOCKED', core.clock()),
    )
    await unlock()
    expect(await core.storage.read.assignments.find(key)).toMatchObject({
      status: 'LOCKED',
      lockReason: 'ADMINISTRATOR',
      failureCount: 0,
    })
    expect(await verify('755224')).toBe('LOCKED')
  })

  test('an administrator locks until unlocked; doing it again changes nothing', async () => {
    const { id, get, lock, unlock, verify } = await newTenant({})
    await bench.addToken({ tenantId: id, userId: 'john' })
    const lockedAtMs = core.clock()
    const locked = { lockedAtMs, untilMs: null, reason: 'ADMINISTRATOR' }
    expect(await lock('Left the bank')).toMatchObject({ id: 'john', lock: locked })
    core.clock.advance(10 * 365 * 86_400_000)
    await lock('Once more')
    expect((await get()).lock).toEqual(locked)
    expect(await verify('755224')).toBe('LOCKED')
    const records = await recordsOf(core, id)
    expect(
      records.filter((record) => 'action' in record && record.action === 'user.locked'),
    ).toEqual([
      {
        action: 'user.locked',
        target: { type: 'user', id: 'john' },
        userId: 'john',
        detail: { reason: 'ADMINISTRATOR', lockedUntil: null, words: 'Left the bank' },
      },
    ])
    expect((await unlock()).lock).toBeNull()
    expect(await verify('755224')).toBe('ACCEPTED')
  })

  test('R7: a timed lock becomes one without end, with its failures while it runs and without them after', async () => {
    for (const [waitMs, failureCount] of [
      [59_999, 2],
      [60_000, 0],
    ] as const) {
      const { id, get, lock, verify } = await newTenant({ userMaxFailures: 2, userLockSeconds: 60 })
      await bench.addToken({ tenantId: id, userId: 'john' })
      await verify('000000')
      await verify('000000')
      core.clock.advance(waitMs)
      expect(await lock()).toMatchObject({ lock: { reason: 'ADMINISTRATOR' }, failureCount })
      core.clock.advance(60_000)
      expect(await get()).toMatchObject({ lock: { untilMs: null }, failureCount })
    }
  })

  test('what was decided before the lock and is written after it leaves it alone', async () => {
    const { id, get, lock } = await newTenant({ userMaxFailures: 2, userLockSeconds: 60 })
    const locked = await lock()
    const nowMs = core.clock()
    const limit = { failuresMax: 1, lockSeconds: 1 }
    await core.storage.transaction(async ({ failures }) => {
      expect(await failures.failUser(id, 'john', nowMs, limit)).toBeUndefined()
      await failures.clearUserFailures(id, 'john', nowMs)
    })
    expect(await get()).toEqual(locked)
  })

  test('R4: the lock stands whatever right and wrong codes come in the same moment', async () => {
    for (let round = 0; round < 8; round++) {
      const { id, get, lock, verify } = await newTenant({
        tokenMaxFailures: 100,
        userMaxFailures: 3,
        userLockSeconds: 1,
      })
      await bench.addToken({ tenantId: id, userId: 'john' })
      const before = ['000000', '755224', '000000']
      const after = ['287082', '000000', '000000', '000000', '359152']
      await Promise.all([...before.map(verify), lock(), ...after.map(verify)])
      expect((await get()).lock).toMatchObject({ untilMs: null, reason: 'ADMINISTRATOR' })
      core.clock.advance(2_000)
      expect(await verify('969429')).toBe('LOCKED')
    }
  })

  test('R4: of twenty locks at once one is recorded', async () => {
    const { id, lock } = await newTenant({})
    await Promise.all(Array.from({ length: 20 }, () => lock()))
    const records = await recordsOf(core, id)
    expect(
      records.filter((record) => 'action' in record && record.action === 'user.locked'),
    ).toHaveLength(1)
  })

  test('only who may change users locks them, and nobody in another tenant', async () => {
    const one = await newTenant({})
    const other = await newTenant({})
    const { locks } = services
    const reader = testCaller(one.id, ['tenant:read', 'verify'])
    await expect(locks.lock(one.admin, one.id, 'nobody')).rejects.toEqual(refusal('user_not_found'))
    await expect(locks.lock(one.admin, other.id, 'john')).rejects.toEqual(
      refusal('tenant_not_found'),
    )
    await expect(locks.lock(reader, one.id, 'john')).rejects.toEqual(refusal('forbidden'))
    await expect(one.lock('x'.repeat(256))).rejects.toEqual(refusal('invalid_request', ['/reason']))
    expect((await one.get()).lock).toBeNull()
    await one.lock()
    expect((await other.get()).lock).toBeNull()
  })

  test('a user is made or changed, and locked, in one transaction or not at all', async () => {
    const { id, admin, get } = await newTenant({})
    const { users } = services
    const draft = { id: 'mary', loginName: 'mary', lock: true }
    const made = await users.create(admin, id, draft)
    expect(made).toMatchObject({ status: 'ACTIVE', lock: { reason: 'ADMINISTRATOR' } })
    await expect(
      users.update(admin, id, 'john', { loginName: 'mary', lock: true }),
    ).rejects.toEqual(refusal('already_exists'))
    expect((await get()).lock).toBeNull()
    const changed = await users.update(admin, id, 'john', { mobile: '1', lock: true })
    expect(changed).toMatchObject({ mobile: '1', lock: { untilMs: null } })
    expect((await recordsOf(core, id)).slice(-2)).toMatchObject([
      { action: 'user.locked', userId: 'john', detail: { words: null } },
      { action: 'user.updated', detail: { changed: ['lock', 'mobile'] } },
    ])
  })

  test("a change with clearFailures ends an administrator's lock too", async () => {
    const { id, admin, lock, verify } = await newTenant({})
    await bench.addToken({ tenantId: id, userId: 'john' })
    await lock()
    await services.users.update(admin, id, 'john', { clearFailures: true })
    expect(await verify('755224')).toBe('ACCEPTED')
  })

  test("a change with clearFailures ends the user's own lock only", async () => {
    const { id, admin, get, verify } = await newTenant({ tokenMaxFailures: 2, userMaxFailures: 2 })
    const tokenId = await bench.addToken({ tenantId: id, userId: 'john', serial: '1' })
    await verify('000000')
    await verify('000000')
    expect((await get()).lock).not.toBeNull()
    await services.users.update(admin, id, 'john', { status: 'ACTIVE', clearFailures: true })
    expect(await get()).toMatchObject({ lock: null, failureCount: 0 })
    expect(await core.storage.read.assignments.listOfToken(id, tokenId)).toMatchObject([
      { status: 'LOCKED', lockReason: 'FAILURES' },
    ])
  })

  test("nobody's lock is touched but the user's, and only by who may", async () => {
    const one = await newTenant({ userMaxFailures: 1, userLockSeconds: 0 })
    const other = await newTenant({ userMaxFailures: 1, userLockSeconds: 0 })
    for (const { id, verify } of [one, other]) {
      await bench.addToken({ tenantId: id, userId: 'john' })
      await verify('000000')
    }
    await one.unlock()
    expect((await one.get()).lock).toBeNull()
    expect(await other.get()).toMatchObject({ lock: { untilMs: null, reason: 'FAILURES' } })
    const { locks } = services
    await expect(locks.unlock(one.admin, one.id, 'nobody')).rejects.toEqual(
      refusal('user_not_found'),
    )
    await expect(locks.unlock(one.admin, other.id, 'john')).rejects.toEqual(
      refusal('tenant_not_found'),
    )
    await expect(
      locks.unlock(testCaller(one.id, ['tenant:read', 'verify']), one.id, 'john'),
    ).rejects.toEqual(refusal('forbidden'))
  })
})
