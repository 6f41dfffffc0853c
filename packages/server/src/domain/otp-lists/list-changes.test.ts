import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { PinHasher } from '#custody/pin-hasher.ts'
import { systemRandomness } from '#custody/randomness.ts'
import { engines } from '#test/support/core.ts'
import { createListBench, type ListBench, listTenant } from '#test/support/otp-lists.ts'
import { Storage } from '../storage.ts'
import { VerificationService } from '../verification/verification-service.ts'
import type { ListChange } from './list-changes.ts'
import { OtpListExpiry } from './list-expiry.ts'
import { OtpListService } from './otp-list-service.ts'

const daySeconds = 86_400

describe.each(engines)('what is counted of printed lists on %s', (engine) => {
  let bench: ListBench
  let lists: OtpListService
  let verification: VerificationService
  let storage: Storage
  const counts: Partial<Record<ListChange, number>> = {}

  beforeEach(async () => {
    for (const change of Object.keys(counts)) delete counts[change as ListChange]
    bench = await createListBench({ engine })
    await bench.addMethod({
      listSize: 3,
      renewThreshold: 2,
      freeListMaxAgeSeconds: daySeconds,
      associatedListMaxAgeSeconds: 10 * daySeconds,
    })
    const { vault, clock, nextId, test } = bench.core
    storage = new Storage(test.database, clock, nextId, {
      countListChanges(change, count) {
        counts[change] = (counts[change] ?? 0) + count
      },
    })
    const base = { storage, vault, clock, nextId, randomness: systemRandomness }
    lists = new OtpListService(base)
    const policies = { settingsFor: async () => bench.policy }
    verification = new VerificationService({ ...base, pins: new PinHasher(), policies })
  })
  afterEach(() => bench[Symbol.asyncDispose]())

  const create = (order: { count?: number; user?: { id: string } }) =>
    lists.create(bench.admin, listTenant, { method: 'otp.1', ...order })
  const verify = (code = '') =>
    verification.verify(bench.admin, listTenant, { user: { id: 'jsmith' }, code })

  test('each change is counted once: made, given, begun, due, and gone for whatever reason', async () => {
    await create({ count: 20 })
    expect(counts).toEqual({ created: 20 })
    const [first] = await create({ user: { id: 'jsmith' } })
    expect(counts).toEqual({ created: 21, associated: 1 })
    await verify(first?.codes[0]?.otp)
    expect(counts).toEqual({ created: 21, associated: 1, activated: 1, renew_due: 1 })
    await verify(first?.codes[1]?.otp)
    expect(counts).toMatchObject({ activated: 1, renew_due: 1 })

    await create({ user: { id: 'jsmith' } })
    const [third] = await create({ user: { id: 'jsmith' } })
    expect(counts).toMatchObject({ created: 23, associated: 3, removed: 1 })
    await verify(third?.codes[0]?.otp)
    expect(counts).toMatchObject({ activated: 2, removed: 2 })
    await lists.delete(bench.admin, listTenant, third?.list.id ?? '')
    expect(counts).toMatchObject({ removed: 3 })
    bench.core.clock.advance(daySeconds * 1_000)
    await new OtpListExpiry({ storage, clock: bench.core.clock }).removeExpired()
    expect(counts).toMatchObject({ created: 23, removed: 23 })
  })

  test('what is refused, and what is undone with its transaction, is not counted', async () => {
    await expect(create({ user: { id: 'nobody' } })).rejects.toThrow()
    const [given] = await create({ user: { id: 'jsmith' } })
    await verify('A00000')
    await expect(
      lists.associate(bench.admin, listTenant, given?.list.id ?? '', { id: 'mjones' }),
    ).rejects.toThrow()
    await lists.get(bench.admin, listTenant, given?.list.id ?? '')
    await expect(
      storage.transaction(async ({ otpListChanges }) => {
        otpListChanges.count('removed')
        throw new Error('undone')
      }),
    ).rejects.toThrow('undone')
    expect(counts).toEqual({ created: 1, associated: 1 })
  })

  test('of 30 racing requests for the first code one counts as a beginning', async () => {
    const [list] = await create({ user: { id: 'jsmith' } })
    await Promise.all(Array.from({ length: 30 }, () => verify(list?.codes[0]?.otp)))
    expect(counts).toMatchObject({ activated: 1, renew_due: 1 })
  })
})
