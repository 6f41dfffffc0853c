import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Caller } from '#domain/callers/caller.ts'
import {
  createReadyTestCore,
  platformAdmin,
  type TestCore,
  testCaller,
} from '#test/support/core.ts'
import { type PlatformEndpoints, servePlatformEndpoints } from '#test/support/platform-endpoints.ts'
import { createVerificationBench, defaultPolicy } from '#test/support/tokens.ts'
import { userServices } from '#test/support/users.ts'
import * as endpoints from './users.ts'

let testCore: TestCore
let served: PlatformEndpoints
let tenantCount = 0
const callers = new Map<string, Caller>()

beforeAll(async () => {
  testCore = await createReadyTestCore()
  const { domains, users, identifiers, locks } = userServices(testCore)
  served = await servePlatformEndpoints({
    test: testCore,
    core: { users, userDomains: domains, userIdentifiers: identifiers, userLocks: locks },
    operations: endpoints,
    callers,
  })
})
afterAll(async () => {
  await served[Symbol.asyncDispose]()
  await testCore[Symbol.asyncDispose]()
})

/** A tenant, and calls below its path: by its administrator, or by somebody else of the tenant. */
async function newTenant() {
  const id = `bank-${++tenantCount}`
  await testCore.tenants.create(platformAdmin, { id, name: 'A bank' })
  callers.set(`${id} admin`, testCaller(id, ['tenant:write']))
  callers.set(`${id} reader`, testCaller(id, ['tenant:read']))
  callers.set(`${id} verifier`, testCaller(id, ['verify']))
  const root = `/api/v1/tenants/${id}`
  type Rest = [method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, body?: unknown]
  const callAs = (who: 'admin' | 'reader' | 'verifier') => {
    return (...[method, path, body]: Rest) =>
      served.call(`${id} ${who}`, method, `${root}${path}`, body)
  }
  return {
    id,
    root,
    call: callAs('admin'),
    asReader: callAs('reader'),
    asVerifier: callAs('verifier'),
  }
}

const now = '2026-11-21T10:00:00.000Z'
const guid = '3f2504e0-4f89-11d3-9a0c-0305e82c3301'

describe('createDomain', () => {
  test('201 with the domain and its path', async () => {
    const { root, call } = await newTenant()
    const { status, headers, body } = await call('POST', '/domains', {
      name: 'b\u00fcro & co',
      netbiosName: 'ACME',
    })
    expect(status).toBe(201)
    expect(headers.location).toBe(`${root}/domains/b%C3%BCro%20%26%20co`)
    expect(body).toEqual({
      name: 'b\u00fcro & co',
      dnsName: null,
      netbiosName: 'ACME',
      description: null,
      isDefault: false,
      createdAt: now,
      updatedAt: now,
    })
  })

  test('201 as the default takes the mark', async () => {
    const { call } = await newTenant()
    expect((await call('POST', '/domains', { name: 'acme', isDefault: true })).status).toBe(201)
    expect((await call('GET', '/domains/default')).body.isDefault).toBe(false)
  })

  test('409 already_exists for the name in another case', async () => {
    const { call } = await newTenant()
    const { status, body } = await call('POST', '/domains', { name: 'DEFAULT' })
    expect(status).toBe(409)
    expect(body).toMatchObject({ code: 'already_exists', errors: [{ pointer: '/name' }] })
  })

  test('400 for names and members that the contract does not allow', async () => {
    const { call } = await newTenant()
    for (const body of [
      {},
      { name: 'a/b' },
      { name: 'a', other: 1 },
      { name: 'a', isDefault: 1 },
    ]) {
      expect((await call('POST', '/domains', body)).status).toBe(400)
    }
    expect((await call('POST', '/domains', { name: '\u0958'.repeat(200) })).body).toMatchObject({
      code: 'validation_failed',
      errors: [{ pointer: '/name', code: 'bad_format' }],
    })
  })

  test('403 without tenant:write', async () => {
    const { asReader } = await newTenant()
    expect((await asReader('POST', '/domains', { name: 'a' })).status).toBe(403)
  })
})

