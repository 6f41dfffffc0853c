import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  createReadyTestCore,
  engines,
  platformAdmin,
  type TestCore,
  testCaller,
} from '#test/support/core.ts'
import { refusal, userServices } from '#test/support/users.ts'
import type { UserReference } from './user-resolver.ts'

const guid = '3f2504e0-4f89-11d3-9a0c-0305e82c3301'
const keyless = 'AB'.repeat(32)

describe.each(engines)('naming a user on %s', (engine) => {
  let core: TestCore
  const statements: string[] = []

  const find = (reference: UserReference, tenantId = 'bank') =>
    core.storage.read.userResolver.findUserId(tenantId, reference)

  beforeAll(async () => {
    core = await createReadyTestCore({
      engine,
      observer: { observeDatabase() {}, statementRun: (sql) => statements.push(sql) },
    })
    const { users, domains } = userServices(core)
    for (const id of ['bank', 'other']) {
      await core.tenants.create(platformAdmin, { id, name: 'A bank' })
    }
    const admin = testCaller('bank', ['tenant:write'])
    await domains.create(admin, 'bank', { name: 'Acme.com', netbiosName: 'ACME' })
    await domains.create(admin, 'bank', { name: 'one', netbiosName: 'Twin' })
    await domains.create(admin, 'bank', { name: 'two', netbiosName: 'TWIN' })
    await domains.create(admin, 'bank', { name: 'acme', netbiosName: 'x' })
    const create = (
      id: string,
      domain: string,
      loginName: string,
      identifiers: [string, string][],
    ) =>
      users.create(admin, 'bank', {
        id,
        domain,
        loginName,
        identifiers: identifiers.map(([scheme, value]) => ({ scheme, value })),
      })
    await create('U1', 'default', 'John', [
      ['uniqueID', 'unique-1'],
      ['objectGuid', guid],
      ['external', 'E1'],
      ['keyless', keyless],
      ['email', 'john@bank.com'],
      ['login', 'the\\boss'],
    ])
    await create('U2', 'acme.com', 'john', [['uniqueID', 'U3']])
    await create('U3', 'default', 'Jos\u00e9', [['login', 'jane']])
    await create('U4', 'default', 'jane', [])
    await create('U5', 'one', 'tom', [])
    await create('U6', 'two', 'tom', [])
    await create('U7', 'two', 'tim', [])
    await create('U8', 'acme', 'ann', [])
    await create('U9', 'acme.com', 'ann', [])
    await create('the', 'default', 'boss', [])
  })
  afterAll(() => core[Symbol.asyncDispose]())

  test.each<[string, UserReference, string | undefined]>([
    ['an id', { id: 'U1' }, 'U1'],
    ['an id in another case', { id: 'u1' }, undefined],
    ['an id that nobody can have', { id: 'a\0b' }, undefined],
    ['a login name in the default domain', { loginName: 'JOHN' }, 'U1'],
    ['a login name in a domain', { loginName: 'JOHN', domain: 'ACME.COM' }, 'U2'],
    ['a login name in another spelling', { loginName: 'jose\u0301' }, 'U3'],
    ['a login name in a domain that is not there', { loginName: 'john', domain: 'x' }, undefined],
    ['a domain that nobody can have', { loginName: 'john', domain: 'a/b' }, undefined],
    ['a login name that nobody has', { loginName: 'nobody' }, undefined],
    ['a login name with a lone surrogate', { loginName: 'john\ud800' }, undefined],
    ['uniqueID', { scheme: 'uniqueID', value: 'unique-1' }, 'U1'],
    ['uniqueID in another case', { scheme: 'uniqueID', value: 'UNIQUE-1' }, undefined],
    ['uniqueID: no identifier, so the user id', { scheme: 'uniqueID', value: 'U1' }, 'U1'],
    ['uniqueID: the identifier before the user id', { scheme: 'uniqueID', value: 'U3' }, 'U2'],
    [
      'objectGuid in any notation',
      { scheme: 'objectGuid', value: `{${guid.toUpperCase()}}` },
      'U1',
    ],
    ['objectGuid that is none', { scheme: 'objectGuid', value: 'x' }, undefined],
    ['external', { scheme: 'external', value: 'E1' }, 'U1'],
    ['external as it is', { scheme: 'external', value: 'e1' }, undefined],
    ['keyless in lower case', { scheme: 'keyless', value: keyless.toLowerCase() }, 'U1'],
    ['email in another case', { scheme: 'email', value: 'JOHN@bank.com' }, 'U1'],
    ['id as a scheme', { scheme: 'id', value: 'U4' }, 'U4'],
    ['a scheme that nobody has', { scheme: 'badge', value: 'U4' }, undefined],
    ['a scheme that is no name', { scheme: 'a b', value: 'U4' }, undefined],
    ['login: the identifier before the login name', { scheme: 'login', value: 'JANE' }, 'U3'],
    ['login: else the default domain', { scheme: 'login', value: 'john' }, 'U1'],
    ['login: a whole identifier with a backslash', { scheme: 'login', value: 'THE\\boss' }, 'U1'],
    ['login: a domain by name', { scheme: 'login', value: 'Acme.COM\\John' }, 'U2'],
    ['login: a name before a NetBIOS name', { scheme: 'login', value: 'ACME\\ann' }, 'U8'],
    ['login: else a NetBIOS name', { scheme: 'login', value: 'ACME\\john' }, 'U2'],
    ['login: one of two domains of a NetBIOS name', { scheme: 'login', value: 'twin\\tim' }, 'U7'],
    ['login: two users of a NetBIOS name', { scheme: 'login', value: 'twin\\tom' }, undefined],
    ['login: no domain before the backslash', { scheme: 'login', value: '\\john' }, undefined],
    ['login: a domain that is not there', { scheme: 'login', value: 'nowhere\\john' }, undefined],
  ])('%s', async (_name, reference, userId) => {
    statements.length = 0
    expect(await find(reference)).toBe(userId)
    expect(statements.length).toBeLessThanOrEqual(1)
    expect(await find(reference, 'other')).toBeUndefined()
  })

  test('by ULID: whose it is, not who has chosen it as id; in this tenant only', async () => {
    const { users } = userServices(core)
    const admin = testCaller('bank', ['tenant:write'])
    const { id, ulid } = await users.create(admin, 'bank', { id: 'V1', loginName: 'v1' })
    await users.create(admin, 'bank', { id: ulid, loginName: 'v2' })
    expect(await find({ ulid })).toBe(id)
    expect(await find({ id: ulid })).toBe(ulid)
    expect(await find({ ulid }, 'other')).toBeUndefined()
    expect(await find({ ulid: id })).toBeUndefined()
  })

  test('inside a transaction the transaction’s own users are found', async () => {
    await core.storage.transaction(async ({ users, userResolver }) => {
      await users.remove('bank', 'U9')
      const reference = { loginName: 'ann', domain: 'acme.com' }
      expect(await userResolver.findUserId('bank', reference)).toBeUndefined()
    })
  })

  test('somebody who must exist is missed with the place that named them', async () => {
    const { userResolver } = core.storage.read
    expect(await userResolver.getUserId('bank', { id: 'U1' }, '/user')).toBe('U1')
    await expect(userResolver.getUserId('bank', { id: 'nobody' }, '/user')).rejects.toMatchObject({
      code: 'user_not_found',
      pointer: '/user',
    })
    await expect(userResolver.getUserId('bank', { id: 'nobody' })).rejects.toEqual(
      refusal('user_not_found'),
    )
  })

  test('a keyless value of nobody leads to nobody', async () => {
    await core.storage.transaction(({ userIdentifiers }) => userIdentifiers.removeAll('bank', 'U1'))
    expect(await find({ scheme: 'keyless', value: keyless })).toBeUndefined()
  })
})
