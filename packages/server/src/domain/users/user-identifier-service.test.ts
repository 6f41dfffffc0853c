import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  createReadyTestCore,
  engines,
  platformAdmin,
  type TestCore,
  testCaller,
} from '#test/support/core.ts'
import { recordsOf, refusal, type UserServices, userServices } from '#test/support/users.ts'
import { userIdentifiersMax } from './identifier.ts'

describe.each(engines)('identifiers on %s', (engine) => {
  let core: TestCore
  let services: UserServices
  let tenantCount = 0

  beforeAll(async () => {
    core = await createReadyTestCore({ engine })
    services = userServices(core)
  })
  afterAll(() => core[Symbol.asyncDispose]())

  /** A tenant with the users `john` and `jane`. */
  async function newTenant() {
    const { id } = await core.tenants.create(platformAdmin, {
      id: `bank-${++tenantCount}`,
      name: 'A bank',
    })
    const admin = testCaller(id, ['tenant:write'])
    for (const name of ['john', 'jane']) {
      await services.users.create(admin, id, { id: name, loginName: name })
    }
    return {
      id,
      admin,
      add: (userId: string, scheme: string, value: string) =>
        services.identifiers.add(admin, id, userId, { scheme, value }),
      remove: (userId: string, scheme: string, value: string) =>
        services.identifiers.remove(admin, id, userId, { scheme, value }),
      of: async (userId: string) => (await services.users.get(admin, id, userId)).identifiers,
    }
  }

  test('an identifier is kept in normal form, once, and removed in any notation', async () => {
    const { id, add, remove, of } = await newTenant()
    const guid = '3f2504e0-4f89-11d3-9a0c-0305e82c3301'
    const normal = { scheme: 'objectGuid', value: guid }
    expect(await add('john', 'objectGuid', `{${guid.toUpperCase()}}`)).toEqual(normal)
    expect(await add('john', 'objectGuid', guid.replaceAll('-', ''))).toEqual(normal)
    expect(await of('john')).toEqual([normal])
    await remove('john', 'objectGuid', guid.replaceAll('-', '').toUpperCase())
    expect(await of('john')).toEqual([])
    await expect(remove('john', 'objectGuid', guid)).rejects.toEqual(
      refusal('identifier_not_found'),
    )
    const about = { target: { type: 'user', id: 'john' }, userId: 'john' }
    expect((await recordsOf(core, id)).slice(2)).toEqual([
      { action: 'user-identifier.added', ...about, detail: { scheme: 'objectGuid' } },
      { action: 'user-identifier.removed', ...about, detail: { scheme: 'objectGuid' } },
    ])
  })

  test("somebody else's identifier is taken, in its tenant", async () => {
    const one = await newTenant()
    const other = await newTenant()
    await one.add('john', 'login', 'JJ')
    await expect(one.add('jane', 'login', 'jj')).rejects.toEqual(
      refusal('already_exists', ['/value']),
    )
    await expect(one.remove('jane', 'login', 'jj')).rejects.toEqual(refusal('identifier_not_found'))
    await other.add('jane', 'login', 'jj')
    await other.remove('jane', 'login', 'jj')
    expect(await one.of('john')).toHaveLength(1)
  })

  test('a keyless value names once: not even its first user gets it back', async () => {
    const { add, remove, of } = await newTenant()
    const value = '0123456789abcdef'
    await add('john', 'keyless', value)
    await add('john', 'keyless', value.toUpperCase())
    await remove('john', 'keyless', value)
    expect(await of('john')).toEqual([])
    for (const userId of ['john', 'jane']) {
      await expect(add(userId, 'keyless', value)).rejects.toEqual(
        refusal('already_exists', ['/value']),
      )
      await expect(remove(userId, 'keyless', value)).rejects.toEqual(
        refusal('identifier_not_found'),
      )
    }
  })

  test.each([
    ['/scheme', 'id', 'x'],
    ['/scheme', 'a b', 'x'],
    ['/value', 'keyless', 'xyz'],
    ['/value', 'external', 'a\0b'],
    ['/value', 'objectGuid', 'no guid'],
  ])('%s is refused in scheme %j, value %j', async (pointer, scheme, value) => {
    const { add, remove, of } = await newTenant()
    await expect(add('john', scheme, value)).rejects.toEqual(refusal('invalid_request', [pointer]))
    await expect(add('nobody', scheme, value)).rejects.toEqual(refusal('user_not_found'))
    await expect(remove('john', scheme, value)).rejects.toEqual(refusal('identifier_not_found'))
    expect(await of('john')).toEqual([])
  })

  test('of many that want one identifier at once, one gets it', async () => {
    const { add, of } = await newTenant()
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) =>
        add(index % 2 === 0 ? 'john' : 'jane', 'external', 'E1'),
      ),
    )
    const holders = (await Promise.all(['john', 'jane'].map(of))).flat()
    expect(holders).toEqual([{ scheme: 'external', value: 'E1' }])
    // The winner's own repetitions are no errors.
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(10)
  })

  test('the limit holds also for those that come at once', async () => {
    const { id, admin, add, of } = await newTenant()
    await core.storage.transaction(async ({ userIdentifiers }) => {
      for (let index = 0; index < userIdentifiersMax - 3; index++) {
        await userIdentifiers.insert(id, 'john', { scheme: 'external', value: `E${index}` })
      }
    })
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, (_, index) => add('john', 'late', `${index}`)),
    )
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(3)
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toEqual(refusal('limit_reached'))
    }
    expect(await of('john')).toHaveLength(userIdentifiersMax)
    expect((await services.users.list(admin, id, { limit: 2 })).items[0]?.identifiers).toHaveLength(
      userIdentifiersMax,
    )
  })

  test('nothing is given to a user who is being deleted', async () => {
    const { id, admin } = await newTenant()
    for (let round = 0; round < 15; round++) {
      const user = { id: `u${round}`, loginName: `u${round}` }
      const identifier = { scheme: 'external', value: `E${round}` }
      await services.users.create(admin, id, user)
      await Promise.allSettled([
        services.identifiers.add(admin, id, user.id, identifier),
        services.users.delete(admin, id, user.id),
      ])
      // Free again, whoever came first.
      await services.identifiers.add(admin, id, 'john', identifier)
    }
  })
})
