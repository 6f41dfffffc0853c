import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { statement } from '#storage/statement.ts'
import { engines } from '#test/support/core.ts'
import { createListBench, type ListBench, listTenant } from '#test/support/otp-lists.ts'
import { refusal } from '#test/support/users.ts'
import type { MethodChange } from './otp-list-method-service.ts'

const addCount = statement((db, p: { tenantId: string; userId: string; methodId: string }) =>
  db.insertInto('otp_list_lockout').values({
    tenant_id: p.tenantId,
    user_id: p.userId,
    method_id: p.methodId,
    failure_count: 1,
    locked_until: null,
  }),
)
const countedRows = statement((db, p: { tenantId: string; methodId: string }) =>
  db
    .selectFrom('otp_list_lockout')
    .select('user_id')
    .where('tenant_id', '=', p.tenantId)
    .where('method_id', '=', p.methodId),
)

describe.each(engines)('methods of lists on %s', (engine) => {
  let bench: ListBench
  let number = 0

  beforeAll(async () => {
    bench = await createListBench({ engine })
  })
  afterAll(async () => {
    await bench[Symbol.asyncDispose]()
  })

  const create = (draft: MethodChange = {}, name = `m.${++number}`) =>
    bench.methods.create(bench.admin, listTenant, { name, ...draft })
  const update = (name: string, change: MethodChange) =>
    bench.methods.update(bench.admin, listTenant, name, change)

  test('what is left out has the defaults of the contract', async () => {
    const method = await create()
    expect(method).toMatchObject({
      description: '',
      otpWindowSize: 1,
      otpLength: 6,
      otpAlphabet: '0123456789',
      listSize: 50,
      order: 'SEQUENTIAL',
      indexFormat: 'NUMERIC',
      indexBlockSize: 10,
      freeListMaxAgeSeconds: 2_592_000,
      associatedListMaxAgeSeconds: 0,
      maxAgeLimitSeconds: 315_360_000,
      renewThreshold: 10,
      maxFailures: 5,
      lockSeconds: 900,
    })
    expect(await bench.methods.get(bench.reader, listTenant, method.name)).toEqual(method)
  })

  const wrong: readonly [string, MethodChange][] = [
    ['/otpWindowSize', { otpWindowSize: 0 }],
    ['/otpWindowSize', { otpWindowSize: 11 }],
    ['/otpWindowSize', { order: 'RANDOM', otpWindowSize: 2 }],
    ['/otpLength', { otpLength: 3 }],
    ['/otpLength', { otpLength: 17 }],
    ['/otpAlphabet', { otpAlphabet: '0' }],
    ['/otpAlphabet', { otpAlphabet: '00' }],
    ['/otpAlphabet', { otpAlphabet: 'aA' }],
    ['/otpAlphabet', { otpAlphabet: '0-1' }],
    ['/otpAlphabet', { otpAlphabet: 'äö' }],
    ['/listSize', { listSize: 0 }],
    ['/listSize', { listSize: 1001 }],
    ['/listSize', { listSize: 1.5 }],
    ['/indexBlockSize', { indexBlockSize: 0 }],
    ['/indexBlockSize', { indexFormat: 'BLOCK', indexBlockSize: 1, listSize: 703 }],
    ['/freeListMaxAgeSeconds', { freeListMaxAgeSeconds: 59 }],
    ['/associatedListMaxAgeSeconds', { associatedListMaxAgeSeconds: -1 }],
    ['/maxAgeLimitSeconds', { maxAgeLimitSeconds: 315_360_001 }],
    ['/renewThreshold', { renewThreshold: -1 }],
    ['/maxFailures', { maxFailures: 0 }],
    ['/lockSeconds', { lockSeconds: 0 }],
    ['/description', { description: 'x'.repeat(256) }],
    ['/description', { description: '\0' }],
  ]

  test.each(wrong)('%s is refused in %o, for a new method and for a change', async (at, change) => {
    const { name } = await create()
    await expect(create(change)).rejects.toEqual(refusal('invalid_request', [at]))
    await expect(update(name, change)).rejects.toEqual(refusal('invalid_request', [at]))
  })

  test('a change is judged by the settings that it leaves', async () => {
    const { name } = await create({ otpWindowSize: 3 })
    await expect(update(name, { order: 'RANDOM' })).rejects.toEqual(
      refusal('invalid_request', ['/otpWindowSize']),
    )
    const changed = await update(name, { order: 'RANDOM', otpWindowSize: 1 })
    expect(changed).toMatchObject({ order: 'RANDOM', otpWindowSize: 1, listSize: 50 })
    await expect(update(name, { otpWindowSize: 2 })).rejects.toEqual(
      refusal('invalid_request', ['/otpWindowSize']),
    )
    expect(await bench.methods.get(bench.admin, listTenant, name)).toEqual(changed)
  })

  test('a name is taken once, and letters of either case are two names', async () => {
    await create({}, 'Same')
    await create({}, 'same')
    await expect(create({}, 'same')).rejects.toEqual(refusal('already_exists', ['/name']))
    for (const name of ['', '_batch', 'a/b', 'x'.repeat(65), 'ä', 'a b']) {
      await expect(create({}, name), name).rejects.toEqual(refusal('invalid_request', ['/name']))
    }
  })

  test('two changes of two members at once are both kept', async () => {
    const { name } = await create()
    await Promise.all([update(name, { maxFailures: 9 }), update(name, { lockSeconds: 7 })])
    const method = await bench.methods.get(bench.admin, listTenant, name)
    expect(method).toMatchObject({ maxFailures: 9, lockSeconds: 7 })
  })

  test('a method with lists stays; one without goes, and with it what was counted', async () => {
    const { name } = await create({ maxFailures: 1 })
    const { list } = await bench.addList({ method: name, user: 'jsmith' })
    await expect(bench.methods.delete(bench.admin, listTenant, name)).rejects.toEqual(
      refusal('in_use'),
    )
    await bench.verifyList('A00000', { method: name })
    await bench.lists.delete(bench.admin, listTenant, list.id)
    await bench.methods.delete(bench.admin, listTenant, name)
    await expect(bench.methods.get(bench.admin, listTenant, name)).rejects.toEqual(
      refusal('method_not_found'),
    )
    await create({}, name)
    const { codes } = await bench.addList({ method: name, user: 'jsmith' })
    expect((await bench.verifyList(codes[0]?.otp, { method: name })).refusal).toBeUndefined()
  })

  test('of lists that are made while the method is deleted, none is left without it', async () => {
    for (let round = 0; round < 5; round++) {
      const { name } = await create({ listSize: 1 })
      const attempts = Array.from({ length: 6 }, () =>
        bench.lists.create(bench.admin, listTenant, { method: name }).then(
          (made) => made.length,
          () => 0,
        ),
      )
      const [wasDeleted, ...counts] = await Promise.all([
        bench.methods.delete(bench.admin, listTenant, name).then(
          () => true,
          () => false,
        ),
        ...attempts,
      ])
      const made = counts.reduce((sum, count) => sum + count, 0)
      const query = { method: name }
      const { items } = await bench.lists.query(bench.admin, listTenant, query, { limit: 10 })
      expect(items).toHaveLength(made)
      if (wasDeleted) expect(made).toBe(0)
    }
  })

  test('a list goes through all methods in order of creation', async () => {
    const seen: string[] = []
    let cursor: string | undefined
    do {
      const page = await bench.methods.list(bench.admin, listTenant, { limit: 4, cursor })
      seen.push(...page.items.map(({ id }) => id))
      cursor = page.nextCursor
    } while (cursor !== undefined)
    expect(seen).toEqual(seen.toSorted())
    expect(new Set(seen).size).toBe(seen.length)
    expect(seen.length).toBeGreaterThan(10)
  })

  test('the limit of a tenant holds', async () => {
    const tenant = 'other'
    const drafts = Array.from({ length: 100 }, (_, n) => ({ name: `n${n}` }))
    for (const draft of drafts) await bench.methods.create(bench.stranger, tenant, draft)
    await expect(
      bench.methods.create(bench.stranger, tenant, { name: 'one-more' }),
    ).rejects.toEqual(refusal('limit_reached'))
    for (let n = 0; n < 3; n++) await bench.methods.delete(bench.stranger, tenant, `n${n}`)
    const racers = await Promise.allSettled(
      Array.from({ length: 20 }, (_, n) =>
        bench.methods.create(bench.stranger, tenant, { name: `racer${n}` }),
      ),
    )
    expect(racers.filter(({ status }) => status === 'fulfilled')).toHaveLength(3)
    for (const racer of racers) {
      if (racer.status === 'rejected') expect(racer.reason).toEqual(refusal('limit_reached'))
    }
  })

  test('what was counted goes with the method, however many users it was', async () => {
    const { name } = await create({})
    const kept = await create({})
    const rowsOf = async (method: string) => {
      const counted = { tenantId: listTenant, methodId: method }
      return (await bench.core.test.database.reader.all(countedRows, counted)).length
    }
    const { id } = await bench.methods.get(bench.admin, listTenant, name)
    const { id: keptId } = await bench.methods.get(bench.admin, listTenant, kept.name)
    await bench.core.test.database.transaction(async (queries) => {
      for (let n = 0; n < 450; n++) {
        for (const methodId of n < 5 ? [id, keptId] : [id]) {
          await queries.run(addCount, { tenantId: listTenant, userId: `user-${n}`, methodId })
        }
      }
    })
    expect(await rowsOf(id)).toBe(450)
    await bench.methods.delete(bench.admin, listTenant, name)
    expect(await rowsOf(id)).toBe(0)
    expect(await rowsOf(keptId)).toBe(5)
    const deleted = await bench.journal('otp-list-method.deleted')
    expect(deleted.filter(({ target }) => target?.id === name)).toHaveLength(1)
  })
})
