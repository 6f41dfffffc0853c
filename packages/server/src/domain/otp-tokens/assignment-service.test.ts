import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines, testCaller } from '#test/support/core.ts'
import { createTokenBench, type TokenBench, tenantId } from '#test/support/otp-tokens.ts'
import { assignmentsPerTokenMax } from './assignment.ts'

describe.each(engines)('assignments on %s', (engine) => {
  let bench: TokenBench

  beforeAll(async () => {
    bench = await createTokenBench({ engine })
  })
  afterAll(() => bench[Symbol.asyncDispose]())

  const assign = (
    tokenId: string,
    id: string,
    terms: Partial<Parameters<TokenBench['assignments']['create']>[3]> = {},
  ) => bench.assignments.create(bench.admin, tenantId, tokenId, { user: { id }, ...terms })
  const change = (
    tokenId: string,
    changes: Parameters<TokenBench['assignments']['update']>[3],
    userId = 'jsmith',
  ) => bench.assignments.update(bench.admin, tenantId, { tokenId, userId }, changes)
  const read = (tokenId: string, userId = 'jsmith') =>
    bench.assignments.get(bench.reader, tenantId, { tokenId, userId })

  test('one owner, others share; nobody gets a token twice', async () => {
    const { id } = await bench.addToken()
    expect(await assign(id, 'jsmith')).toMatchObject({
      isOwner: true,
      status: 'ACTIVE',
      pinHash: null,
    })
    await expect(assign(id, 'jsmith')).rejects.toMatchObject({ code: 'already_assigned' })
    await expect(assign(id, 'mjones')).rejects.toMatchObject({ code: 'owned_by_other' })
    expect(await assign(id, 'mjones', { shared: true })).toMatchObject({ isOwner: false })
    await expect(assign(id, 'mjones', { shared: true })).rejects.toMatchObject({
      code: 'already_assigned',
    })
  })

  test('of two owners at once one wins, and the other is told why', async () => {
    for (let round = 0; round < 5; round++) {
      const { id } = await bench.addToken()
      const outcomes = await Promise.allSettled([assign(id, 'jsmith'), assign(id, 'mjones')])
      expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
      const lost = outcomes.find((outcome) => outcome.status === 'rejected')
      expect(lost?.reason).toMatchObject({ code: 'owned_by_other' })
      const { assignments } = await bench.tokens.get(bench.reader, tenantId, id)
      expect(assignments.filter(({ isOwner }) => isOwner)).toHaveLength(1)
    }
  })

  test('one user twice at once is assigned once', async () => {
    const { id } = await bench.addToken()
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, () => assign(id, 'jsmith', { shared: true })),
    )
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') {
        expect(outcome.reason).toMatchObject({ code: 'already_assigned' })
      }
    }
  })

  test('R8: a user who is deleted at that moment is left without the token', async () => {
    for (let round = 0; round < 5; round++) {
      const { id } = await bench.addToken()
      const userId = `leaver-${round}`
      await bench.users.create(bench.admin, tenantId, { id: userId, loginName: userId })
      await Promise.allSettled([
        assign(id, userId),
        bench.users.delete(bench.admin, tenantId, userId),
      ])
      expect((await bench.tokens.get(bench.reader, tenantId, id)).assignments).toEqual([])
    }
  })

  test('a token that is not ACTIVE is not assigned', async () => {
    for (const status of ['DISABLED', 'DECEASED'] as const) {
      const { id } = await bench.addToken()
      await bench.tokens.update(bench.admin, tenantId, id, { status })
      await expect(assign(id, 'jsmith')).rejects.toMatchObject({ code: 'token_not_active' })
    }
  })

  test('when the owner goes, sharers stay, and the next who does not share owns', async () => {
    const { id } = await bench.addToken({ user: { id: 'jsmith' } })
    await assign(id, 'mjones', { shared: true })
    await bench.assignments.delete(bench.admin, tenantId, { tokenId: id, userId: 'jsmith' })
    const { assignments } = await bench.tokens.get(bench.reader, tenantId, id)
    expect(assignments).toMatchObject([{ userId: 'mjones', isOwner: false }])
    await expect(assign(id, 'mjones')).rejects.toMatchObject({ code: 'already_assigned' })
    expect(await assign(id, 'jsmith')).toMatchObject({ isOwner: true })
  })

  test('who is unassigned keeps the moment of the last use', async () => {
    const { id } = await bench.addToken({ user: { id: 'mjones' } })
    const usedAt = bench.core.clock() - 5000
    await bench.markUsed({ tokenId: id, userId: 'mjones', atMs: usedAt, step: -1 })
    await bench.assignments.delete(bench.admin, tenantId, { tokenId: id, userId: 'mjones' })
    expect(await bench.users.get(bench.reader, tenantId, 'mjones')).toMatchObject({
      lastAuthenticatedAtMs: usedAt,
    })
    const missing = { tokenId: id, userId: 'mjones' }
    await expect(bench.assignments.delete(bench.admin, tenantId, missing)).rejects.toMatchObject({
      code: 'assignment_not_found',
    })
    await expect(bench.assignments.unassign(bench.admin, tenantId, missing)).rejects.toMatchObject({
      code: 'not_assigned',
    })
  })

  test('terms: absent members stay, null clears, what is out of range is refused', async () => {
    const { id } = await bench.addToken({ user: { id: 'jsmith' } })
    const at = bench.core.clock()
    expect(
      await change(id, { startsAtMs: at, expiresAtMs: at + 1, usageLimit: 3, priority: 7 }),
    ).toMatchObject({ startsAtMs: at, expiresAtMs: at + 1, usageLimit: 3, priority: 7 })
    expect(await change(id, { expiresAtMs: null })).toMatchObject({
      startsAtMs: at,
      expiresAtMs: null,
      usageLimit: 3,
    })
    for (const wrong of [
      { expiresAtMs: at },
      { usageLimit: -1 },
      { usageLimit: 1_000_001 },
      { priority: 1001 },
      { priority: 0.5 },
      { pin: 'abc' },
    ]) {
      await expect(change(id, wrong)).rejects.toMatchObject({ code: 'invalid_request' })
    }
    await expect(change(id, { priority: 1 }, 'mjones')).rejects.toMatchObject({
      code: 'assignment_not_found',
    })
  })

  test('a PIN is set, replaced and taken away; only its hash is kept', async () => {
    const { id } = await bench.addToken({ user: { id: 'jsmith' } })
    const held = { tokenId: id, userId: 'jsmith' }
    await bench.assignments.setPin(bench.admin, tenantId, held, '0042')
    const first = await read(id)
    expect(await bench.pins.verify(first.pinHash ?? undefined, '0042')).toBe(true)
    await bench.assignments.setPin(bench.admin, tenantId, held, '0043')
    expect(await bench.pins.verify((await read(id)).pinHash ?? undefined, '0042')).toBe(false)
    await bench.assignments.clearPin(bench.admin, tenantId, held)
    await bench.assignments.clearPin(bench.admin, tenantId, held)
    expect((await read(id)).pinHash).toBeNull()
    const records = (await bench.journal('otp-token.assignment-updated')).filter(
      ({ target }) => target?.id === id,
    )
    expect(records.map(({ detail }) => detail)).toEqual(Array(3).fill({ changed: ['pin'] }))
    const text = JSON.stringify(await bench.journal())
    expect(text).not.toContain('0042')
    expect(text).not.toContain('argon2id')
  })

  test('R7: ACTIVE on a LOCKED assignment unlocks it and forgets the failures', async () => {
    const { id } = await bench.addToken({ user: { id: 'jsmith' } })
    await bench.lockForFailures({ tokenId: id, userId: 'jsmith', untilMs: null })
    expect(await read(id)).toMatchObject({
      status: 'LOCKED',
      failureCount: 10,
      lockReason: 'FAILURES',
    })
    expect(await change(id, { status: 'ACTIVE' })).toMatchObject({
      status: 'ACTIVE',
      failureCount: 0,
      lockReason: null,
    })
  })

  test('R7: a timed lock that has ended is shown as none, and its failures as forgotten', async () => {
    const { id } = await bench.addToken({ user: { id: 'jsmith' } })
    const lockedUntilMs = bench.core.clock() + 60_000
    await bench.lockForFailures({ tokenId: id, userId: 'jsmith', untilMs: lockedUntilMs })
    expect(await read(id)).toMatchObject({ status: 'LOCKED', lockedUntilMs })
    bench.core.clock.set(lockedUntilMs)
    expect(await read(id)).toMatchObject({
      status: 'ACTIVE',
      failureCount: 0,
      lockedUntilMs: null,
      lockReason: null,
    })
    const { assignments } = await bench.tokens.get(bench.reader, tenantId, id)
    expect(assignments).toMatchObject([{ status: 'ACTIVE' }])
  })

  test('an administrator’s lock lasts until it is ended, also over a timed one', async () => {
    const { id } = await bench.addToken({ user: { id: 'jsmith' } })
    const held = { tokenId: id, userId: 'jsmith' }
    await bench.lockForFailures({ ...held, untilMs: bench.core.clock() + 60_000 })
    const reason = { reason: 'reported lost' }
    for (let times = 0; times < 2; times++) {
      expect(await bench.assignments.lock(bench.admin, tenantId, held, reason)).toMatchObject({
        status: 'LOCKED',
        lockedUntilMs: null,
        lockReason: 'ADMINISTRATOR',
      })
    }
    bench.core.clock.advance(24 * 60 * 60 * 1000)
    expect((await read(id)).status).toBe('LOCKED')
    expect(await bench.assignments.unlock(bench.admin, tenantId, held)).toMatchObject({
      status: 'ACTIVE',
      failureCount: 0,
    })
    await bench.assignments.unlock(bench.admin, tenantId, held)
    const ofToken = (await bench.journal()).filter(({ target }) => target?.id === id)
    expect(ofToken.map((record) => record.action)).toEqual([
      'otp-token.created',
      'otp-token.assigned',
      'otp-token.assignment-locked',
      'otp-token.assignment-unlocked',
    ])
    expect(ofToken[2]?.detail).toEqual({ reason: 'reported lost' })
  })

  test('locking does not make an INACTIVE or DISABLED assignment usable by way of unlocking', async () => {
    for (const status of ['INACTIVE', 'DISABLED'] as const) {
      const { id } = await bench.addToken({ user: { id: 'jsmith' } })
      await change(id, { status })
      const held = { tokenId: id, userId: 'jsmith' }
      await expect(bench.assignments.lock(bench.admin, tenantId, held)).rejects.toMatchObject({
        code: 'assignment_not_active',
      })
      expect(await bench.assignments.unlock(bench.admin, tenantId, held)).toMatchObject({ status })
    }
  })

  test('a token has at most 100 users', async () => {
    const { id } = await bench.addToken()
    const { storage, nextId } = bench.core
    const { assignments: _, ...token } = await bench.tokens.get(bench.reader, tenantId, id)
    const template = await assign(id, 'jsmith', { shared: true })
    await storage.transaction(async ({ assignments }) => {
      for (let index = 1; index < assignmentsPerTokenMax; index++) {
        await assignments.insert({ ...template, id: nextId(), userId: `user-${index}` })
      }
    })
    await expect(assign(token.id, 'mjones', { shared: true })).rejects.toMatchObject({
      code: 'limit_reached',
    })
  })

  test('another tenant sees and changes nothing; reading is not writing', async () => {
    const { id } = await bench.addToken({ user: { id: 'jsmith' } })
    const held = { tokenId: id, userId: 'jsmith' }
    const { stranger } = bench
    await expect(bench.assignments.get(stranger, 'other', held)).rejects.toMatchObject({
      code: 'assignment_not_found',
    })
    const theirs = bench.assignments.create(stranger, 'other', id, { user: { id: 'jsmith' } })
    await expect(theirs).rejects.toMatchObject({ code: 'token_not_found' })
    await expect(bench.assignments.lock(stranger, tenantId, held)).rejects.toMatchObject({
      code: 'tenant_not_found',
    })
    await expect(bench.assignments.delete(bench.reader, tenantId, held)).rejects.toMatchObject({
      code: 'forbidden',
    })
    const agent = testCaller(tenantId, ['dualshield:management'], { surface: 'dualshield' })
    expect(await bench.assignments.update(agent, tenantId, held, { priority: 3 })).toMatchObject({
      priority: 3,
    })
  })
})
