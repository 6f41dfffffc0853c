import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  createReadyTestCore,
  platformAdmin,
  refusal,
  type TestCore,
  testCaller,
} from '#test/support/core.ts'
import { type UserServices, userServices } from '#test/support/users.ts'
import { UserSchemeService } from './user-scheme-service.ts'

const native = testCaller('acme', ['tenant:write'])
const ast = testCaller('acme', ['ast:read'], { surface: 'ast' })

describe('UserSchemeService', () => {
  let core: TestCore
  let users: UserServices
  let schemes: UserSchemeService
  beforeAll(async () => {
    core = await createReadyTestCore()
    users = userServices(core)
    schemes = new UserSchemeService(core)
    for (const id of ['acme', 'shop']) await core.tenants.create(platformAdmin, { id, name: id })
    await users.users.create(native, 'acme', {
      id: 'jsmith',
      loginName: 'John',
      identifiers: [{ scheme: 'external', value: 'E-1' }],
    })
    await users.users.create(native, 'acme', {
      id: 'E-1',
      loginName: 'jsmith',
      identifiers: [{ scheme: 'email', value: 'x@example.com' }],
    })
    await users.users.create(testCaller('shop', ['tenant:write']), 'shop', {
      id: 'abroad',
      loginName: 'abroad',
    })
  })
  afterAll(() => core[Symbol.asyncDispose]())

  const use = (userSchemes: string[]) =>
    core.settings.update(native, 'acme', { patch: { ast: { userSchemes } } })

  test('the first scheme in which somebody has the name decides', async () => {
    await use(['id', 'external', 'login'])
    expect(await schemes.find(ast, 'acme', 'jsmith')).toBe('jsmith')
    expect(await schemes.find(ast, 'acme', 'E-1')).toBe('E-1')
    expect(await schemes.find(ast, 'acme', 'JOHN')).toBe('jsmith')
    await use(['external', 'login', 'id'])
    expect(await schemes.find(ast, 'acme', 'E-1')).toBe('jsmith')
    expect(await schemes.find(ast, 'acme', 'jsmith')).toBe('E-1')
    await use(['email'])
    expect(await schemes.find(ast, 'acme', 'X@EXAMPLE.com')).toBe('E-1')
    expect(await schemes.find(ast, 'acme', 'E-1')).toBeUndefined()
  })

  test('the name of a user leads back to that user, or is the id', async () => {
    await use(['id', 'external'])
    expect(await schemes.nameOf(ast, 'acme', 'jsmith')).toBe('jsmith')
    await use(['external', 'id'])
    expect(await schemes.nameOf(ast, 'acme', 'jsmith')).toBe('E-1')
    // The id names somebody else by the first scheme: no name leads to this user.
    expect(await schemes.nameOf(ast, 'acme', 'E-1')).toBe('E-1')
    await use(['external', 'login'])
    expect(await schemes.nameOf(ast, 'acme', 'E-1')).toBe('jsmith')
    await use(['email'])
    expect(await schemes.nameOf(ast, 'acme', 'jsmith')).toBe('jsmith')
    expect(await schemes.nameOf(ast, 'acme', 'gone')).toBe('gone')
  })

  test('nobody is found in another tenant, or without the right to read', async () => {
    await use(['id', 'external', 'login'])
    expect(await schemes.find(ast, 'acme', 'abroad')).toBeUndefined()
    await expect(schemes.get(ast, 'acme', 'abroad')).rejects.toThrow(refusal('user_not_found'))
    await expect(schemes.find(ast, 'shop', 'abroad')).rejects.toThrow(refusal('tenant_not_found'))
    await expect(schemes.find(native, 'acme', 'jsmith')).rejects.toThrow(refusal('forbidden'))
  })
})