describe('listDomains', () => {
  test('200 in pages', async () => {
    const { call, asReader } = await newTenant()
    await call('POST', '/domains', { name: 'acme' })
    const first = await asReader('GET', '/domains?limit=1')
    expect(first.body.items.map(({ name }) => name)).toEqual(['default'])
    const second = await asReader('GET', `/domains?limit=1&cursor=${first.body.nextCursor}`)
    expect(second.body).toMatchObject({ items: [{ name: 'acme' }] })
    expect(second.body).not.toHaveProperty('nextCursor')
  })

  test('400 cursor_invalid, 403 without tenant:read', async () => {
    const { call, asVerifier } = await newTenant()
    expect((await call('GET', '/domains?cursor=abc')).body.code).toBe('cursor_invalid')
    expect((await asVerifier('GET', '/domains')).status).toBe(403)
  })
})

describe('getDomain', () => {
  test('200 in any case', async () => {
    const { asReader } = await newTenant()
    expect((await asReader('GET', '/domains/DeFault')).body).toMatchObject({
      name: 'default',
      isDefault: true,
    })
  })

  test("404 for an unknown one, and for another tenant's", async () => {
    const one = await newTenant()
    const other = await newTenant()
    await one.call('POST', '/domains', { name: 'acme' })
    expect((await other.call('GET', '/domains/acme')).status).toBe(404)
    expect((await served.call(`${other.id} admin`, 'GET', `${one.root}/domains/acme`)).status).toBe(
      404,
    )
    expect((await one.call('GET', '/domains/a%00')).status).toBe(404)
  })
})

describe('updateDomain', () => {
  test('200 with the change', async () => {
    const { call } = await newTenant()
    await call('POST', '/domains', { name: 'acme', dnsName: 'acme.com' })
    const { status, body } = await call('PATCH', '/domains/ACME', {
      isDefault: true,
      description: 'd',
    })
    expect(status).toBe(200)
    expect(body).toMatchObject({
      name: 'acme',
      dnsName: 'acme.com',
      description: 'd',
      isDefault: true,
    })
  })

  test('400 for giving the mark away, for nothing, and for the name', async () => {
    const { call } = await newTenant()
    for (const body of [{ isDefault: false }, {}, { name: 'x' }]) {
      expect((await call('PATCH', '/domains/default', body)).status).toBe(400)
    }
  })

  test('404 for an unknown one', async () => {
    const { call } = await newTenant()
    expect((await call('PATCH', '/domains/nowhere', { isDefault: true })).status).toBe(404)
  })
})

describe('deleteDomain', () => {
  test('204, then 404', async () => {
    const { call } = await newTenant()
    await call('POST', '/domains', { name: 'acme' })
    expect((await call('DELETE', '/domains/ACME')).status).toBe(204)
    expect((await call('DELETE', '/domains/acme')).status).toBe(404)
  })

  test('409 in_use while it has users, and while it is the default', async () => {
    const { call } = await newTenant()
    await call('POST', '/domains', { name: 'acme' })
    await call('POST', '/users', { loginName: 'john', domain: 'acme' })
    for (const name of ['acme', 'default']) {
      const { status, body } = await call('DELETE', `/domains/${name}`)
      expect([status, body.code]).toEqual([409, 'in_use'])
    }
  })
})

