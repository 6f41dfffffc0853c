import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createInstallation, type Installation, rfcCodes } from '../dualshield.fixture.ts'

let at: Installation
let user: string

beforeAll(async () => {
  at = await createInstallation()
  await at.create('domain/create', { name: 'domain.com' })
  user = await at.create('user/create', { 'domain.name': 'domain.com', loginName: 'john.smith' })
}, 60_000)
afterAll(() => at[Symbol.asyncDispose]())

const mobileId = { manufacturerCode: 'DN', productCode: 'MT' }

async function tokenWith(match: object, ...wanted: unknown[]) {
  const { error, result } = await at.call('token/get', { match, return: wanted })
  return error === 0 ? result : error
}

async function countTokens(): Promise<number> {
  return (await at.call('token/search', {})).result.total
}

describe('tokenCreate', () => {
  test('200 error 0 with references by attributes, and answers what return asks for', async () => {
    const { error, result } = await at.call('token/create', {
      attrs: {
        product: mobileId,
        user: { 'domain.name': 'domain.com', loginName: 'john.smith' },
        pin: '1234',
      },
      return: ['id', 'serial', 'product.name', { tokenAssignments: [{ elements: ['id'] }] }],
    })
    expect(error).toBe(0)
    expect(result).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{32}$/),
      serial: expect.stringMatching(/^[0-9]{10}$/),
      'product.name': 'MobileID',
      tokenAssignments: { elements: [{ id: expect.stringMatching(/^[0-9a-f]{32}$/) }] },
    })
    const shown = await tokenWith({ id: result.id }, 'identifier', {
      tokenAssignments: ['isOwner', 'status', 'hasPin'],
    })
    expect(shown).toEqual({
      identifier: result.serial,
      tokenAssignments: { elements: [{ isOwner: true, status: 'ACTIVE', hasPin: true }] },
    })
  })

  test('200 error 0 with attrs as an array of objects and the alias loginNam', async () => {
    const { error, result } = await at.call('token/create', {
      attrs: [
        { product: mobileId },
        { user: { 'domain.name': 'domain.com', loginNam: 'john.smith' } },
        { pin: '1234' },
      ],
    })
    expect(error).toBe(0)
    expect(Object.keys(result)).toEqual(['id'])
  })

  test('200 error 0 with dotted ids and the aliases Identifier and Status, echoed when asked for', async () => {
    const product = (await at.call('product/get', { match: mobileId, return: ['id'] })).result.id
    const { error, result } = await at.call('token/create', {
      attrs: { 'product.id': product, serial: 'A-1', Identifier: 'mine', Status: 'DISABLED' },
      return: ['serial', 'Identifier', 'Status'],
    })
    expect({ error, result }).toEqual({
      error: 0,
      result: { serial: 'A-1', Identifier: 'mine', Status: 'DISABLED' },
    })
  })

  test.each<[number, string, object]>([
    [1003, 'a missing product', {}],
    [1022, 'an unknown product', { product: { manufacturerCode: 'DN', productCode: 'mt' } }],
    [1022, 'a number as id', { 'product.id': 7 }],
    [1025, 'a product that two have', { product: { name: 'MobileID' } }],
    [1035, 'a hardware product', { product: { manufacturerCode: 'DN', productCode: 'ST' } }],
    [101, 'an unknown user', { product: mobileId, user: { loginName: 'nobody' } }],
    [
      242,
      'an unknown domain',
      { product: mobileId, user: { 'domain.name': 'x', loginName: 'john.smith' } },
    ],
    [
      242,
      'a login in an unknown domain',
      { product: mobileId, user: { loginName: 'x\\john.smith' } },
    ],
    [1005, 'an unknown attribute of a reference', { product: { colour: 'red' } }],
    [1005, 'an unknown attribute', { product: mobileId, colour: 'red' }],
    [1006, 'an attribute that is not written', { product: mobileId, counter: 1 }],
    [1004, 'a PIN without user', { product: mobileId, pin: '1234' }],
    [
      1004,
      'a PIN that is a number',
      { product: mobileId, 'user.loginName': 'john.smith', pin: 1234 },
    ],
    [1004, 'spellings that disagree', { product: mobileId, 'product.productCode': 'ME' }],
    [1004, 'an alias that disagrees', { product: mobileId, identifier: 'a', Identifier: 'b' }],
    [
      1032,
      'a disabled token for a user',
      { product: mobileId, 'user.loginName': 'john.smith', status: 'DISABLED' },
    ],
    [1023, 'an unknown repository', { product: mobileId, 'repository.name': 'nowhere' }],
    [1026, 'a serial that is taken', { product: mobileId, serial: 'A-1' }],
  ])('200 error %i for %s, and nothing is made', async (error, _what, attrs) => {
    const before = await countTokens()
    expect((await at.call('token/create', { attrs })).error).toBe(error)
    expect(await countTokens()).toBe(before)
  })

  test('200 error 1005 for an unknown name in return, before anything is made', async () => {
    const before = await countTokens()
    const attrs = { product: mobileId }
    expect(await at.call('token/create', { attrs, return: ['seed'] })).toMatchObject({
      error: 1005,
      message: 'Unknown attribute: seed',
    })
    expect(await countTokens()).toBe(before)
  })

  test('200 error 1004 for a name that parts of an attrs array give two values', async () => {
    const attrs = [{ product: mobileId, serial: 'x' }, { serial: 'y' }]
    expect((await at.call('token/create', { attrs })).error).toBe(1004)
    expect((await at.call('token/create', { attrs: [] })).error).toBe(1004)
  })
})

