import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createInstallation, type Installation, rfcCodes } from './dualshield.fixture.ts'

let at: Installation
let john: string
let mary: string
let token: string
let number = 0

beforeAll(async () => {
  at = await createInstallation()
  await at.create('domain/create', { name: 'domain.com' })
  const domain = { 'domain.name': 'domain.com' }
  john = await at.create('user/create', { ...domain, loginName: 'john.smith' })
  mary = await at.create('user/create', { ...domain, loginName: 'mary.jones' })
}, 60_000)
afterAll(() => at[Symbol.asyncDispose]())
beforeEach(async () => {
  token = await at.addRfcToken(`t-${++number}`)
})

function assign(user: string, attrs: object = {}) {
  return at.call('tokenAssignment/create', {
    attrs: { 'token.id': token, 'user.id': user, ...attrs },
  })
}

async function shown(...wanted: string[]) {
  const match = [
    ['token.id', '=', token],
    ['user.id', '=', john],
  ]
  return (await at.call('tokenAssignment/get', { match, return: wanted })).result
}

describe('tokenAssignmentCreate', () => {
  test('200 error 0: the first user owns the token, others share it when told so', async () => {
    const attrs = {
      token: {
        serial: `t-${number}`,
        'product.manufacturerCode': 'DN',
        'product.productCode': 'SE',
      },
      user: { 'domain.name': 'domain.com', loginName: 'john.smith' },
      pin: '1234',
    }
    const first = await at.call('tokenAssignment/create', {
      attrs,
      return: ['isOwner', 'hasPin', 'status', 'starts', 'usageLimit', 'priority'],
    })
    expect(first.result).toEqual({
      isOwner: true,
      hasPin: true,
      status: 'ACTIVE',
      starts: null,
      usageLimit: 0,
      priority: 0,
    })
    expect((await assign(john)).error).toBe(1030)
    expect((await assign(mary)).error).toBe(1038)
    expect((await assign(mary, { isOwner: false })).error).toBe(0)
    const wanted = [{ assignedUsers: ['id'], sharedUsers: ['id'] }]
    const { result } = await at.call('token/get', { match: { id: token }, return: wanted })
    expect(result).toEqual({
      assignedUsers: { elements: [{ id: john }] },
      sharedUsers: { elements: [{ id: mary }] },
    })
  })

  test.each<[number, object]>([
    [1005, { failCount: 0 }],
    [1004, { pin: '12' }],
    [1004, { starts: 'yesterday' }],
    [1004, { starts: '2027-01-01T00:00:00Z', expires: '2026-01-01T00:00:00Z' }],
    [1004, { priority: 1001 }],
    [101, { 'user.id': 'nobody' }],
    [1021, { 'token.id': 'nothing' }],
  ])('200 error %i for %j', async (error, attrs) => {
    expect((await assign(john, attrs)).error).toBe(error)
  })

  test('200 error 1003 without token or user, 1032 for a token that is not active', async () => {
    const attrs = { 'token.id': token }
    expect((await at.call('tokenAssignment/create', { attrs })).error).toBe(1003)
    await at.call('token/set', { id: token, attrs: { status: 'DISABLED' } })
    expect((await assign(john)).error).toBe(1032)
  })
})

describe('tokenAssignmentGet', () => {
  test('200 error 0 by token and user, 1024 for none, 1005 for the PIN', async () => {
    await assign(john)
    const match = [
      ['token.serial', '=', `t-${number}`],
      ['user.loginName', '=', 'JOHN.smith'],
    ]
    const wanted = ['id', 'status', 'failCount']
    expect((await at.call('tokenAssignment/get', { match, return: wanted })).result).toEqual({
      id: expect.any(String),
      status: 'ACTIVE',
      failCount: 0,
    })
    const none = { match: { id: 'x' }, return: wanted }
    expect((await at.call('tokenAssignment/get', none)).error).toBe(1024)
    expect((await at.call('tokenAssignment/get', { match, return: ['pin'] })).error).toBe(1005)
  })
})

