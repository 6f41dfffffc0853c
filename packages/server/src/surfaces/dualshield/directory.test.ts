import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createInstallation, type Installation } from './dualshield.fixture.ts'

let at: Installation
let acme: string

beforeAll(async () => {
  at = await createInstallation()
  const attrs = { name: 'Acme.com', netbiosName: 'ACME', dnsName: 'ad.acme.com' }
  acme = await at.create('domain/create', attrs)
}, 60_000)
afterAll(() => at[Symbol.asyncDispose]())

describe('domainCreate', () => {
  test('200 error 0, with the built-in identity source named or not', async () => {
    const source = { 'identitySource.id': '00000000000000000000000000000001' }
    for (const identity of [{}, source, { identitySource: { id: source['identitySource.id'] } }]) {
      const name = `d${Object.keys(identity).join()}`
      const attrs = { name, description: 'x', ...identity }
      expect(await at.call('domain/create', { attrs, return: ['name'] })).toMatchObject({
        error: 0,
        result: { name },
      })
    }
  })

  test.each<[number, object]>([
    [1003, {}],
    [1026, { name: 'ACME.COM' }],
    [1004, { name: 'a/b' }],
    [1004, { name: 'x', netbiosName: 'longer than fifteen' }],
    [1004, { name: 'x', 'identitySource.id': 'ldap' }],
    [1005, { name: 'x', policy: 'y' }],
    [1005, { name: 'x', id: 'y' }],
    [1023, { name: 'x', 'repository.id': 'y' }],
  ])('200 error %i for %j', async (error, attrs) => {
    expect((await at.call('domain/create', { attrs })).error).toBe(error)
  })
})

describe('domainGet', () => {
  test('200 error 0 in any case; 242 for none', async () => {
    const wanted = ['*', 'identitySource.id', { identitySource: ['type'], repository: ['id'] }]
    const { result } = await at.call('domain/get', { match: { name: 'acme.COM' }, return: wanted })
    expect(result).toEqual({
      id: acme,
      name: 'Acme.com',
      netbiosName: 'ACME',
      dnsName: 'ad.acme.com',
      description: null,
      isDefault: false,
      'identitySource.id': '00000000000000000000000000000001',
      identitySource: { type: 'sql' },
      repository: null,
    })
    const none = { match: { name: 'x' }, return: ['id'] }
    expect(await at.call('domain/get', none)).toMatchObject({
      error: 242,
      message: 'The requested domain is not defined in the realm',
    })
  })
})

describe('domainSearch', () => {
  test('200 error 0 with total and rows', async () => {
    const body = {
      match: [['name', 'like', 'acme%']],
      return: ['id', 'name'],
      sort: 'id',
      order: 'asc',
      max: 20,
      offset: 0,
    }
    expect((await at.call('domain/search', body)).result).toEqual({
      total: 1,
      rows: [{ id: acme, name: 'Acme.com' }],
    })
    const identity = { match: [['identitySource.type', '=', 'sql']] }
    const everything = (await at.call('domain/search', {})).result.total
    expect((await at.call('domain/search', identity)).result.total).toBe(everything)
  })
})

describe('userCreate', () => {
  test('200 error 0 keeps the names; the password is never told', async () => {
    const attrs = {
      'domain.name': 'acme.com',
      loginName: 'John.Smith',
      firstName: 'John',
      lastName: 'Smith',
      email: 'js@acme.com',
      userPrincipalName: 'john@acme.com',
      password: 'correct horse',
      status: 'INACTIVE',
    }
    const answer = await at.call('user/create', { attrs, return: ['*', 'domain.name'] })
    expect(answer.result).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{32}$/),
      loginName: 'John.Smith',
      firstName: 'John',
      lastName: 'Smith',
      email: 'js@acme.com',
      mobile: null,
      telephone: null,
      canonicalName: null,
      userPrincipalName: 'john@acme.com',
      status: 'DISABLED',
      description: null,
      lastLogin: null,
      failCount: 0,
      'domain.name': 'Acme.com',
    })
    const { items } = await at.core.users.list(at.admin, 'acme', { limit: 10 })
    expect(items.map(({ displayName }) => displayName)).toEqual(['John Smith'])
  })

  test.each<[number, object]>([
    [1026, { 'domain.name': 'acme.com', loginName: 'JOHN.SMITH' }],
    [1003, { 'domain.name': 'acme.com' }],
    [1003, { loginName: 'x' }],
    [242, { 'domain.name': 'x', loginName: 'x' }],
    [1004, { domain: 'x', loginName: 'a\\b' }],
    [1004, { 'domain.name': 'acme.com', loginName: 'x', email: 'x' }],
    [1004, { 'domain.name': 'acme.com', loginName: 'x', status: 'ASLEEP' }],
    [1004, { 'domain.name': 'acme.com', loginName: 'x', loginNam: 'y' }],
    [1005, { 'domain.name': 'acme.com', loginName: 'x', groups: [] }],
    [1006, { 'domain.name': 'acme.com', loginName: 'x', lastLogin: null }],
  ])('200 error %i for %j', async (error, attrs) => {
    const domain = 'domain' in attrs ? { domain: { id: acme } } : {}
    expect((await at.call('user/create', { attrs: { ...attrs, ...domain } })).error).toBe(error)
  })
})