describe('createUser', () => {
  test('201 with the user and its path', async () => {
    const { root, call } = await newTenant()
    const { status, headers, body } = await call('POST', '/users', {
      id: 'j+smith@acme',
      loginName: 'john.smith',
      displayName: 'John Smith',
      email: 'john.smith@acme.com',
      identifiers: [{ scheme: 'objectGuid', value: guid.toUpperCase() }],
    })
    expect(status).toBe(201)
    expect(headers.location).toBe(`${root}/users/j%2Bsmith%40acme`)
    expect(body).toEqual({
      id: 'j+smith@acme',
      domain: 'default',
      loginName: 'john.smith',
      displayName: 'John Smith',
      email: 'john.smith@acme.com',
      status: 'ACTIVE',
      lock: null,
      identifiers: [{ scheme: 'objectGuid', value: guid }],
      keylessExternalId: null,
      createdAt: now,
      updatedAt: now,
      lastAuthenticatedAt: null,
    })
    const path = String(headers.location).slice(root.length)
    expect((await call('GET', path)).body).toEqual(body)
  })

  test('409 already_exists names the members that are taken', async () => {
    const { call } = await newTenant()
    const user = { id: 'a', loginName: 'john', identifiers: [{ scheme: 'login', value: 'jj' }] }
    await call('POST', '/users', user)
    const { status, body } = await call('POST', '/users', { ...user, loginName: 'JOHN' })
    expect(status).toBe(409)
    expect(body).toMatchObject({
      code: 'already_exists',
      errors: [{ pointer: '/id' }, { pointer: '/loginName' }],
    })
    const other = await call('POST', '/users', { ...user, id: 'b', loginName: 'jane' })
    expect(other.body.errors).toMatchObject([{ pointer: '/identifiers/0', code: 'not_unique' }])
  })

  test('400 reference_not_found for an unknown domain', async () => {
    const { call } = await newTenant()
    const { status, body } = await call('POST', '/users', { loginName: 'a', domain: 'nowhere' })
    expect(status).toBe(400)
    expect(body).toMatchObject({ code: 'reference_not_found', errors: [{ pointer: '/domain' }] })
  })

  test('400 validation_failed for values that the contract or the core does not allow', async () => {
    const { call } = await newTenant()
    const refused: [object, string][] = [
      [{}, '/loginName'],
      [{ loginName: 'a\\b' }, '/loginName'],
      [{ loginName: 'a', id: 'a b' }, '/id'],
      [{ loginName: 'a', id: 'Rene\u0301' }, '/id'],
      [{ loginName: 'a', email: 'nobody' }, '/email'],
      [{ loginName: 'a', password: 'secret' }, '/password'],
      [{ loginName: 'a', keylessExternalId: 'E1' }, '/keylessExternalId'],
      [{ loginName: 'a', identifiers: [{ scheme: 'id', value: 'x' }] }, '/identifiers/0/scheme'],
      [
        { loginName: 'a', identifiers: [{ scheme: 'keyless', value: 'x' }] },
        '/identifiers/0/value',
      ],
    ]
    for (const [user, pointer] of refused) {
      const { status, body } = await call('POST', '/users', user)
      expect([status, body.code, body.errors[0]?.pointer]).toEqual([
        400,
        'validation_failed',
        pointer,
      ])
    }
    expect((await call('GET', '/users')).body.items).toEqual([])
  })

  test('403 without tenant:write, 404 in another tenant', async () => {
    const one = await newTenant()
    const other = await newTenant()
    expect((await one.asReader('POST', '/users', { loginName: 'a' })).status).toBe(403)
    const foreign = await served.call(`${other.id} admin`, 'POST', `${one.root}/users`, {
      loginName: 'a',
    })
    expect(foreign.status).toBe(404)
  })
})

