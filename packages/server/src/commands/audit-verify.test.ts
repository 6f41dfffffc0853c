import { readFileSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { exportLine } from '#domain/journal/journal-record.ts'
import {
  createInstallation,
  documentOf,
  type Installation,
  runCommand,
} from '#test/support/commands.ts'
import { createReadyTestCore } from '#test/support/core.ts'

let installation: Installation
let lines: string[]
let checkpoint: { seq: number; hash: string; jws: string }
let keys: object[]

beforeAll(async () => {
  installation = await createInstallation('sqlite')
  await using core = await createReadyTestCore({ url: installation.url })
  const rows = await core.storage.read.journalReader.listRange(
    'acme',
    { fromSeq: 1, toSeq: 1_000 },
    1_000,
  )
  lines = rows.map(exportLine)
  const found = await core.storage.read.checkpoints.findLatest('acme')
  if (found === undefined) throw new Error('no checkpoint')
  checkpoint = found
  keys = (await core.storage.read.signingKeys.list('acme', 'audit')).map(
    ({ publicJwk }) => publicJwk,
  )
  writeFileSync(installation.path('keys.jwks'), JSON.stringify({ keys }))
  writeFileSync(installation.path('checkpoint.jws'), `${checkpoint.jws}\n`)
})
afterAll(() => installation[Symbol.asyncDispose]())

function write(name: string, texts: readonly string[]): string {
  writeFileSync(installation.path(name), texts.map((text) => `${text}\n`).join(''))
  return installation.path(name)
}

/** Without any setting: there is neither a database nor a key. */
const verify = (path: string, ...options: string[]) =>
  runCommand(['audit', 'verify', path, '--json', ...options])

const withCheckpoint = () => [
  '--checkpoints',
  installation.path('checkpoint.jws'),
  '--jwks',
  installation.path('keys.jwks'),
]

describe('audit verify', () => {
  test('R14: 0 for an export alone, without server, database and settings', async () => {
    const end = await verify(write('good.ndjson', lines))
    expect(end).toMatchObject({ code: 0 })
    expect(documentOf(end)).toEqual({
      valid: true,
      tenantId: 'acme',
      checked: lines.length,
      firstSeq: 1,
      lastSeq: lines.length,
      lastHash: (JSON.parse(lines.at(-1) ?? '') as { hash: string }).hash,
      checkpoints: 0,
      faults: [],
      malformedLines: [],
    })
  })

  test('0 with a signed checkpoint, in each of the forms in which it is kept', async () => {
    const path = write('good.ndjson', lines)
    expect(documentOf(await verify(path, ...withCheckpoint()))).toMatchObject({
      valid: true,
      checkpoints: 1,
    })
    const forms = [
      JSON.stringify({ items: [checkpoint], nextCursor: 'x' }),
      JSON.stringify(checkpoint),
      JSON.stringify([checkpoint.jws]),
      `${JSON.stringify(checkpoint)}\n${JSON.stringify(checkpoint)}\n`,
    ]
    for (const form of forms) {
      writeFileSync(installation.path('form'), form)
      const end = await verify(
        path,
        '--checkpoints',
        installation.path('form'),
        '--jwks',
        installation.path('keys.jwks'),
      )
      expect(end, form.slice(0, 30)).toMatchObject({ code: 0 })
    }
  })

  test('R15: 65 when the end was cut off, by a checkpoint that was kept outside', async () => {
    const path = write('cut.ndjson', lines.slice(0, -1))
    expect(await verify(path)).toMatchObject({ code: 0 })
    const end = await verify(path, ...withCheckpoint())
    expect(end).toMatchObject({ code: 65 })
    expect(documentOf(end)).toMatchObject({
      valid: false,
      faults: [{ seq: lines.length, code: 'MISSING_TAIL' }],
    })
  })

  test('65 and the place for a record that was changed, left out or moved', async () => {
    const [one = '', two = '', three = ''] = lines
    const cases: [string[], object[]][] = [
      [[one, two.replace('"SUCCESS"', '"FAILURE"'), three], [{ seq: 2, code: 'HASH_MISMATCH' }]],
      [[one, three], [{ seq: 3, code: 'GAP' }]],
      [
        [two, one, three],
        [
          { seq: 1, code: 'GAP' },
          { seq: 3, code: 'GAP' },
        ],
      ],
    ]
    for (const [texts, faults] of cases) {
      const end = await verify(write('changed.ndjson', texts))
      expect(end).toMatchObject({ code: 65 })
      expect(documentOf(end)).toMatchObject({ valid: false, faults })
    }
  })

  test('65 and the line for text that is no canonical record, or of another tenant', async () => {
    const [one = '', two = '', three = ''] = lines
    const foreign = three.replace('"tenantId":"acme"', '"tenantId":"evil"')
    const texts = [one, ` ${two}`, two.slice(0, -3), '', foreign]
    const end = await verify(write('malformed.ndjson', texts))
    expect(end).toMatchObject({ code: 65 })
    expect(documentOf(end)).toMatchObject({ checked: 1, malformedLines: [2, 3, 4, 5] })
  })

  test('65 for an export without records', async () => {
    expect(await verify(write('empty.ndjson', []))).toMatchObject({ code: 65 })
  })

  test('65 for a checkpoint that somebody else signed, or that says another hash', async () => {
    const path = write('good.ndjson', lines)
    const [head = '', payload = '', signature = ''] = checkpoint.jws.split('.')
    const text = Buffer.from(payload, 'base64url').toString('utf8')
    const changed = Buffer.from(text.replace(checkpoint.hash, '0'.repeat(64))).toString('base64url')
    writeFileSync(installation.path('forged.jws'), `${head}.${changed}.${signature}`)
    const end = await verify(
      path,
      '--checkpoints',
      installation.path('forged.jws'),
      '--jwks',
      installation.path('keys.jwks'),
    )
    expect(end).toMatchObject({ code: 65 })
    expect(documentOf(end)).toMatchObject({
      faults: [
        { seq: checkpoint.seq, code: 'CHECKPOINT_MISMATCH' },
        { seq: checkpoint.seq, code: 'CHECKPOINT_SIGNATURE_INVALID' },
      ],
    })
  })

  test('reads standard input', async () => {
    const end = await runCommand(['audit', 'verify', '-', '--json'], {
      stdin: readFileSync(write('good.ndjson', lines), 'utf8'),
    })
    expect(end).toMatchObject({ code: 0 })
  })

  test('69 for a file that is not there, 65 for checkpoints that are none, 2 without a file', async () => {
    const path = write('good.ndjson', lines)
    expect(await verify(installation.path('missing'))).toMatchObject({ code: 69 })
    expect(await verify(path, '--checkpoints', installation.keyFile)).toMatchObject({ code: 65 })
    expect(await runCommand(['audit', 'verify'])).toMatchObject({ code: 2 })
  })
})