describe('tokenDelete', () => {
  const assigned = () => at.create('token/create', { product: mobileId, 'user.id': user })

  test('200 error 0 deletes the token with its assignments', async () => {
    const id = await assigned()
    expect(await at.call('token/delete', { id })).toMatchObject({ status: 200, error: 0 })
    expect(await tokenWith({ id }, 'id')).toBe(1021)
    const { result } = await at.call('tokenAssignment/search', { match: { 'token.id': id } })
    expect(result.total).toBe(0)
    expect((await at.call('token/delete', { id })).error).toBe(1021)
  })

  test('200 error 0 with a user only unassigns', async () => {
    const id = await assigned()
    const named = { id: user, 'domain.name': 'DOMAIN.COM', loginName: 'John.Smith' }
    expect((await at.call('token/delete', { id, user: named })).error).toBe(0)
    expect(await tokenWith({ id }, { users: ['id'] })).toEqual({ users: { elements: [] } })
    expect((await at.call('token/delete', { id, user: named })).error).toBe(1031)
  })

  test.each<[number, string, object]>([
    [1004, 'null', { user: null }],
    [1004, 'nothing', { user: {} }],
    [1004, 'a text', { user: 'john.smith' }],
    [1004, 'a list', { user: [] }],
    [101, 'nobody, in dotted spelling', { 'user.id': 'nobody' }],
    [101, 'attributes of two users', { user: { id: 'x', loginName: 'john.smith' } }],
    [1005, 'an unknown attribute', { user: { name: 'john.smith' } }],
  ])('200 error %i when the user is %s, and the token stays', async (error, _what, members) => {
    const id = await assigned()
    expect((await at.call('token/delete', { id, ...members })).error).toBe(error)
    expect(await tokenWith({ id }, 'id')).toEqual({ id })
  })

  test('200 error 1003 without id, 1004 where id and token disagree', async () => {
    const id = await assigned()
    expect((await at.call('token/delete', {})).error).toBe(1003)
    expect((await at.call('token/delete', { id, token: { id: 'other' } })).error).toBe(1004)
    expect((await at.call('token/delete', { token: { id } })).error).toBe(0)
  })
})

describe('tokenReset', () => {
  test('200 error 0 sets the counter back to what was asked for, or 0', async () => {
    const id = await at.addRfcToken('reset-1')
    expect(
      (await at.call('token/reset', { token: { serial: 'reset-1' }, attrs: { counter: 5 } })).error,
    ).toBe(0)
    expect(await tokenWith({ id }, 'counter')).toEqual({ counter: 5 })
    expect((await at.call('token/reset', { token: { serial: 'reset-1' } })).error).toBe(0)
    expect(await tokenWith({ id }, 'counter')).toEqual({ counter: 0 })
  })

  test('200 error 1004 for a counter of a time-based token, 1005 for an unknown attribute', async () => {
    const token = { id: await at.create('token/create', { product: mobileId }) }
    expect((await at.call('token/reset', { token, attrs: { counter: 1 } })).error).toBe(1004)
    expect((await at.call('token/reset', { token, attrs: { counter: 0 } })).error).toBe(0)
    expect((await at.call('token/reset', { token, attrs: { drift: 0 } })).error).toBe(1005)
    expect((await at.call('token/reset', {})).error).toBe(1003)
  })
})

