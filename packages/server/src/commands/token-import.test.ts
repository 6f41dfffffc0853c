import { writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openDatabase } from '#storage/database.ts'
import {
  allRows,
  createInstallation,
  documentOf,
  type Installation,
  runCommand,
} from '#test/support/commands.ts'
import { engines } from '#test/support/core.ts'

/** A PSKC file of HOTP keys; each is about 600 bytes long. */
function pskc(count: number, prefix = 'P', last = ''): string {
  const head =
    '<?xml version="1.0"?><KeyContainer Version="1.0" xmlns="urn:ietf:params:xml:ns:keyprov:pskc">'
  const filler = ' '.repeat(200)
  const keys = Array.from({ length: count }, (_, index) => {
    const secret = Buffer.from(String(index).padStart(20, '0')).toString('base64')
    return `<KeyPackage>${filler}<DeviceInfo><SerialNo>${prefix}${index}</SerialNo></DeviceInfo>
<Key Id="${index}" Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:hotp"><AlgorithmParameters>
<ResponseFormat Length="6" Encoding="DECIMAL"/></AlgorithmParameters><Data><Secret>
<PlainValue>${secret}</PlainValue></Secret><Counter><PlainValue>7</PlainValue></Counter></Data></Key></KeyPackage>`
  })
  return `${head}${keys.join('')}${last}</KeyContainer>`
}

describe.each(engines)('token import on %s', { timeout: 120_000 }, (engine) => {
  let installation: Installation
  beforeAll(async () => {
    installation = await createInstallation(engine)
  })
  afterAll(() => installation[Symbol.asyncDispose]())

  function write(text: string): string {
    const path = installation.path('seeds')
    writeFileSync(path, text)
    return path
  }

  const importFile = (path: string, ...options: string[]) =>
    runCommand(['token', 'import', path, '--tenant', 'acme', '--json', ...options], {
      env: installation.env(),
    })

  const countTokens = async () => (await allRows(installation.url)).otp_token?.length ?? 0

  test('a dry run changes nothing; then all entries are there, and once only', async () => {
    const before = await countTokens()
    const path = write(pskc(20, 'S'))
    const product = ['--product', 'CS/HOTP']
    const dry = await importFile(path, ...product, '--dry-run')
    expect(documentOf(dry)).toMatchObject({ dryRun: true, total: 20, imported: 20, failed: 0 })
    expect(await countTokens()).toBe(before)

    expect(documentOf(await importFile(path, ...product))).toMatchObject({ imported: 20 })
    expect(await countTokens()).toBe(before + 20)

    const again = await importFile(path, ...product)
    expect(again).toMatchObject({ code: 65 })
    expect(documentOf(again)).toMatchObject({ imported: 0, failed: 20 })
    const skipped = await importFile(path, ...product, '--skip-duplicates')
    expect(skipped).toMatchObject({ code: 0 })
    expect(documentOf(skipped)).toMatchObject({ imported: 0, skipped: 20 })
    expect(await countTokens()).toBe(before + 20)
  })

  test('a large file goes in batch by batch, and again without its duplicates', async () => {
    const before = await countTokens()
    const path = write(pskc(12_000, 'L'))
    expect(await importFile(path)).toMatchObject({ code: 2 })
    const end = await importFile(path, '--product', 'CS/HOTP')
    expect(end).toMatchObject({ code: 0 })
    expect(documentOf(end)).toMatchObject({ total: 12_000, imported: 12_000, skipped: 0 })
    expect(await countTokens()).toBe(before + 12_000)
    const again = await importFile(path, '--product', 'CS/HOTP', '--skip-duplicates')
    expect(documentOf(again)).toMatchObject({ imported: 0, skipped: 12_000 })
  })

  test('65 for a large file that is broken at its end: what was stored is told', async () => {
    const path = write(pskc(12_000, 'B', '<KeyPackage><Key/></KeyPackage>'))
    const end = await importFile(path, '--product', 'CS/HOTP')
    expect(end).toMatchObject({ code: 65 })
    expect(end.stderr).toContain('12000 tokens were imported before')
  })

  test('65 for what is no seed file or no text, with nothing imported', async () => {
    const before = await countTokens()
    expect(await importFile(write('<html/>'), '--product', 'CS/HOTP')).toMatchObject({ code: 65 })
    writeFileSync(installation.path('seeds'), Buffer.from([0x3c, 0xff, 0xfe]))
    expect(await importFile(installation.path('seeds'))).toMatchObject({ code: 65 })
    expect(await countTokens()).toBe(before)
  })

  test('1 for a tenant or product that does not exist, 2 for wrong options', async () => {
    const path = write(pskc(1, 'X'))
    const args = ['token', 'import', path, '--tenant', 'nobody', '--product', 'CS/HOTP']
    const env = installation.env()
    expect(await runCommand(args, { env })).toMatchObject({ code: 1 })
    expect(await importFile(path, '--product', 'CS/NONE')).toMatchObject({ code: 1 })
    expect(await importFile(path, '--product', 'CS')).toMatchObject({ code: 2 })
    expect(await importFile(path, '--format', 'ZIP')).toMatchObject({ code: 2 })
  })
})

test('69 while a server has the database: its API is for that', async () => {
  await using installation = await createInstallation('sqlite')
  const path = installation.path('seeds')
  writeFileSync(path, pskc(1))
  const held = openDatabase(installation.url)
  const args = ['token', 'import', path, '--tenant', 'acme', '--product', 'CS/HOTP']
  const end = await runCommand(args, { env: installation.env() })
  await held.close()
  expect(end).toMatchObject({ code: 69 })
  expect(end.stderr).toContain('import through its API')
})
