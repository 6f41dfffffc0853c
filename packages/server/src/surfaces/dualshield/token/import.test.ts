import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { figure6, figure6Key } from '#domain/otp-tokens/seed-files/rfc6030.vectors.ts'
import { createInstallation, type Installation, rfcSeedHex } from '../dualshield.fixture.ts'

let at: Installation

beforeAll(async () => {
  at = await createInstallation()
}, 60_000)
afterAll(() => at[Symbol.asyncDispose]())

function vendorFile(...serials: string[]): string {
  const tokens = serials.map(
    (serial) => `<token><serial>${serial}</serial><seed>${rfcSeedHex}</seed></token>`,
  )
  return `<?xml version="1.0"?><data><header><manufacturerCode>DN</manufacturerCode><productCode>ST</productCode><encrypt>NONE</encrypt><encode>HEX</encode><digits>6</digits><timeWindow>60</timeWindow><crypto>HmacSHA1</crypto></header><tokens>${tokens.join('')}</tokens></data>`
}

describe('tokenImport', () => {
  test("200 error 0 imports the vendor's XML in the file's order", async () => {
    const product = await idOf('product', { manufacturerCode: 'DN', productCode: 'ST' })
    const repository = await idOf('repository', { name: 'Default' })
    const { error, result } = await at.call('token/import', {
      attrs: {
        'product.id': product,
        'repository.id': repository,
        data: `\uFEFF${vendorFile('1003', '1001', '1002')}`,
      },
      return: ['id', 'serial', 'status', { repository: ['name'] }],
    })
    expect(error).toBe(0)
    expect(result.total).toBe(3)
    expect(result.rows.map(({ id: _id, ...row }: { id: string }) => row)).toEqual(
      ['1003', '1001', '1002'].map((serial) => ({
        serial,
        status: 'ACTIVE',
        repository: { name: 'Default' },
      })),
    )
  })

  test('200 error 1051 for a bad entry, with a report, and nothing is stored', async () => {
    const answer = await at.call('token/import', { attrs: { data: vendorFile('2001', '1001') } })
    expect(answer).toMatchObject({
      error: 1051,
      message: 'The import file was rejected',
      result: {
        total: 2,
        failed: 1,
        rows: [
          {
            index: 2,
            serial: '1001',
            error: 1026,
            message: 'An object with the same serial exists',
          },
        ],
      },
    })
    const { result } = await at.call('token/search', { match: { serial: '2001' } })
    expect(result.total).toBe(0)
  })

  test('200 error 0 with duplicates skipped: they are left out of the answer', async () => {
    const attrs = { data: vendorFile('3001', '1001'), duplicates: 'skip' }
    const { error, result } = await at.call('token/import', { attrs, return: ['serial'] })
    expect({ error, result }).toEqual({
      error: 0,
      result: { total: 1, rows: [{ serial: '3001' }] },
    })
  })

  test.each<[number, string, object]>([
    [1003, 'no file', {}],
    [1004, 'an empty file', { data: '' }],
    [1005, 'an unknown attribute', { data: 'x', colour: 'red' }],
    [1022, 'an unknown product', { data: vendorFile('x1'), 'product.productCode': 'no' }],
    [1023, 'an unknown repository', { data: vendorFile('x1'), 'repository.name': 'no' }],
    [
      1004,
      'another product than the file names',
      { data: vendorFile('x1'), product: { manufacturerCode: 'DN', productCode: 'SE' } },
    ],
    [1050, "the vendor's older root", { data: '<tokenList/>' }],
    [1050, 'a text of no known format', { data: 'hello' }],
    [1051, 'a DTD', { data: `<!DOCTYPE data [<!ENTITY x "y">]>${vendorFile('x1')}` }],
    [1051, 'broken XML', { data: vendorFile('x1').slice(0, -9) }],
    [1035, 'an encrypted file', { data: vendorFile('x1').replace('NONE', 'AES256') }],
    [1004, 'an unknown format', { data: 'x', format: 'JSON' }],
  ])('200 error %i for %s', async (error, _what, attrs) => {
    expect((await at.call('token/import', { attrs })).error).toBe(error)
    expect((await at.call('token/search', { match: { serial: 'x1' } })).result.total).toBe(0)
  })

  test('R6: 200 error 1052 without the key of a PSKC file or with a wrong one, 0 with the right one', async () => {
    await at.create('product/create', {
      name: 'Eight digits',
      manufacturerCode: 'XX',
      productCode: 'H8',
      algorithm: 'HOTP',
      digits: 8,
    })
    const attrs = { product: { productCode: 'H8' }, data: figure6 }
    const wrong = '0'.repeat(32)
    expect((await at.call('token/import', { attrs })).error).toBe(1052)
    expect((await at.call('token/import', { attrs: { ...attrs, key: wrong } })).error).toBe(1052)
    expect((await at.call('token/import', { attrs: { ...attrs, key: 'short' } })).error).toBe(1004)
    const good = { ...attrs, key: figure6Key }
    const { result } = await at.call('token/import', { attrs: good, return: ['serial', 'digits'] })
    expect(result).toEqual({ total: 1, rows: [{ serial: '987654321', digits: 8 }] })
  })

  test('413 error 1009 beyond 10 MiB; more than 1 MiB is taken', async () => {
    const attrs = { data: 'x'.repeat(10_485_760) }
    expect(await at.call('token/import', { attrs })).toMatchObject({ status: 413, error: 1009 })
    const large = { data: 'x'.repeat(2_000_000) }
    expect((await at.call('token/import', { attrs: large })).error).toBe(1050)
  })
})

async function idOf(entity: string, match: object): Promise<string> {
  return (await at.call(`${entity}/get`, { match, return: ['id'] })).result.id
}
