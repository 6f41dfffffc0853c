import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { engines, testCaller } from '#test/support/core.ts'
import { createListBench, type ListBench, listTenant } from '#test/support/otp-lists.ts'
import { refusal } from '#test/support/users.ts'
import type { OtpList } from './otp-list.ts'

const dayMs = 86_400_000

describe.each(engines)('printed lists on %s', (engine) => {
  let bench: ListBench

  beforeEach(async () => {
    bench = await createListBench({ engine })
    await bench.addMethod()
  })

  afterEach(async () => {
    await bench[Symbol.asyncDispose]()
  })

  const get = (id: string) => bench.lists.get(bench.admin, listTenant, id)
  const associate = (id: string, user: string) =>
    bench.lists.associate(bench.admin, listTenant, id, { id: user })

  describe('create', () => {
    test('gives free lists with distinct codes, which no later read shows', async () => {
      const order = { method: 'otp.1', count: 5, maxAgeSeconds: 60 }
      const made = await bench.lists.create(bench.admin, listTenant, order)
      expect(made).toHaveLength(5)
      for (const { list, codes } of made) {
        expect(list).toMatchObject({ status: 'FREE', size: 3, remaining: 3, nextIndex: '1' })
        expect(list.expiresAtMs).toBe(bench.core.clock() + 60_000)
        expect(codes.map(({ index }) => index)).toEqual(['1', '2', '3'])
        expect(new Set(codes.map(({ otp }) => otp)).size).toBe(3)
        expect(await get(list.id)).toEqual(list)
      }
      expect((await bench.journal('otp-list.created')).map(({ target }) => target?.id)).toEqual(
        made.map(({ list }) => list.id),
      )
    })

    test('keeps nothing from which a code can be read', async () => {
      const { codes } = await bench.addList({ user: 'jsmith' })
      const records = JSON.stringify(await bench.journal())
      for (const { otp } of codes) expect(records).not.toContain(otp)
    })

    test('takes the settings of the method at that moment', async () => {
      const before = await bench.addList()
      await bench.methods.update(bench.admin, listTenant, 'otp.1', {
        listSize: 12,
        otpLength: 8,
        otpAlphabet: 'ABCDEF',
        indexFormat: 'BLOCK',
        indexBlockSize: 5,
      })
      const { list, codes } = await bench.addList()
      expect(list.size).toBe(12)
      expect(codes[11]?.index).toBe('C2')
      for (const { otp } of codes) expect(otp).toMatch(/^[A-F]{8}$/)
      expect(await get(before.list.id)).toMatchObject({ size: 3, otpLength: 6, nextIndex: '1' })
    })

    test('with a user, associates in the same step, or makes nothing', async () => {
      const { list } = await bench.addList({ user: 'jsmith' })
      expect(list).toMatchObject({ status: 'ASSOCIATED', userId: 'jsmith', expiresAtMs: null })
      await expect(bench.addList({ user: 'nobody' })).rejects.toEqual(refusal('user_not_found'))
      const { items } = await bench.lists.query(bench.admin, listTenant, {}, { limit: 10 })
      expect(items.map(({ id }) => id)).toEqual([list.id])
    })

    test('refuses ages, counts and methods that do not fit, and makes nothing', async () => {
      const nowMs = bench.core.clock()
      await bench.addMethod({ name: 'big', listSize: 1000, maxAgeLimitSeconds: 100 })
      const create = (order: object) =>
        bench.lists.create(bench.admin, listTenant, { method: 'big', ...order })
      const cases: [object, string][] = [
        [{ expiresAtMs: nowMs }, '/expiresAt'],
        [{ expiresAtMs: nowMs + 100_001 }, '/expiresAt'],
        [{ maxAgeSeconds: 101 }, '/maxAgeSeconds'],
        [{ maxAgeSeconds: 0 }, '/maxAgeSeconds'],
        [{ maxAgeSeconds: 5, expiresAtMs: nowMs + 5 }, '/maxAgeSeconds'],
        [{ count: 101 }, '/count'],
        [{ count: 0 }, '/count'],
        [{ count: 1001, method: 'otp.1' }, '/count'],
        [{ count: 2, user: { id: 'jsmith' } }, '/count'],
      ]
      for (const [order, pointer] of cases) {
        await expect(create(order), pointer).rejects.toEqual(refusal('invalid_request', [pointer]))
      }
      await expect(create({ method: 'none' })).rejects.toEqual(refusal('method_not_found'))
      const [capped] = await create({})
      expect(capped?.list.expiresAtMs).toBe(nowMs + 100_000)
      const { items } = await bench.lists.query(bench.admin, listTenant, {}, { limit: 10 })
      expect(items).toHaveLength(1)
    })
  })

  describe('associate', () => {
    test('drops the expiry of the free list, or sets the one of the method', async () => {
      const { list } = await bench.addList()
      expect(await associate(list.id, 'jsmith')).toMatchObject({
        status: 'ASSOCIATED',
        userId: 'jsmith',
        expiresAtMs: null,
      })
      await bench.methods.update(bench.admin, listTenant, 'otp.1', {
        associatedListMaxAgeSeconds: 5,
      })
      const other = await bench.addList()
      const tied = await associate(other.list.id, 'jsmith')
      expect(tied.expiresAtMs).toBe(bench.core.clock() + 5_000)
      await expect(get(list.id)).rejects.toEqual(refusal('list_not_found'))
    })

    test('looks for list, user and state in this order', async () => {
      const { list } = await bench.addList({ user: 'jsmith' })
      await expect(associate('01M7YRRT803GSW05TH0QPMAZMK', 'nobody')).rejects.toEqual(
        refusal('list_not_found'),
      )
      await expect(associate(list.id, 'nobody')).rejects.toEqual(refusal('user_not_found'))
      await expect(associate(list.id, 'jsmith')).rejects.toEqual(refusal('list_not_free'))
    })

    test('of two users who get one list at once, one gets it', async () => {
      const { list } = await bench.addList()
      const users = ['jsmith', 'mjones']
      const outcomes = await Promise.allSettled(
        Array.from({ length: 20 }, (_, n) => associate(list.id, users[n % 2] ?? '')),
      )
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    })

    test('of many lists for one user at once, one is left, and every other one is gone', async () => {
      const made = await Promise.all(Array.from({ length: 8 }, () => bench.addList()))
      await Promise.all(made.map(({ list }) => associate(list.id, 'jsmith')))
      const { items } = await bench.lists.query(bench.admin, listTenant, {}, { limit: 50 })
      expect(items).toHaveLength(1)
      expect(items[0]?.status).toBe('ASSOCIATED')
    })
  })

  test('from its instant, an expired list is unknown, and later its rows are gone', async () => {
    const order = { method: 'otp.1', maxAgeSeconds: 60 }
    const [made] = await bench.lists.create(bench.admin, listTenant, order)
    const id = made?.list.id ?? ''
    bench.core.clock.advance(59_999)
    expect((await get(id)).status).toBe('FREE')
    bench.core.clock.advance(1)
    await expect(get(id)).rejects.toEqual(refusal('list_not_found'))
    await expect(associate(id, 'jsmith')).rejects.toEqual(refusal('list_not_found'))
    await expect(bench.lists.delete(bench.admin, listTenant, id)).rejects.toEqual(
      refusal('list_not_found'),
    )
    const { items } = await bench.lists.query(bench.admin, listTenant, {}, { limit: 10 })
    expect(items).toEqual([])
    await bench.methods.delete(bench.admin, listTenant, 'otp.1')
    await bench.expiry.removeExpired()
    expect(await bench.core.storage.read.otpLists.listExpired(bench.core.clock(), 10)).toEqual([])
    expect((await bench.journal('otp-list.deleted')).map(({ detail }) => detail.reason)).toEqual([
      'EXPIRED',
    ])
  })

  test('deleting takes any list once', async () => {
    const { list } = await bench.addList({ user: 'jsmith' })
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, () => bench.lists.delete(bench.admin, listTenant, list.id)),
    )
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    await expect(get(list.id)).rejects.toEqual(refusal('list_not_found'))
  })

  test('a code that is accepted is the latest authentication of its user, also when its list is gone', async () => {
    const { list, codes } = await bench.addList({ user: 'jsmith' })
    const latest = async () =>
      (await bench.users.users.get(bench.admin, listTenant, 'jsmith')).lastAuthenticatedAtMs
    expect(await latest()).toBeNull()
    bench.core.clock.advance(1_000)
    const atMs = bench.core.clock()
    await bench.verifyList(codes[0]?.otp)
    expect(await latest()).toBe(atMs)
    bench.core.clock.advance(1_000)
    await bench.lists.delete(bench.admin, listTenant, list.id)
    expect(await latest()).toBe(atMs)
  })

  test('a deleted user leaves no list behind', async () => {
    const { list } = await bench.addList({ user: 'jsmith' })
    const kept = await bench.addList({ user: 'mjones' })
    await bench.users.users.delete(bench.admin, listTenant, 'jsmith')
    await expect(get(list.id)).rejects.toEqual(refusal('list_not_found'))
    expect((await get(kept.list.id)).userId).toBe('mjones')
    const [record] = await bench.journal('otp-list.deleted')
    expect(record).toMatchObject({ userId: 'jsmith', detail: { reason: 'USER_DELETED' } })
  })

  test('another tenant does not see methods and lists', async () => {
    const { list } = await bench.addList()
    const { lists, methods, stranger } = bench
    for (const attempt of [
      () => lists.get(stranger, 'other', list.id),
      () => lists.delete(stranger, 'other', list.id),
      () => lists.associate(stranger, 'other', list.id, { id: 'jsmith' }),
    ]) {
      await expect(attempt()).rejects.toEqual(refusal('list_not_found'))
    }
    await expect(lists.get(stranger, listTenant, list.id)).rejects.toEqual(
      refusal('tenant_not_found'),
    )
    await expect(methods.get(stranger, 'other', 'otp.1')).rejects.toEqual(
      refusal('method_not_found'),
    )
    await expect(lists.create(stranger, 'other', { method: 'otp.1' })).rejects.toEqual(
      refusal('method_not_found'),
    )
    expect((await lists.query(stranger, 'other', {}, { limit: 10 })).items).toEqual([])
  })

  test('a door has its own right', async () => {
    const { list } = await bench.addList()
    const verifier = testCaller(listTenant, ['verify'])
    await expect(bench.lists.get(verifier, listTenant, list.id)).rejects.toEqual(
      refusal('forbidden'),
    )
    await expect(bench.lists.delete(bench.reader, listTenant, list.id)).rejects.toEqual(
      refusal('forbidden'),
    )
  })

  describe('query', () => {
    const query = async (conditions: object): Promise<string[]> => {
      const { items } = await bench.lists.query(bench.admin, listTenant, conditions, { limit: 50 })
      return items.map(({ id }) => id)
    }

    test('finds by each condition, and by all together', async () => {
      await bench.addMethod({ name: 'otp.2' })
      const startMs = bench.core.clock()
      const free = (await bench.addList()).list
      bench.core.clock.advance(dayMs)
      const tied = (await bench.addList({ user: 'jsmith' })).list
      bench.core.clock.advance(dayMs)
      const second = (await bench.addList({ method: 'otp.2', user: 'jsmith' })).list

      expect(await query({})).toEqual([free.id, tied.id, second.id])
      expect(await query({ method: 'otp.1' })).toEqual([free.id, tied.id])
      expect(await query({ statuses: ['ASSOCIATED'] })).toEqual([tied.id, second.id])
      expect(await query({ method: 'otp.1', statuses: ['FREE'] })).toEqual([free.id])
      expect(await query({ statuses: ['ACTIVE', 'FREE'] })).toEqual([free.id])
      expect(await query({ user: { id: 'jsmith' } })).toEqual([tied.id, second.id])
      expect(await query({ user: { id: 'nobody' } })).toEqual([])
      expect(await query({ createdAfterMs: startMs + dayMs })).toEqual([tied.id, second.id])
      expect(await query({ createdBeforeMs: startMs + dayMs })).toEqual([free.id])
      const expiresAtMs = free.expiresAtMs ?? 0
      expect(await query({ expiresAfterMs: expiresAtMs })).toEqual([free.id])
      expect(await query({ expiresAfterMs: expiresAtMs + 1 })).toEqual([])
      expect(await query({ expiresBeforeMs: expiresAtMs })).toEqual([])
      expect(await query({ expiresBeforeMs: expiresAtMs + 1 })).toEqual([free.id])
      expect(await query({ remainingMax: 2 })).toEqual([])
      expect(await query({ remainingMax: 3, method: 'otp.2' })).toEqual([second.id])
    })

    test('pages by creation, then id, without a gap or a repeat, also within one moment', async () => {
      const made: OtpList[] = []
      for (const count of [3, 4]) {
        const order = { method: 'otp.1', count }
        const lists = await bench.lists.create(bench.admin, listTenant, order)
        made.push(...lists.map(({ list }) => list))
        bench.core.clock.advance(1)
      }
      const seen: string[] = []
      let cursor: string | undefined
      do {
        const page = await bench.lists.query(bench.admin, listTenant, {}, { limit: 2, cursor })
        seen.push(...page.items.map(({ id }) => id))
        cursor = page.nextCursor
      } while (cursor !== undefined)
      expect(seen).toEqual(made.map(({ id }) => id))
    })
  })

  test('userInfo tells the lists of one method, and of nobody else', async () => {
    const { list } = await bench.addList({ user: 'jsmith' })
    const info = (user: string) =>
      bench.lists.userInfo(bench.admin, listTenant, { method: 'otp.1', user: { id: user } })
    expect(await info('jsmith')).toMatchObject({
      userId: 'jsmith',
      userUniqueId: 'jsmith',
      active: undefined,
      associated: { id: list.id },
    })
    expect(await info('mjones')).toBeUndefined()
    expect(await info('nobody')).toBeUndefined()
  })
})