describe('userGet', () => {
  test('200 error 0 with the tokens of the user', async () => {
    const match = [
      ['domain.name', '=', 'acme.com'],
      ['loginName', '=', 'john.smith'],
    ]
    const wanted = ['id', 'loginName', 'email', { tokens: [{ elements: ['id', 'serial'] }] }]
    const { result } = await at.call('user/get', { match, return: wanted })
    expect(result).toEqual({
      id: expect.any(String),
      loginName: 'John.Smith',
      email: 'js@acme.com',
      tokens: { elements: [] },
    })
    const none = { match: { email: 'nobody@acme.com' }, return: ['id'] }
    expect((await at.call('user/get', none)).error).toBe(101)
    expect((await at.call('user/get', { match, return: ['loginNam'] })).error).toBe(1005)
  })
})

describe('userSet', () => {
  test('200 error 0 changes what is given and leaves the rest', async () => {
    const user = { loginName: 'ACME\\john.smith' }
    const attrs = { status: 'ACTIVE', firstName: null, mobile: '+44 1' }
    expect((await at.call('user/set', { user, attrs })).error).toBe(0)
    const body = { match: { loginName: 'john.smith' }, return: ['status', 'firstName', 'lastName'] }
    expect((await at.call('user/get', body)).result).toEqual({
      status: 'ACTIVE',
      firstName: null,
      lastName: 'Smith',
    })
  })

  test.each<[number, object]>([
    [101, { id: 'x', attrs: { mobile: '1' } }],
    [101, { user: { loginName: 'john.smith', email: 'x@y.example' }, attrs: { mobile: '1' } }],
    [101, { user: { loginName: 'nowhere\\john.smith' }, attrs: { mobile: '1' } }],
    [1006, { id: 'x', attrs: { failCount: 0 } }],
    [1006, { id: 'x', attrs: { 'domain.name': 'x' } }],
    [1005, { id: 'x', attrs: { roles: [] } }],
    [1004, { id: 'x', attrs: { loginName: '' } }],
    [1003, { attrs: { mobile: '1' } }],
    [1003, { id: 'x' }],
  ])('200 error %i for %j', async (error, body) => {
    expect((await at.call('user/set', body)).error).toBe(error)
  })

  test('200 error 1026 for a login name that is taken in the domain', async () => {
    const attrs = { 'domain.name': 'acme.com', loginName: 'mary' }
    const id = await at.create('user/create', attrs)
    const changes = { loginName: 'JOHN.smith' }
    expect((await at.call('user/set', { id, attrs: changes })).error).toBe(1026)
  })
})

describe('userSearch', () => {
  test('200 error 0 in a domain, by last name', async () => {
    const body = {
      match: [
        ['domain.id', '=', acme],
        ['lastName', '=', 'Smith'],
      ],
      return: ['loginName', 'email'],
      sort: 'loginName',
      order: 'asc',
    }
    expect((await at.call('user/search', body)).result).toEqual({
      total: 1,
      rows: [{ loginName: 'John.Smith', email: 'js@acme.com' }],
    })
  })
})

describe('userDelete', () => {
  test('200 error 0 removes the user; the tokens stay, unassigned', async () => {
    const id = await at.create('user/create', { 'domain.id': acme, loginName: 'leaving' })
    const token = await at.addRfcToken('stays')
    await at.create('tokenAssignment/create', { 'token.id': token, 'user.id': id })
    expect((await at.call('user/delete', { id })).error).toBe(0)
    expect((await at.call('user/delete', { id })).error).toBe(101)
    const body = { match: { serial: 'stays' }, return: [{ users: ['id'] }] }
    expect((await at.call('token/get', body)).result).toEqual({ users: { elements: [] } })
    expect((await at.call('user/delete', {})).error).toBe(1003)
    expect((await at.call('user/delete', { id: {} })).error).toBe(1004)
  })
})

