import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sha256Hex } from '#custody/secrets.ts'
import { engines } from '#test/support/core.ts'
import {
  createTokenBench,
  rfcSecretHex,
  type TokenBench,
  tenantId,
} from '#test/support/otp-tokens.ts'
import { importRejected } from './import-report.ts'
import type { ImportRequest } from './import-service.ts'
import { secretPlace } from './otp-token.ts'
import type { SeedEntry } from './seed-files/seed-file.ts'

const safeId = { manufacturerCode: 'DN', productCode: 'ST' }
const genericTotp = { manufacturerCode: 'CS', productCode: 'TOTP' }

function csv(rows: readonly string[], header = 'serial number,secret key'): string {
  return [header, ...rows].join('\r\n')
}

const rowsOf = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${prefix}${index},${rfcSecretHex}`)

const vendorXml = `<?xml version="1.0"?><data><header><manufacturerCode>DN</manufacturerCode>
<productCode>ST</productCode><encrypt>NONE</encrypt><encode>HEX</encode><digits>6</digits>
<timeWindow>60</timeWindow><crypto>HmacSHA1</crypto></header><tokens><token><serial>X1</serial>
<seed>${rfcSecretHex}</seed><description>blue</description></token></tokens></data>`

const pskc = `<?xml version="1.0" encoding="UTF-8"?>
<KeyContainer Version="1.0" xmlns="urn:ietf:params:xml:ns:keyprov:pskc"><KeyPackage>
<DeviceInfo><SerialNo>P1</SerialNo></DeviceInfo>
<Key Id="1" Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:totp"><AlgorithmParameters>
<Suite>SHA256</Suite><ResponseFormat Length="8" Encoding="DECIMAL"/></AlgorithmParameters>
<Data><Secret><PlainValue>MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=</PlainValue></Secret>
<TimeInterval><PlainValue>60</PlainValue></TimeInterval>
<TimeDrift><PlainValue>4</PlainValue></TimeDrift></Data>
<Policy><StartDate>2026-01-01T00:00:00Z</StartDate><ExpiryDate>2030-01-01T00:00:00Z</ExpiryDate></Policy>
</Key></KeyPackage></KeyContainer>`

describe.each(engines)('import on %s', (engine) => {
  let bench: TokenBench

  beforeAll(async () => {
    bench = await createTokenBench({ engine })
  })
  afterAll(() => bench[Symbol.asyncDispose]())

  const importText = (text: string, request: Partial<Omit<ImportRequest, 'file'>> = {}) =>
    bench.imports.importFile(bench.admin, tenantId, {
      file: { text, format: 'AUTO', encoding: 'HEX' },
      duplicates: 'REJECT',
      dryRun: false,
      ...request,
    })
  const find = async (serial: string) => {
    const { items } = await bench.tokens.list(bench.reader, tenantId, {
      filters: { serial },
      limit: 10,
    })
    return items[0]
  }

  test('every entry of a file becomes a token of the product with its secret', async () => {
    const rows = rowsOf('A', 120)
    const report = await importText(csv(rows), { product: safeId })
    expect(report).toMatchObject({ dryRun: false, format: 'CSV', total: 120, imported: 120 })
    expect(report.entries.map(({ index }) => index)).toEqual(rows.map((_, index) => index + 1))
    for (const serial of ['A0', 'A49', 'A50', 'A119']) {
      const token = await find(serial)
      expect(token).toMatchObject({
        product: safeId,
        type: 'TOTP',
        digits: 6,
        periodSeconds: 60,
        origin: 'IMPORTED',
        status: 'ACTIVE',
        identifier: serial,
        assignments: [],
        driftSteps: 0,
      })
      const id = token?.id ?? ''
      expect(report.entries.find((entry) => entry.serial === serial)?.tokenId).toBe(id)
      const { vault, storage } = bench.core
      const sealed = await storage.read.otpTokens.findSealedSecret(tenantId, id)
      const secret = await vault.open(secretPlace(tenantId, id), sealed ?? new Uint8Array())
      expect(Buffer.from(secret).toString('hex')).toBe(rfcSecretHex)
    }
    const [record] = await bench.journal('otp-token.imported')
    expect(record?.detail).toMatchObject({ ...safeId, format: 'CSV', count: 120, skippedCount: 0 })
    const serials = rows.map((row) => `${row.split(',')[0]}\n`).join('')
    expect(record?.detail.serialsHash).toBe(sha256Hex(serials))
  })

  test('the vendor’s file names its product; a wish for another one is refused', async () => {
    expect(await importText(vendorXml)).toMatchObject({ format: 'DUALSHIELD', imported: 1 })
    expect(await find('X1')).toMatchObject({ product: safeId, description: 'blue' })
    const product = { manufacturerCode: 'DN', productCode: 'SE' }
    await expect(importText(vendorXml.replace('X1', 'X2'), { product })).rejects.toMatchObject({
      code: 'invalid_request',
      faults: [{ pointer: '/product', code: 'mutually_exclusive' }],
    })
    await expect(importText(csv(rowsOf('N', 1)))).rejects.toMatchObject({
      code: 'invalid_request',
      faults: [{ pointer: '/product', code: 'required' }],
    })
  })

  test('a generic product takes what the file says, and the file’s validity binds assignments', async () => {
    expect(await importText(pskc, { product: genericTotp })).toMatchObject({ imported: 1 })
    const token = await find('P1')
    const startsAtMs = Date.UTC(2026, 0)
    const expiresAtMs = Date.UTC(2030, 0)
    expect(token).toMatchObject({
      algorithm: 'SHA256',
      digits: 8,
      periodSeconds: 60,
      driftSteps: 4,
      startsAtMs,
      expiresAtMs,
    })
    const assignment = await bench.assignments.create(bench.admin, tenantId, token?.id ?? '', {
      user: { id: 'jsmith' },
      expiresAtMs: Date.UTC(2031, 0),
    })
    expect(assignment).toMatchObject({ startsAtMs, expiresAtMs })
    const held = { tokenId: token?.id ?? '', userId: 'jsmith' }
    expect(
      await bench.assignments.update(bench.admin, tenantId, held, { expiresAtMs: null }),
    ).toMatchObject({ expiresAtMs })
  })

  test('one bad entry, and nothing of the file is stored', async () => {
    const before = (await bench.journal()).length
    const rows = [...rowsOf('B', 60), 'B60,zz', `has blank,${rfcSecretHex}`, `A7,${rfcSecretHex}`]
    const report = await importText(csv(rows), { product: safeId })
    expect(report).toMatchObject({ total: 63, imported: 0, skipped: 0, failed: 3 })
    expect(report.entries).toMatchObject([
      { index: 61, result: 'FAILED', code: 'bad_secret' },
      { index: 62, result: 'FAILED', code: 'bad_format' },
      { index: 63, serial: 'A7', result: 'FAILED', code: 'duplicate' },
    ])
    expect(importRejected(report.entries)).toMatchObject({
      code: 'import_rejected',
      faults: [{ index: 61 }, { index: 62 }, { pointer: '/data', code: 'duplicate', index: 63 }],
    })
    expect(await find('B0')).toBeUndefined()
    expect(await bench.journal()).toHaveLength(before)
    expect(JSON.stringify(report)).not.toContain(rfcSecretHex)
  })

  test('a dry run says of every entry what would become of it, and stores nothing', async () => {
    const rows = [`C1,${rfcSecretHex}`, `C1,${rfcSecretHex}`, `A1,${rfcSecretHex}`, 'C2,31']
    const shown = async (duplicates: ImportRequest['duplicates']) => {
      const report = await importText(csv(rows), { product: safeId, dryRun: true, duplicates })
      expect(report.entries.every((entry) => entry.tokenId === undefined)).toBe(true)
      return report.entries.map(({ result, code }) => [result, code])
    }
    expect(await shown('REJECT')).toEqual([
      ['IMPORTED', undefined],
      ['FAILED', 'duplicate'],
      ['FAILED', 'duplicate'],
      ['FAILED', 'bad_secret'],
    ])
    expect(await shown('SKIP')).toEqual([
      ['IMPORTED', undefined],
      ['SKIPPED', undefined],
      ['SKIPPED', undefined],
      ['FAILED', 'bad_secret'],
    ])
    expect(await find('C1')).toBeUndefined()
  })

  test.each([
    ['digits', 'serial number,secret key,digits', `D1,${rfcSecretHex},8`],
    ['time interval', 'serial number,secret key,time interval', `D1,${rfcSecretHex},30`],
    ['counter', 'serial number,secret key,counter', `D1,${rfcSecretHex},5`],
  ])('an entry whose %s a token of the product cannot have is bad', async (_name, header, row) => {
    const report = await importText(csv([row], header), { product: safeId })
    expect(report.entries).toMatchObject([{ index: 1, result: 'FAILED', code: 'unsupported' }])
  })

  test('SKIP leaves stored tokens as they are, also when only the second half of a batch is new', async () => {
    await importText(csv(rowsOf('E', 30)), { product: safeId })
    const before = await find('E3')
    const report = await importText(csv(rowsOf('E', 70)), { product: safeId, duplicates: 'SKIP' })
    expect(report).toMatchObject({ total: 70, imported: 40, skipped: 30, failed: 0 })
    expect(await find('E3')).toEqual(before)
    const again = await importText(csv(rowsOf('E', 70)), { product: safeId, duplicates: 'SKIP' })
    expect(again).toMatchObject({ imported: 0, skipped: 70 })
  })

  test('one file twice at once: one import stores all, the other nothing', async () => {
    const text = csv(rowsOf('F', 130))
    const reports = await Promise.all([1, 2].map(() => importText(text, { product: safeId })))
    expect(reports.map(({ imported }) => imported).sort((one, other) => one - other)).toEqual([
      0, 130,
    ])
    expect(reports.find(({ imported }) => imported === 0)?.entries[0]).toMatchObject({
      result: 'FAILED',
      code: 'duplicate',
    })
    expect((await bench.journal('otp-token.imported')).at(-1)?.detail).toMatchObject({ count: 130 })
  })

  test('files that overlap, at once, with SKIP: every serial is stored once and claimed once', async () => {
    const reports = await Promise.all(
      [rowsOf('G', 120), rowsOf('G', 90), rowsOf('G', 60)].map((rows) =>
        importText(csv(rows), { product: safeId, duplicates: 'SKIP' }),
      ),
    )
    const claimed = reports.flatMap(({ entries }) =>
      entries.flatMap(({ tokenId }) => tokenId ?? []),
    )
    expect(claimed).toHaveLength(120)
    expect(new Set(claimed).size).toBe(120)
    for (const tokenId of claimed) {
      expect(await bench.core.storage.read.factors.find(tenantId, tokenId)).toBeDefined()
    }
  })

  test('what the request refers to must be there, and the right must be', async () => {
    const text = csv(rowsOf('H', 1))
    await expect(
      importText(text, { product: { manufacturerCode: 'no', productCode: 'no' } }),
    ).rejects.toMatchObject({ code: 'product_not_found', pointer: '/product' })
    await expect(importText(text, { product: safeId, repositoryId: 'none' })).rejects.toMatchObject(
      { code: 'repository_not_found', pointer: '/repository' },
    )
    const file = { text, format: 'AUTO', encoding: 'HEX' } as const
    const request: ImportRequest = { file, product: safeId, duplicates: 'REJECT', dryRun: true }
    await expect(bench.imports.importFile(bench.reader, tenantId, request)).rejects.toMatchObject({
      code: 'forbidden',
    })
    await expect(bench.imports.importFile(bench.stranger, tenantId, request)).rejects.toMatchObject(
      {
        code: 'tenant_not_found',
      },
    )
    const theirs = await bench.imports.importFile(bench.stranger, 'other', {
      ...request,
      dryRun: false,
    })
    expect(theirs.imported).toBe(1)
    expect(await find('H0')).toBeUndefined()
  })

  test('ten thousand entries are one transaction, and the event loop has its turns meanwhile', async () => {
    const text = csv(rowsOf('K', 10_000))
    let turnCount = 0
    let isOver = false
    const countTurns = () => {
      turnCount++
      if (!isOver) setImmediate(countTurns)
    }
    setImmediate(countTurns)
    const report = await importText(text, { product: safeId })
    isOver = true
    expect(report.imported).toBe(10_000)
    // One after every fifty entries: when they are sealed, and when they are stored.
    expect(turnCount).toBeGreaterThanOrEqual(400)
    const records = await bench.journal('otp-token.imported')
    expect(records.at(-1)?.detail).toMatchObject({ count: 10_000 })
  })

  async function* entries(prefix: string, count: number, bad = -1): AsyncGenerator<SeedEntry> {
    for (let index = 0; index < count; index++) {
      yield {
        index: index + 1,
        serial: `${prefix}${index}`,
        secret: Buffer.from(rfcSecretHex, 'hex'),
        ...(index === bad && { digits: 8 }),
      }
    }
  }

  test('a stream is stored batch by batch; after a bad entry it can be run again', async () => {
    const request = { product: safeId, duplicates: 'REJECT' } as const
    const progress: number[] = []
    const run = (stream: AsyncIterable<SeedEntry>, duplicates: 'REJECT' | 'SKIP' = 'REJECT') =>
      bench.imports.importStream(
        bench.admin,
        tenantId,
        stream,
        { ...request, duplicates },
        (made) => progress.push(made.imported + made.skipped),
      )
    await expect(run(entries('S', 1200, 700))).rejects.toMatchObject({
      code: 'import_rejected',
      faults: [{ index: 701, code: 'unsupported' }],
    })
    expect(await find('S499')).toBeDefined()
    expect(await find('S500')).toBeUndefined()
    await expect(run(entries('S', 1200))).rejects.toMatchObject({
      code: 'import_rejected',
      faults: expect.arrayContaining([expect.objectContaining({ code: 'duplicate', index: 1 })]),
    })
    progress.length = 0
    expect(await run(entries('S', 1200), 'SKIP')).toEqual({ imported: 700, skipped: 500 })
    expect(progress).toEqual([500, 1000, 1200])
  })

  test('a serial that comes twice in a stream is stored once', async () => {
    async function* twice(): AsyncGenerator<SeedEntry> {
      yield* entries('Z', 3)
      yield* entries('Z', 4)
    }
    const request = { product: safeId, duplicates: 'SKIP' } as const
    expect(await bench.imports.importStream(bench.admin, tenantId, twice(), request)).toEqual({
      imported: 4,
      skipped: 3,
    })
    await expect(
      bench.imports.importStream(bench.admin, tenantId, twice(), {
        ...request,
        duplicates: 'REJECT',
      }),
    ).rejects.toMatchObject({ code: 'import_rejected' })
  })
})
