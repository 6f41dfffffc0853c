import { createDecipheriv, createHash, hkdfSync } from 'node:crypto'
import { copyFileSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openDatabase } from '#storage/database.ts'
import {
  allRows,
  createInstallation,
  documentOf,
  endOf,
  type Installation,
  runCommand,
  startCommand,
} from '#test/support/commands.ts'
import { createReadyTestCore, createTestCore, engines, platformAdmin } from '#test/support/core.ts'
import { CommandError } from '../failure.ts'
import { readMasterKeyFile } from '../settings.ts'
import { chunkBytesMax, flagBytes, lengthBytes, magic, tagBytes } from './format.ts'
import { BackupFile, verifyBackup } from './read-backup.ts'

const other = { sqlite: 'postgres', postgres: 'sqlite' } as const
const longText = 'x'.repeat(900)

/** A backup of several chunks: rows enough to fill more than three. */
async function createLongInstallation(): Promise<Installation> {
  return createInstallation('sqlite', async ({ core }) => {
    await core.storage.transaction(async ({ platformValues }) => {
      for (let index = 0; index < 300; index++) {
        await platformValues.insert({ tenantId: 'acme', name: `note-${index}` }, longText)
      }
    })
  })
}

async function backUp(installation: Installation, name: string): Promise<string> {
  const file = installation.path(name)
  const end = await runCommand(['backup', '--to', file], { env: installation.env() })
  expect(end).toMatchObject({ code: 0 })
  return file
}

describe.each(engines)('a backup of %s', (engine) => {
  let installation: Installation
  let file: string
  beforeAll(async () => {
    installation = await createInstallation(engine)
    file = await backUp(installation, 'first.backup')
  })
  afterAll(() => installation[Symbol.asyncDispose]())

  test.each([engine, other[engine]])(
    'R13: restored into %s, every row is what it was, and a server starts',
    async (target) => {
      const before = await allRows(installation.url)
      const url = await installation.emptyDatabase(target)
      const end = await runCommand(['restore', '--from', file, '--into', url, '--json'], {
        env: installation.env(url),
      })
      expect(end).toMatchObject({ code: 0 })
      expect(await allRows(url)).toEqual(before)
      await using core = await createReadyTestCore({ url })
      expect(await core.settings.callbackSecretOf('acme')).toMatch(/^whsec_/)
    },
  )

  test('R13: it says which one it is: moment, tenants, and where their journals end', async () => {
    const end = await runCommand(['backup', 'verify', file, '--json'], { env: installation.env() })
    expect(end).toMatchObject({ code: 0 })
    const rows = await allRows(installation.url)
    const heads = Map.groupBy(rows.journal_record ?? [], (line) => JSON.parse(line)[0] as string)
    const chains = [...heads].map(([tenantId, lines]) => {
      const last = JSON.parse(lines.at(-1) ?? '[]') as unknown[]
      return { tenantId, seq: last[1], hash: last.at(-1) }
    })
    expect(documentOf(end)).toMatchObject({
      valid: true,
      engine,
      tenants: [
        { id: 'acme', name: 'Acme Bank', number: 1, status: 'ACTIVE' },
        { id: 'other', number: 2, status: 'ACTIVE' },
      ],
      chains,
    })
  })

  test('it is encrypted, and readable by its owner only', async () => {
    const bytes = readFileSync(file)
    expect(bytes.includes('Acme Bank')).toBe(false)
    expect(bytes.includes('otp_token')).toBe(false)
    expect(statSync(file).mode & 0o777).toBe(0o600)
  })

  test('65 when the target is not empty, and nothing is changed', async () => {
    const before = await allRows(installation.url)
    const end = await runCommand(['restore', '--from', file, '--into', installation.url], {
      env: installation.env(),
    })
    expect(end).toMatchObject({ code: 65 })
    expect(await allRows(installation.url)).toEqual(before)
  })

  test('it is made while a server works, and shows one moment', async () => {
    await using core = await createTestCore({ url: installation.url })
    let isDone = false
    const writing = (async () => {
      // A tenant and its rows are one transaction: a backup has all of them or none.
      for (let index = 0; !isDone; index++) {
        await core.tenants.create(platformAdmin, { id: `busy-${engine}-${index}`, name: 'busy' })
      }
    })()
    const busy = await backUp(installation, 'busy.backup')
    isDone = true
    await writing
    const url = await installation.emptyDatabase('sqlite')
    const end = await runCommand(['restore', '--from', busy, '--into', url], {
      env: installation.env(url),
    })
    expect(end).toMatchObject({ code: 0 })
    const rows = await allRows(url)
    const tenantsOf = (table: string) =>
      new Set((rows[table] ?? []).map((line) => (JSON.parse(line) as string[])[0]))
    const tenants = tenantsOf('tenant')
    expect(tenantsOf('user_domain')).toEqual(tenants)
    expect(tenantsOf('token_repository')).toEqual(tenants)
    tenants.add('_platform')
    expect(tenantsOf('tenant_key')).toEqual(tenants)
  })
})