describe('productCreate', () => {
  test('200 error 0, also with OATH in front of the algorithm', async () => {
    const attrs = {
      name: 'SafeID',
      model: 'Enterprise',
      manufacturerCode: 'DN',
      productCode: 'STE',
      algorithm: 'OATH TOTP',
      digits: 8,
      crypto: 'HmacSHA256',
    }
    const answer = await at.call('product/create', { attrs, return: ['*'] })
    expect(answer.result).toEqual({
      id: expect.any(String),
      name: 'SafeID',
      model: 'Enterprise',
      manufacturerCode: 'DN',
      productCode: 'STE',
      functions: ['OTP'],
      algorithm: 'TOTP',
      crypto: 'HmacSHA256',
      digits: 8,
      timeWindow: 30,
      downloadable: false,
      autoSync: expect.any(Number),
      checkSync: expect.any(Number),
      manualSync: expect.any(Number),
    })
    expect((await at.call('product/create', { attrs })).error).toBe(1026)
  })

  test.each<[number, object]>([
    [1003, { algorithm: undefined }],
    [1004, { algorithm: 'OCRA' }],
    [1004, { digits: 7 }],
    [1004, { productCode: 'A-B' }],
    [1004, { algorithm: 'HOTP', timeWindow: 30 }],
    [1005, { colour: 'red' }],
  ])('200 error %i for %j', async (error, changes) => {
    const attrs = { name: 'x', manufacturerCode: 'X', productCode: 'X', algorithm: 'TOTP' }
    expect((await at.call('product/create', { attrs: { ...attrs, ...changes } })).error).toBe(error)
  })
})

describe('productGet', () => {
  test('200 error 0 for a default product; 1022 for none, 1025 for several', async () => {
    const match = [
      ['manufacturerCode', '=', 'DN'],
      ['productCode', '=', 'MT'],
    ]
    const { result } = await at.call('product/get', { match, return: ['*'] })
    expect(result).toMatchObject({
      name: 'MobileID',
      model: 'Time-Based',
      algorithm: 'TOTP',
      downloadable: true,
      autoSync: 2,
      checkSync: 10,
      manualSync: 120,
    })
    const wanted = { return: ['id'] }
    expect((await at.call('product/get', { match: { name: 'x' }, ...wanted })).error).toBe(1022)
    const several = { match: { name: 'MobileID' }, ...wanted }
    expect((await at.call('product/get', several)).error).toBe(1025)
  })
})

describe('productSearch', () => {
  test('200 error 0 lists all, by code', async () => {
    const body = { match: [], return: ['manufacturerCode', 'productCode'], sort: 'productCode' }
    const { result } = await at.call('product/search', body)
    const codes = result.rows.map(({ productCode }: { productCode: string }) => productCode)
    expect(codes).toEqual(['GT', 'HOTP', 'ME', 'MT', 'SE', 'ST', 'STE', 'TOTP'])
  })
})

describe('repositoryCreate', () => {
  test('200 error 0 below a parent, bound to a domain', async () => {
    const attrs = { name: 'Head office', 'parent.name': 'Default', 'domain.name': 'acme.com' }
    const wanted = ['name', 'parent.name', { domain: ['name'] }]
    expect((await at.call('repository/create', { attrs, return: wanted })).result).toEqual({
      name: 'Head office',
      'parent.name': 'Default',
      domain: { name: 'Acme.com' },
    })
    expect((await at.call('repository/create', { attrs })).error).toBe(1026)
  })

  test.each<[number, object]>([
    [1003, {}],
    [1023, { name: 'x', 'parent.name': 'x' }],
    [242, { name: 'x', 'domain.name': 'x' }],
    [1005, { name: 'x', colour: 'red' }],
    [1004, { name: '' }],
    [1004, { name: 'x', parent: { name: 'Default', 'parent.id': 7 }, 'parent.name': 'x' }],
  ])('200 error %i for %j', async (error, attrs) => {
    expect((await at.call('repository/create', { attrs })).error).toBe(error)
  })
})

describe('repositoryGet', () => {
  test('200 error 0; 1023 for none', async () => {
    const body = { match: [['name', '=', 'Default']], return: ['name', { parent: ['id'] }] }
    expect((await at.call('repository/get', body)).result).toEqual({
      name: 'Default',
      parent: null,
    })
    const none = { match: { name: 'default' }, return: ['id'] }
    expect((await at.call('repository/get', none)).error).toBe(1023)
  })
})

describe('repositorySearch', () => {
  test('200 error 0 for those of a domain', async () => {
    const body = { match: [['domain.name', '=', 'ACME.com']], return: ['name', 'parent.name'] }
    expect((await at.call('repository/search', body)).result).toEqual({
      total: 1,
      rows: [{ name: 'Head office', 'parent.name': 'Default' }],
    })
  })
})
