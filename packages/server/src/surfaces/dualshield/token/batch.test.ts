import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createInstallation, type Installation } from '../dualshield.fixture.ts'

let at: Installation
let number = 0
let serial: string

beforeAll(async () => {
  at = await createInstallation()
  await at.create('domain/create', { name: 'test domain' })
  for (const loginName of ['john.smith', 'mary.jones']) {
    await at.create('user/create', { 'domain.name': 'test domain', loginName })
  }
}, 60_000)
afterAll(() => at[Symbol.asyncDispose]())
beforeEach(async () => {
  serial = `b-${++number}`
  await at.addRfcToken(serial)
})

const header = 'domain,loginName,manufacturerCode,productCode,serial,status,pin'

function rowFor(token: string, changes: { login?: string; status?: string; pin?: string } = {}) {
  const { login = 'john.smith', status = 'ACTIVE', pin = '1234' } = changes
  return `"test domain", "${login}", "DN", "SE", "${token}", "${status}", "${pin}"`
}

function assign(rows: readonly string[], attrs: object = {}) {
  return at.call('token/batchAssignTokens', {
    attrs: { csv: [header, ...rows].join('\r\n'), charset: 'UTF-8', ...attrs },
  })
}

async function isAssigned(token: string): Promise<boolean> {
  const match = { 'token.serial': token }
  return (await at.call('tokenAssignment/search', { match })).result.total === 1
}

describe('tokenBatchAssignTokens', () => {
  test('200 error 0 for the published sample, blanks beside commas and all', async () => {
    const { error, result } = await assign([rowFor(serial)])
    expect(error).toBe(0)
    expect(result).toEqual({ total: 1, assigned: 1, unchanged: 0, failed: 0, rows: [] })
    expect(await isAssigned(serial)).toBe(true)
  })

  test('200 error 1061 keeps the good rows and reports the bad ones by line', async () => {
    const rows = [rowFor('nowhere'), rowFor(serial), rowFor(serial, { login: 'mary.jones' }), 'x,y']
    const answer = await assign(rows)
    expect(answer.message).toBe('3 of 4 rows were not assigned')
    expect(answer.result).toMatchObject({ total: 4, assigned: 1, unchanged: 0, failed: 3 })
    expect(
      answer.result.rows.map(({ line, error }: { line: number; error: number }) => [line, error]),
    ).toEqual([
      [2, 1021],
      [4, 1038],
      [5, 1004],
    ])
    expect(await isAssigned(serial)).toBe(true)
  })

  test('200 error 1061 with onError abort undoes all rows', async () => {
    const answer = await assign([rowFor(serial), rowFor('nowhere')], { onError: 'abort' })
    expect(answer).toMatchObject({ error: 1061, result: { assigned: 0, unchanged: 0, failed: 1 } })
    expect(await isAssigned(serial)).toBe(false)
  })

  test.each<[string, object]>([
    ['an unknown charset', { charset: 'KOI8-R' }],
    [
      'bytes that are not in the charset',
      { csv: Buffer.from([0xff, 0xfe, 0xfd]).toString('base64'), encoding: 'base64' },
    ],
    ['a missing column', { csv: 'domain,loginName\r\n' }],
    ['a column twice', { csv: `${header},pin\r\n` }],
    ['a column in another case', { csv: header.replace('loginName', 'LoginName') }],
    ['an open quote', { csv: `${header}\r\n"x` }],
    ['more than 10000 rows', { csv: `${header}\n${'x\n'.repeat(10_001)}` }],
  ])('200 error 1060 for %s, and nothing is applied', async (_what, attrs) => {
    expect((await assign([rowFor(serial)], attrs)).error).toBe(1060)
    expect(await isAssigned(serial)).toBe(false)
  })

  test('200 error 1003, 1004, 1005 for attributes that are missing, ill-typed, unknown', async () => {
    expect((await at.call('token/batchAssignTokens', { attrs: {} })).error).toBe(1003)
    expect((await assign([], { csv: 7 })).error).toBe(1004)
    expect((await assign([], { delimiter: ';' })).error).toBe(1005)
  })
})
