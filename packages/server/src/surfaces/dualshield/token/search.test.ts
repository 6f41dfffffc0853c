import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createInstallation, type Installation } from '../dualshield.fixture.ts'

let at: Installation

beforeAll(async () => {
  at = await createInstallation()
  await at.create('domain/create', { name: 'domain.com' })
  await at.create('user/create', { 'domain.name': 'domain.com', loginName: 'john.smith' })
  for (const serial of ['10000000', '10000001', 'free-1']) await at.addRfcToken(serial)
  for (const serial of ['10000000', '10000001']) {
    await at.create('tokenAssignment/create', {
      token: { serial },
      user: { loginName: 'DOMAIN.COM\\John.Smith' },
    })
  }
}, 60_000)
afterAll(() => at[Symbol.asyncDispose]())

describe('tokenGet', () => {
  test('200 error 0 for triples and for an equality map', async () => {
    const match = [['serial', '=', '10000000']]
    const first = await at.call('token/get', { match, return: ['id', 'serial', 'status'] })
    expect(first.result).toEqual({
      id: expect.any(String),
      serial: '10000000',
      status: 'ACTIVE',
    })
    const second = await at.call('token/get', {
      match: [{ serial: '10000000' }],
      return: ['*', { product: ['name', 'digits'] }],
    })
    expect(second.result).toEqual({
      ...first.result,
      identifier: '10000000',
      description: null,
      confined: false,
      counter: 0,
      drift: null,
      algorithm: 'HOTP',
      crypto: 'HmacSHA1',
      digits: 6,
      timeWindow: null,
      dateCreated: '2026-11-21T10:00:00.000Z',
      lastUpdated: '2026-11-21T10:00:00.000Z',
      product: { name: 'SafeID', digits: 6 },
    })
  })

  test('200 error 1021 for none, 1025 for several', async () => {
    const wanted = { return: ['id'] }
    expect((await at.call('token/get', { match: { serial: 'x' }, ...wanted })).error).toBe(1021)
    const several = [['serial', 'like', '1000000%']]
    expect((await at.call('token/get', { match: several, ...wanted })).error).toBe(1025)
  })

  test.each<[number, object]>([
    [1003, { match: { serial: 'x' } }],
    [1003, { return: ['id'] }],
    [1004, { match: [], return: ['id'] }],
    [1005, { match: { serial: 'x' }, return: ['password'] }],
    [1005, { match: { secret: 'x' }, return: ['id'] }],
    [1004, { match: { serial: 'x' }, return: ['product'] }],
    [1004, { match: { serial: 'x' }, return: [] }],
    [1004, { match: [['serial', '~', 'x']], return: ['id'] }],
  ])('200 error %i for %j', async (error, body) => {
    expect((await at.call('token/get', body)).error).toBe(error)
  })

  test("another installation's token does not exist", async () => {
    const scopes = ['dualshield:management'] as const
    const agent = await at.signIn(await at.addAgent({ tenantId: 'other', scopes }))
    const body = { match: { serial: '10000000' }, return: ['id'] }
    expect((await at.call('token/get', body, { agent })).error).toBe(1021)
    expect((await at.call('token/search', {}, { agent })).result).toEqual({ total: 0, rows: [] })
    const own = (await at.call('token/get', body)).result
    expect((await at.call('token/delete', own, { agent })).error).toBe(1021)
    expect((await at.call('token/get', body)).error).toBe(0)
  })
})

describe('tokenSearch', () => {
  test('200 error 0 finds the tokens of a user, sorted and paged', async () => {
    const body = {
      match: [
        ['users.loginName', '=', 'john.smith'],
        ['users.domain.name', '=', 'domain.com'],
      ],
      return: ['serial', 'product.name'],
      sort: 'serial',
      order: 'desc',
      max: 1,
      offset: 0,
    }
    expect((await at.call('token/search', body)).result).toEqual({
      total: 2,
      rows: [{ serial: '10000001', 'product.name': 'SafeID' }],
    })
    const next = await at.call('token/search', { ...body, offset: 1 })
    expect(next.result.rows).toEqual([{ serial: '10000000', 'product.name': 'SafeID' }])
  })

  test('200 error 0 finds tokens without a user', async () => {
    const match = ['tokenAssignments', 'isNull', true]
    const { result } = await at.call('token/search', { match, return: ['serial'] })
    expect(result).toEqual({ total: 1, rows: [{ serial: 'free-1' }] })
  })

  test('200 error 0 without match: everything, with ids only', async () => {
    const { result } = await at.call('token/search', {})
    expect(result.total).toBe(3)
    expect(result.rows.every((row: object) => Object.keys(row).join() === 'id')).toBe(true)
  })

  test.each<[string, object, string[]]>([
    ['like ignores case', { match: [['serial', 'like', 'FREE%']] }, ['free-1']],
    ['= does not', { match: [['serial', '=', 'FREE-1']] }, []],
    ['in', { match: [['serial', 'in', ['free-1', 'x']]] }, ['free-1']],
    [
      'times',
      {
        match: [
          ['dateCreated', '<=', '2026-11-21T11:00:00+01:00'],
          ['serial', '=', 'free-1'],
        ],
      },
      ['free-1'],
    ],
    ['an id of nobody', { match: [['id', '=', 12]] }, []],
    ['another hash', { match: [['crypto', '=', 'HmacMD5']] }, []],
    [
      'what is the same for all',
      {
        match: [
          ['product.functions', '=', 'OTP'],
          ['serial', '=', 'free-1'],
        ],
      },
      ['free-1'],
    ],
  ])('200 error 0: %s', async (_what, body, expected) => {
    const { error, result } = await at.call('token/search', { ...body, return: ['serial'] })
    expect(error).toBe(0)
    expect(result.rows.map(({ serial }: { serial: string }) => serial)).toEqual(expected)
  })

  test.each<[number, object]>([
    [1005, { sort: 'colour' }],
    [1004, { sort: 'users.loginName' }],
    [1004, { max: 1001 }],
    [1004, { max: 0 }],
    [1004, { offset: -1 }],
    [1004, { order: 'up' }],
    [1004, { match: [['digits', '=', '6']] }],
    [1004, { match: [['serial', 'like', 'x\\']] }],
    [1004, { match: [['confined', '>', true]] }],
    [1004, { match: [['dateCreated', '>', 'yesterday']] }],
    [1004, { match: Array(51).fill(['serial', '=', 'x']) }],
    [1004, { return: Array(101).fill('id') }],
    [1004, { return: { users: [{ tokens: [{ users: [{ tokens: [{ users: ['id'] }] }] }] }] } }],
  ])('200 error %i for %j', async (error, body) => {
    expect((await at.call('token/search', body)).error).toBe(error)
  })
})
