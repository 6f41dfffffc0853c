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