describe('tokenConfine', () => {
  test('200 error 0, also a second time', async () => {
    const id = await at.create('token/create', { product: mobileId })
    const token = { id }
    expect((await at.call('token/confine', { token })).error).toBe(0)
    expect((await at.call('token/confine', { token: id })).error).toBe(0)
    expect(await tokenWith({ id }, 'confined')).toEqual({ confined: true })
  })

  test('200 error 1032 for a token that is DECEASED, 1021 for none', async () => {
    const id = await at.create('token/create', { product: mobileId })
    await at.call('token/set', { id, attrs: { status: 'DECEASED' } })
    expect((await at.call('token/confine', { token: { id } })).error).toBe(1032)
    expect((await at.call('token/confine', { token: { serial: 'none' } })).error).toBe(1021)
  })
})

describe('tokenRelease', () => {
  test('200 error 0 ends the confinement', async () => {
    const id = await at.create('token/create', { product: mobileId })
    await at.call('token/confine', { token: { id } })
    expect((await at.call('token/release', { token: { id } })).error).toBe(0)
    expect(await tokenWith({ id }, 'confined')).toEqual({ confined: false })
    expect((await at.call('token/release', { token: { serial: '' } })).error).toBe(1004)
  })
})

describe('tokenSyncToken', () => {
  test('200 error 0 moves the counter behind both codes, which are spent', async () => {
    const id = await at.addRfcToken('sync-1')
    const token = { serial: 'sync-1' }
    const credential = ` ${rfcCodes[1]} , ${rfcCodes[2]} `
    expect((await at.call('token/syncToken', { token, credential })).error).toBe(0)
    expect(await tokenWith({ id }, 'counter')).toEqual({ counter: 3 })
    expect((await at.call('token/syncToken', { token, credential })).error).toBe(1043)
  })

  test('200 error 1043 with a user counts a failure and moves nothing', async () => {
    const id = await at.addRfcToken('sync-2')
    await at.create('tokenAssignment/create', { 'token.id': id, 'user.id': user })
    const body = { token: { id }, user: { id: user }, credential: '000000,000001' }
    expect((await at.call('token/syncToken', body)).error).toBe(1043)
    expect(await tokenWith({ id }, 'counter', { tokenAssignments: ['failCount'] })).toEqual({
      counter: 0,
      tokenAssignments: { elements: [{ failCount: 1 }] },
    })
  })

  test('200 error 1004 for codes of another length, 1031 for another user, 1032 when disabled', async () => {
    const id = await at.addRfcToken('sync-3')
    const token = { id }
    for (const credential of [
      '755224',
      '7552240,2870820',
      '755224,287082,359152',
      '٧٥٥٢٢٤,287082',
    ]) {
      expect((await at.call('token/syncToken', { token, credential })).error).toBe(1004)
    }
    const credential = '755224,287082'
    expect(
      (await at.call('token/syncToken', { token, user: { id: user }, credential })).error,
    ).toBe(1031)
    await at.call('token/set', { id, attrs: { Status: 'DISABLED' } })
    expect((await at.call('token/syncToken', { token, credential })).error).toBe(1032)
  })
})

describe('tokenSet', () => {
  test('200 error 0 changes status, description and repository', async () => {
    const repository = await at.create('repository/create', { name: 'Branch' })
    const id = await at.create('token/create', { product: mobileId })
    const attrs = { status: 'DISABLED', description: 'lost', 'repository.name': 'Branch' }
    expect((await at.call('token/set', { id, attrs })).error).toBe(0)
    expect(await tokenWith({ id }, 'status', 'description', { repository: ['id'] })).toEqual({
      status: 'DISABLED',
      description: 'lost',
      repository: { id: repository },
    })
    expect(
      (await at.call('token/set', { token: { id }, attrs: { description: null } })).error,
    ).toBe(0)
    expect(await tokenWith({ id }, 'description')).toEqual({ description: null })
  })

  test('200 error 1036 out of DECEASED; nothing of the call is applied', async () => {
    const id = await at.create('token/create', { product: mobileId })
    await at.call('token/set', { id, attrs: { status: 'DECEASED' } })
    const attrs = { status: 'ACTIVE', description: 'risen' }
    expect((await at.call('token/set', { id, attrs })).error).toBe(1036)
    expect(await tokenWith({ id }, 'status', 'description')).toEqual({
      status: 'DECEASED',
      description: null,
    })
  })

  test.each<[number, object]>([
    [1006, { serial: 'x' }],
    [1006, { Identifier: 'x' }],
    [1006, { 'product.id': 'x' }],
    [1005, { colour: 'red' }],
    [1005, { pin: '1234' }],
    [1004, { status: 'LOST' }],
    [1004, {}],
    [1023, { 'repository.id': 'x' }],
  ])('200 error %i for %j', async (error, attrs) => {
    const id = await at.create('token/create', { product: mobileId })
    expect((await at.call('token/set', { id, attrs })).error).toBe(error)
  })
})