describe('tokenAssignmentSet', () => {
  test('200 error 0 changes validity, limit, priority and PIN; an empty PIN takes it away', async () => {
    const { result } = await assign(john, { pin: '1234' })
    const attrs = {
      starts: '2026-01-01T00:00:00Z',
      expires: '2027-01-01T01:00:00+01:00',
      usageLimit: 3,
      priority: 2,
      pin: '',
    }
    expect((await at.call('tokenAssignment/set', { id: result.id, attrs })).error).toBe(0)
    expect(await shown('starts', 'expires', 'usageLimit', 'priority', 'hasPin')).toEqual({
      starts: '2026-01-01T00:00:00.000Z',
      expires: '2027-01-01T00:00:00.000Z',
      usageLimit: 3,
      priority: 2,
      hasPin: false,
    })
  })

  test('200 error 0: ACTIVE unlocks what failures have locked', async () => {
    await assign(john)
    const body = { user: { id: john }, token: { id: token }, credential: { otp: '000000' } }
    for (let time = 0; time < 10; time++) await at.call('auth/verify', body)
    expect((await at.call('auth/verify', body)).error).toBe(1041)
    expect(await shown('status', 'failCount')).toEqual({ status: 'LOCKED', failCount: 10 })
    const target = { user: john, token: { id: token } }
    const attrs = { status: 'ACTIVE' }
    expect((await at.call('tokenAssignment/set', { ...target, attrs })).error).toBe(0)
    expect(await shown('status', 'failCount')).toEqual({ status: 'ACTIVE', failCount: 0 })
    const good = { ...body, credential: { otp: rfcCodes[0] } }
    expect((await at.call('auth/verify', good)).error).toBe(0)
  })

  test.each<[number, object]>([
    [1003, { attrs: { priority: 1 } }],
    [1024, { id: 'x', attrs: { priority: 1 } }],
    [101, { user: 'nobody', token: 'x', attrs: { priority: 1 } }],
    [1024, { token: 'x', user: 'x', attrs: { priority: 1 } }],
    [1006, { id: 'x', attrs: { isOwner: false } }],
    [1005, { id: 'x', attrs: { colour: 'red' } }],
    [1004, { id: 'x', attrs: { pin: 'no spaces' } }],
    [1004, { id: 'x', attrs: {} }],
  ])('200 error %i for %j', async (error, body) => {
    const target = 'token' in body && error === 101 ? { ...body, token } : body
    expect((await at.call('tokenAssignment/set', target)).error).toBe(error)
  })
})

describe('tokenAssignmentSearch', () => {
  test('200 error 0 finds what is locked', async () => {
    await assign(john, { status: 'LOCKED' })
    const body = { match: [['status', '=', 'LOCKED']], return: ['token.serial', 'user.loginName'] }
    expect((await at.call('tokenAssignment/search', body)).result).toEqual({
      total: 1,
      rows: [{ 'token.serial': `t-${number}`, 'user.loginName': 'john.smith' }],
    })
  })
})

describe('tokenAssignmentGetTokenQRCode', () => {
  test('200 error 0 draws a PNG, not to be kept', async () => {
    const product = { manufacturerCode: 'DN', productCode: 'MT' }
    const soft = await at.create('token/create', { product, 'user.id': john })
    const body = { user: john, token: soft }
    const { headers, message, result } = await at.call('tokenAssignment/getTokenQRCode', body)
    expect(message).toBe('Succeeded')
    const png = Buffer.from(result, 'base64')
    expect(png.subarray(1, 4).toString()).toBe('PNG')
    expect(headers['cache-control']).toBe('no-store')
    await at.call('token/confine', { token: soft })
    expect((await at.call('tokenAssignment/getTokenQRCode', body)).error).toBe(1034)
  })

  test('200 error 1035 for a hardware token, 1003 without a target', async () => {
    const { result } = await assign(john)
    expect((await at.call('tokenAssignment/getTokenQRCode', result)).error).toBe(1035)
    expect((await at.call('tokenAssignment/getTokenQRCode', { user: john })).error).toBe(1003)
  })
})