describe('a backup that is not what it was', () => {
  let installation: Installation
  let file: string
  let bytes: Buffer
  /** Where its chunks begin and how long they are. */
  let chunks: { start: number; length: number }[]

  beforeAll(async () => {
    installation = await createLongInstallation()
    file = await backUp(installation, 'good.backup')
    bytes = readFileSync(file)
    chunks = []
    let start = magic.length + lengthBytes + bytes.readUInt32BE(magic.length)
    while (start < bytes.length) {
      const length = flagBytes + lengthBytes + bytes.readUInt32BE(start + flagBytes)
      chunks.push({ start, length })
      start += length
    }
  })
  afterAll(() => installation[Symbol.asyncDispose]())

  const verify = (path: string) =>
    runCommand(['backup', 'verify', path], { env: installation.env() })

  async function read(changed: Buffer): Promise<void> {
    const path = installation.path('changed.backup')
    writeFileSync(path, changed)
    await using backup = await BackupFile.open(path, readMasterKeyFile(installation.keyFile))
    const progress = { add: () => {}, [Symbol.dispose]: () => {} }
    await verifyBackup(backup, { progress, signal: new AbortController().signal })
  }

  async function expectRefused(changed: Buffer, words: string): Promise<void> {
    const refused = { exitCode: 65, message: expect.stringContaining(words) }
    await expect(read(changed)).rejects.toMatchObject(refused)
  }

  const chunkBytes = (index: number) => {
    const { start, length } = chunks[index] ?? { start: 0, length: 0 }
    return bytes.subarray(start, start + length)
  }

  const withChunks = (order: number[]) =>
    Buffer.concat([bytes.subarray(0, chunks[0]?.start), ...order.map(chunkBytes)])

  test('has several full pieces', () => {
    expect(chunks.length).toBeGreaterThan(3)
    expect(chunks[0]?.length).toBe(flagBytes + lengthBytes + chunkBytesMax + tagBytes)
  })

  test('can be read by its description in docs/operations.md alone', () => {
    const headerEnd = 19 + 4 + bytes.readUInt32BE(19)
    const header = JSON.parse(bytes.toString('utf8', 23, headerEnd)) as Record<string, string>
    const open = (key: Uint8Array, nonce: Uint8Array, sealed: Buffer, bound: Uint8Array) => {
      const decipher = createDecipheriv('aes-256-gcm', key, nonce)
      decipher.setAAD(bound)
      decipher.setAuthTag(sealed.subarray(-16))
      return Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()])
    }
    const wrapped = Buffer.from(header.wrappedKey ?? '', 'base64')
    const secret = open(
      Buffer.alloc(32, 7),
      wrapped.subarray(0, 12),
      wrapped.subarray(12),
      Buffer.from(`countersign-wrap-v1\nbackup\n${header.id}`),
    )
    const salt = createHash('sha256').update(bytes.subarray(0, headerEnd)).digest()
    const key = new Uint8Array(hkdfSync('sha256', secret, salt, 'countersign backup v1', 32))
    const pieces: Buffer[] = []
    for (let at = headerEnd, index = 0; at < bytes.length; index++) {
      const end = at + 5 + bytes.readUInt32BE(at + 1)
      const nonce = Buffer.alloc(12)
      nonce.writeUInt32BE(index, 8)
      const bound = Buffer.concat([nonce.subarray(4), bytes.subarray(at, at + 1)])
      pieces.push(open(key, nonce, bytes.subarray(at + 5, end), bound))
      at = end
    }
    const lines = Buffer.concat(pieces).toString('utf8').split('\n')
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      table: 'platform_value',
      columns: ['tenant_id', 'name', 'value'],
    })
    expect(lines).toContain(JSON.stringify(['acme', 'note-299', longText]))
    expect(lines.at(-1)).toBe('')
    const { manifest = '' } = JSON.parse(lines.at(-2) ?? '') as { manifest?: string }
    const text = Buffer.from(manifest.split('.')[1] ?? '', 'base64url').toString('utf8')
    const said = JSON.parse(text) as { id: string; tables: { name: string; sha256: string }[] }
    expect(said.id).toBe(header.id)
    const start = lines.findIndex((line) => line.startsWith('{"table":"tenant"')) + 1
    const rows = lines.slice(start, start + 2).map((line) => `${line}\n`)
    expect(said.tables.find(({ name }) => name === 'tenant')?.sha256).toBe(
      createHash('sha256').update(rows.join('')).digest('hex'),
    )
  })

  test('65: pieces swapped, repeated or left out', async () => {
    const all = chunks.map((_, index) => index)
    await expectRefused(withChunks([1, 0, ...all.slice(2)]), 'out of order')
    await expectRefused(withChunks([0, ...all]), 'out of order')
    await expectRefused(withChunks([0, ...all.slice(2)]), 'out of order')
  })

  test('65: cut off at a piece, inside a piece, or a piece marked as the last', async () => {
    await expectRefused(withChunks([0, 1]), 'cut off')
    await expectRefused(bytes.subarray(0, -1), 'cut off')
    const shortened = Buffer.from(withChunks([0, 1]))
    shortened.writeUInt8(1, chunks[1]?.start ?? 0)
    await expectRefused(shortened, 'damaged at byte')
  })

  test('65: bytes behind its end', async () => {
    await expectRefused(Buffer.concat([bytes, Buffer.from([0])]), 'behind its end')
    await expectRefused(Buffer.concat([bytes, chunkBytes(0)]), 'behind its end')
  })

  test('65 or 78: any bit flipped anywhere', async () => {
    await read(bytes)
    const places = Array.from({ length: 40 }, (_, index) => index * 11)
    for (const { start, length } of chunks)
      places.push(start, start + 4, start + 5, start + length - 1)
    for (const place of places) {
      const flipped = Buffer.from(bytes)
      flipped.writeUInt8(flipped.readUInt8(place) ^ 0x10, place)
      const failure: unknown = await read(flipped).catch((error: unknown) => error)
      expect(failure, `byte ${place}`).toBeInstanceOf(CommandError)
      expect([65, 78]).toContain((failure as CommandError).exitCode)
    }
  })

  test('65: its header says another moment', async () => {
    const text = bytes.toString('latin1')
    const at = text.indexOf('"createdAt":"') + '"createdAt":"'.length
    const changed = Buffer.from(bytes)
    changed.write('2020', at, 'latin1')
    await expectRefused(changed, 'damaged at byte')
  })

  test('restore refuses it before it writes anything', async () => {
    const path = installation.path('cut.backup')
    writeFileSync(path, bytes.subarray(0, bytes.length - 100))
    const url = await installation.emptyDatabase('sqlite')
    const end = await runCommand(['restore', '--from', path, '--into', url], {
      env: installation.env(),
    })
    expect(end).toMatchObject({ code: 65 })
    expect(existsSync(url.slice('sqlite:'.length))).toBe(false)
  })

  test('78 at once with another master key, named by its id and not shown', async () => {
    const key = Buffer.alloc(32, 9).toString('base64')
    const env = { COUNTERSIGN_DATABASE_URL: installation.url, COUNTERSIGN_MASTER_KEY: key }
    const end = await runCommand(['backup', 'verify', file, '--json'], { env })
    expect(end).toMatchObject({ code: 78 })
    expect(end.stdout).toMatch(/made with the master key [0-9a-f]{16}; the one that is configured/)
    expect(end.stdout).not.toContain(key)
  })

  test('65 when it was signed by a key that is not among the given ones', async () => {
    await using stranger = await createInstallation('sqlite')
    const foreign = installation.path('foreign.jwks')
    const own = installation.path('own.jwks')
    writeFileSync(foreign, JSON.stringify({ keys: await platformKeys(stranger) }))
    writeFileSync(own, JSON.stringify({ keys: await platformKeys(installation) }))
    const args = ['backup', 'verify', file, '--jwks']
    const env = installation.env()
    expect(await runCommand([...args, foreign], { env })).toMatchObject({ code: 65 })
    expect(await runCommand([...args, own], { env })).toMatchObject({ code: 0 })
  })

  test('65 and 69: a damaged file, one that is no backup at all, and none', async () => {
    writeFileSync(installation.path('cut.backup'), bytes.subarray(0, -1))
    expect(await verify(installation.path('cut.backup'))).toMatchObject({ code: 65, stdout: '' })
    copyFileSync(installation.keyFile, installation.path('no.backup'))
    expect(await verify(installation.path('no.backup'))).toMatchObject({ code: 65 })
    expect(await verify(installation.path('missing.backup'))).toMatchObject({ code: 69 })
  })

  async function platformKeys({ url }: Installation): Promise<object[]> {
    const rows = await allRows(url)
    return (rows.signing_key ?? [])
      .map((line) => JSON.parse(line) as string[])
      .filter(([tenantId, , purpose]) => tenantId === '_platform' && purpose === 'audit')
      .map(([, , , jwk = '']) => JSON.parse(jwk) as object)
  }
})