describe('listUsers', () => {
  test('200 with what every filter lets through, in pages', async () => {
    const { call, asReader } = await newTenant()
    await call('POST', '/domains', { name: 'Acme' })
    const identifiers = [{ scheme: 'email', value: 'j@acme.com' }]
    await call('POST', '/users', { id: 'a', loginName: 'john', identifiers })
    await call('POST', '/users', { id: 'b', loginName: 'john', domain: 'acme' })
    await call('POST', '/users', { id: 'c', loginName: 'jane', status: 'DISABLED' })
    const ids = async (query: string) =>
      (await asReader('GET', `/users?${query}`)).body.items.map(({ id }) => id)
    expect(await ids('')).toEqual(['a', 'b', 'c'])
    expect(await ids('loginName=JOHN')).toEqual(['a', 'b'])
    expect(await ids('loginName=JOHN&domain=ACME')).toEqual(['b'])
    expect(await ids('scheme=email&value=J%40ACME.com')).toEqual(['a'])
    expect(await ids('scheme=objectGuid&value=none')).toEqual([])
    expect(await ids('keylessExternalId=E1')).toEqual([])
    expect(await ids('status=DISABLED')).toEqual(['c'])
    const { nextCursor } = (await asReader('GET', '/users?limit=2')).body
    expect(await ids(`limit=2&cursor=${nextCursor}`)).toEqual(['c'])
    const other = await asReader('GET', `/users?limit=2&cursor=${nextCursor}&status=ACTIVE`)
    expect([other.status, other.body.code]).toEqual([400, 'cursor_invalid'])
  })

  test('400 for half a pair and for unknown parameters', async () => {
    const { call } = await newTenant()
    for (const query of [
      'scheme=login',
      'value=x',
      'scheme=id&value=x',
      'name=x',
      'status=LOCKED',
    ]) {
      expect((await call('GET', `/users?${query}`)).status).toBe(400)
    }
  })

  test('403 without tenant:read', async () => {
    const { asVerifier } = await newTenant()
    expect((await asVerifier('GET', '/users')).status).toBe(403)
  })
})

describe('getUser', () => {
  test('200, and 404 for what is not there or not of this tenant', async () => {
    const one = await newTenant()
    const other = await newTenant()
    await one.call('POST', '/users', { id: 'john', loginName: 'john' })
    expect((await one.asReader('GET', '/users/john')).body.loginName).toBe('john')
    expect((await one.call('GET', '/users/JOHN')).status).toBe(404)
    expect((await one.call('GET', '/users/a%2Fb')).status).toBe(404)
    expect((await other.call('GET', '/users/john')).status).toBe(404)
    expect((await served.call(`${other.id} admin`, 'GET', `${one.root}/users/john`)).status).toBe(
      404,
    )
  })
})

describe('updateUser', () => {
  test('200 with the change, and null clears', async () => {
    const { call } = await newTenant()
    await call('POST', '/users', { id: 'john', loginName: 'john', email: 'john@acme.com' })
    const { status, body } = await call('PATCH', '/users/john', {
      loginName: 'jack',
      email: null,
      status: 'DISABLED',
    })
    expect(status).toBe(200)
    expect(body).toMatchObject({ loginName: 'jack', email: null, status: 'DISABLED' })
  })

  test('409 already_exists for a login name that is taken', async () => {
    const { call } = await newTenant()
    await call('POST', '/users', { loginName: 'john' })
    await call('POST', '/users', { id: 'jane', loginName: 'jane' })
    const { status, body } = await call('PATCH', '/users/jane', { loginName: 'JOHN' })
    expect(status).toBe(409)
    expect(body).toMatchObject({ code: 'already_exists', errors: [{ pointer: '/loginName' }] })
  })

  test('400 for an unknown domain, for the id, and for nothing; 404 for an unknown user', async () => {
    const { call } = await newTenant()
    await call('POST', '/users', { id: 'john', loginName: 'john' })
    expect((await call('PATCH', '/users/john', { domain: 'nowhere' })).body.code).toBe(
      'reference_not_found',
    )
    for (const body of [{ id: 'jack' }, {}, { email: 'x' }, { status: null }]) {
      expect((await call('PATCH', '/users/john', body)).status).toBe(400)
    }
    expect((await call('PATCH', '/users/jack', { email: null })).status).toBe(404)
  })
})

describe('deleteUser', () => {
  test('204, then 404, and its names are free', async () => {
    const { call } = await newTenant()
    const user = {
      id: 'john',
      loginName: 'john',
      identifiers: [{ scheme: 'external', value: 'E' }],
    }
    await call('POST', '/users', user)
    expect((await call('DELETE', '/users/john')).status).toBe(204)
    expect((await call('DELETE', '/users/john')).status).toBe(404)
    expect((await call('POST', '/users', user)).status).toBe(201)
  })
})

