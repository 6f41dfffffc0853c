import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines } from '#test/support/core.ts'
import {
  createTokenBench,
  rfcSecretHex,
  type TokenBench,
  tenantId,
} from '#test/support/otp-tokens.ts'
import type { ExportRequest } from './export-service.ts'

const password = 'correct horse battery staple'
const key = '00112233445566778899aabbccddeeff'
const generic = (productCode: 'HOTP' | 'TOTP') => ({ manufacturerCode: 'CS', productCode })

describe.each(engines)('export on %s', (engine) => {
  let bench: TokenBench

  beforeAll(async () => {
    bench = await createTokenBench({ engine })
  })
  afterAll(() => bench[Symbol.asyncDispose]())

  async function textOf(request: ExportRequest) {
    const { file, ...counts } = await bench.exports.export(bench.admin, tenantId, request)
    let text = ''
    for await (const part of file) text += part
    return { text, ...counts }
  }

  test.each([
    ['a password', { password }],
    ['a key', { key }],
  ])('what leaves under %s comes back on another tenant, token by token', async (name, secret) => {
    const tokens = [
      await bench.addToken({ counter: 42, digits: 8, serial: `one ${name}`.replaceAll(' ', '-') }),
      await bench.addToken({ algorithm: 'SHA512', description: 'Zweit-Gerät <1>' }),
    ]
    const tokenIds = tokens.map(({ id }) => id)
    const { text, exportedCount, omittedCount } = await textOf({ tokenIds, ...secret })
    expect([exportedCount, omittedCount]).toEqual([2, 0])
    expect(text).not.toContain(Buffer.from(rfcSecretHex, 'hex').toString('base64'))

    const report = await bench.imports.importFile(bench.stranger, 'other', {
      file: { text, format: 'PSKC', encoding: 'HEX', ...secret },
      product: generic('HOTP'),
      duplicates: 'REJECT',
      dryRun: false,
    })
    expect(report).toMatchObject({ imported: 2, failed: 0 })
    for (const [index, entry] of report.entries.entries()) {
      const copy = await bench.tokens.get(bench.stranger, 'other', entry.tokenId ?? '')
      const { serial, algorithm, digits, counter, description } = tokens[index] ?? {}
      expect(copy).toMatchObject({ serial, algorithm, digits, counter, description })
    }
    const wrong = bench.imports.importFile(bench.stranger, 'other', {
      file: { text, format: 'PSKC', encoding: 'HEX', password: 'another one entirely' },
      product: generic('HOTP'),
      duplicates: 'SKIP',
      dryRun: true,
    })
    await expect(wrong).rejects.toMatchObject({ code: 'import_key_required' })
  })

  test('a product’s tokens, each on record; imported ones stay here', async () => {
    const product = { manufacturerCode: 'DN', productCode: 'MT' }
    const made = await bench.addToken({ product, type: 'TOTP' })
    await bench.imports.importFile(bench.admin, tenantId, {
      file: {
        text: `serial number,secret key\n1001,${rfcSecretHex}`,
        format: 'CSV',
        encoding: 'HEX',
      },
      product,
      duplicates: 'REJECT',
      dryRun: false,
    })
    const { text, ...counts } = await textOf({ product, password })
    expect(counts).toEqual({ exportedCount: 1, omittedCount: 1 })
    expect(text).toContain(`<SerialNo>${made.serial}</SerialNo>`)
    expect(text).not.toContain('1001')
    const records = await bench.journal('otp-token.exported')
    expect(records.filter(({ target }) => target?.id === made.id)).toHaveLength(1)
    expect(records.some(({ detail }) => detail.serial === '1001')).toBe(false)
  })

  test.each([
    [{}, ['/tokenIds', '/password']],
    [{ product: generic('TOTP') }, ['/password']],
    [{ product: generic('TOTP'), password: 'too short' }, ['/password']],
    [{ product: generic('TOTP'), password, key }, ['/password']],
    [{ product: generic('TOTP'), tokenIds: ['x'], key }, ['/product']],
    [{ product: generic('TOTP'), key: '00' }, ['/key']],
  ])('%j is refused with its places', async (request, pointers) => {
    await expect(bench.exports.export(bench.admin, tenantId, request)).rejects.toMatchObject({
      code: 'invalid_request',
      faults: pointers.map((pointer) => ({ pointer })),
    })
  })

  test('another tenant’s token cannot be named, and reading does not suffice', async () => {
    const { id } = await bench.addToken()
    const request = { tokenIds: [id], password }
    const before = (await bench.journal()).length
    await expect(bench.exports.export(bench.stranger, 'other', request)).rejects.toMatchObject({
      code: 'token_not_found',
      pointer: '/tokenIds',
    })
    await expect(bench.exports.export(bench.reader, tenantId, request)).rejects.toMatchObject({
      code: 'forbidden',
    })
    await expect(
      bench.exports.export(bench.admin, tenantId, { ...request, tokenIds: [id, 'none'] }),
    ).rejects.toMatchObject({ code: 'token_not_found' })
    expect(await bench.journal()).toHaveLength(before)
  })
})