describe('interrupted', () => {
  let installation: Installation
  beforeAll(async () => {
    installation = await createLongInstallation()
  })
  afterAll(() => installation[Symbol.asyncDispose]())

  test('a restore goes on where it was killed', async () => {
    const file = await backUp(installation, 'long.backup')
    const url = await installation.emptyDatabase('sqlite')
    const args = ['restore', '--from', file, '--into', url]
    const child = startCommand(args, { env: installation.env() })
    const ended = endOf(child)
    while (!(await allRows(url).catch(() => undefined))) await sleep(5)
    child.kill('SIGKILL')
    const { code } = await ended
    const again = await runCommand(args, { env: installation.env() })
    if (code === null) expect(again).toMatchObject({ code: 0 })
    expect(await allRows(url)).toEqual(await allRows(installation.url))
  })

  test('2 for a file that exists; it is left as it was', async () => {
    const path = installation.path('precious')
    writeFileSync(path, 'precious')
    const end = await runCommand(['backup', '--to', path], { env: installation.env() })
    expect(end).toMatchObject({ code: 2 })
    expect(readFileSync(path, 'utf8')).toBe('precious')
  })

  test('65 for a database that no server has used', async () => {
    const url = await installation.emptyDatabase('sqlite')
    const database = openDatabase(url)
    await database.migrate()
    await database.close()
    const path = installation.path('empty.backup')
    const end = await runCommand(['backup', '--to', path], { env: installation.env(url) })
    expect(end).toMatchObject({ code: 65 })
    expect(existsSync(path)).toBe(false)
  })
})