describe('addUserIdentifier', () => {
  test('201 in normal form with its path, also when the user has it', async () => {
    const { root, call } = await newTenant()
    await call('POST', '/users', { id: 'john', loginName: 'john' })
    for (const value of [`{${guid.toUpperCase()}}`, guid.replaceAll('-', '')]) {
      const { status, headers, body } = await call('POST', '/users/john/identifiers', {
        scheme: 'objectGuid',
        value,
      })
      expect(status).toBe(201)
      expect(headers.location).toBe(`${root}/users/john/identifiers/objectGuid/${guid}`)
      expect(body).toEqual({ scheme: 'objectGuid', value: guid })
    }
  })

  test("409 for somebody else's, 400 for what is in no notation, 404 for an unknown user", async () => {
    const { call } = await newTenant()
    await call('POST', '/users', { id: 'john', loginName: 'john' })
    await call('POST', '/users', { id: 'jane', loginName: 'jane' })
    const identifier = { scheme: 'login', value: 'jj' }
    await call('POST', '/users/john/identifiers', identifier)
    const taken = await call('POST', '/users/jane/identifiers', { scheme: 'login', value: 'JJ' })
    expect(taken.status).toBe(409)
    expect(taken.body).toMatchObject({ code: 'already_exists', errors: [{ pointer: '/value' }] })
    const wrong = { scheme: 'objectGuid', value: 'x' }
    const refused = await call('POST', '/users/jane/identifiers', wrong)
    expect([refused.status, refused.body.errors[0]]).toMatchObject([
      400,
      { pointer: '/value', code: 'bad_format' },
    ])
    expect((await call('POST', '/users/nobody/identifiers', identifier)).status).toBe(404)
  })
})

describe('removeUserIdentifier', () => {
  test('204 in any notation and with any character, then 404', async () => {
    const { root, call } = await newTenant()
    await call('POST', '/users', { id: 'john', loginName: 'john' })
    const value = 'a/b?c#d%2F \u00e9\\'
    const added = await call('POST', '/users/john/identifiers', { scheme: 'external', value })
    const path = String(added.headers.location).slice(root.length)
    expect((await call('DELETE', path)).status).toBe(204)
    expect((await call('DELETE', path)).status).toBe(404)
    await call('POST', '/users/john/identifiers', { scheme: 'objectGuid', value: guid })
    const bare = guid.replaceAll('-', '').toUpperCase()
    expect((await call('DELETE', `/users/john/identifiers/objectGuid/${bare}`)).status).toBe(204)
    expect((await call('DELETE', '/users/john/identifiers/objectGuid/x')).status).toBe(404)
    expect((await call('DELETE', '/users/nobody/identifiers/login/x')).status).toBe(404)
  })
})

describe('unlockUser', () => {
  test('200 with the user, whose lock is gone', async () => {
    const { id, call, asReader } = await newTenant()
    await call('POST', '/users', { id: 'john', loginName: 'john' })
    const bench = await createVerificationBench({ test: testCore.test })
    bench.policy = {
      ...defaultPolicy,
      lockout: { ...defaultPolicy.lockout, userMaxFailures: 1, userLockSeconds: 60 },
    }
    await bench.addToken({ tenantId: id, userId: 'john' })
    const request = { user: { id: 'john' }, code: '000000' }
    await bench.verification.verify(testCaller(id, ['verify']), id, request)
    expect((await call('GET', '/users/john')).body.lock).toEqual({
      lockedAt: now,
      until: '2026-11-21T10:01:00.000Z',
      reason: 'FAILURES',
    })
    expect((await asReader('POST', '/users/john/unlock')).status).toBe(403)
    const { status, body } = await call('POST', '/users/john/unlock')
    expect([status, body.id, body.lock]).toEqual([200, 'john', null])
    expect((await call('POST', '/users/nobody/unlock')).status).toBe(404)
  })
})
