import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openDatabase } from '#storage/database.ts'
import { openSnapshot } from '#storage/snapshot.ts'
import { countRows, insertMissing, type Row } from '#storage/table-rows.ts'
import { listTables, type Table } from '#storage/tables.ts'
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

const manyRows = 30_000

function userTable(): Table {
  const table = listTables().find(({ name }) => name === 'app_user')
  if (table === undefined) throw new Error('no table')
  return table
}

async function countUsers(url: string): Promise<number> {
  await using snapshot = await openSnapshot(url)
  return await countRows(snapshot.queries, userTable())
}

/** Enough to be interrupted in the middle. */
async function addUsers(url: string): Promise<void> {
  const table = userTable()
  const database = openDatabase(url)
  for (let start = 0; start < manyRows; start += 500) {
    const rows = Array.from({ length: 500 }, (_, index): Row => {
      const id = `u${start + index}`
      const empty = Object.fromEntries(table.columns.map(({ name }) => [name, null]))
      return {
        ...empty,
        tenant_id: 'acme',
        id,
        ulid: id,
        domain: 'default',
        login_name: id,
        folded_login: id,
        status: 'ACTIVE',
        created_at: 1,
        updated_at: Number.MAX_SAFE_INTEGER,
      }
    })
    await database.transaction((queries) => insertMissing(queries, table, rows))
  }
  await database.close()
}

async function refusesToStart(url: string): Promise<void> {
  await using core = await createTestCore({ url })
  await expect(core.platform.ensurePlatform()).rejects.toThrow('master key does not fit')
}

describe.each([
  ['sqlite', 'postgres'],
  ['postgres', 'sqlite'],
  ['sqlite', 'sqlite'],
] as const)('copy from %s to %s', (from, to) => {
  let installation: Installation
  beforeAll(async () => {
    installation = await createInstallation(from)
  })
  afterAll(() => installation[Symbol.asyncDispose]())

  test('0, every row is the same, and a server starts on the copy with the same key', async () => {
    const target = await installation.emptyDatabase(to)
    const end = await runCommand(['copy', '--from', installation.url, '--to', target, '--json'], {
      env: installation.env(),
    })
    expect(end).toMatchObject({ code: 0 })
    const source = await allRows(installation.url)
    expect(await allRows(target)).toEqual(source)
    expect(documentOf(end)).toMatchObject({ rows: Object.values(source).flat().length, chains: 3 })
    await using _core = await createReadyTestCore({ url: target })
  })

  test('65 for a target that has rows of its own, and nothing is changed', async () => {
    await using other = await createInstallation(to)
    const before = await allRows(other.url)
    const end = await runCommand(['copy', '--from', installation.url, '--to', other.url], {
      env: installation.env(),
    })
    expect(end).toMatchObject({ code: 65, stdout: '' })
    expect(end.stderr).toContain('is not empty')
    expect(await allRows(other.url)).toEqual(before)
  })
})

describe.each(engines)('an interrupted copy to %s', { timeout: 120_000 }, (to) => {
  let installation: Installation
  beforeAll(async () => {
    installation = await createInstallation('sqlite')
    await addUsers(installation.url)
  })
  afterAll(() => installation[Symbol.asyncDispose]())

  /** Starts a copy and lets it run until it has copied some users. */
  async function startUntilHalfway(source: Installation, args: string[], target: string) {
    const child = startCommand(args, { env: source.env() })
    const ended = endOf(child)
    while ((await countUsers(target).catch(() => 0)) === 0) {
      const end = await Promise.race([ended, sleep(20)])
      if (end !== undefined) throw new Error(`The copy ended by itself: ${end.stderr}`)
    }
    return { child, ended }
  }

  test.each(['SIGKILL', 'SIGINT'] as const)(
    'after %s no server starts on it, and the same command finishes it',
    async (signal) => {
      const target = await installation.emptyDatabase(to)
      const args = ['copy', '--from', installation.url, '--to', target]
      const { child, ended } = await startUntilHalfway(installation, args, target)
      child.kill(signal)
      const { code } = await ended
      expect(code).toBe(signal === 'SIGINT' ? 130 : null)
      expect(await countUsers(target)).toBeLessThan(manyRows)
      await refusesToStart(target)

      const again = await runCommand(args, { env: installation.env() })
      expect(again).toMatchObject({ code: 0 })
      expect(again.stderr).toContain('Going on with a copy that was interrupted')
      expect(await allRows(target)).toEqual(await allRows(installation.url))
      await using _core = await createReadyTestCore({ url: target })
    },
  )

  test('is refused for another source, and when the source was changed in between', async () => {
    await using changing = await createInstallation('sqlite')
    await addUsers(changing.url)
    const target = await installation.emptyDatabase(to)
    const args = ['copy', '--from', changing.url, '--to', target]
    const { child, ended } = await startUntilHalfway(changing, args, target)
    child.kill('SIGKILL')
    await ended

    const other = await runCommand(['copy', '--from', installation.url, '--to', target], {
      env: installation.env(),
    })
    expect(other).toMatchObject({ code: 65 })
    expect(other.stderr).toContain('is not empty')

    {
      await using core = await createReadyTestCore({ url: changing.url })
      await core.tenants.update(platformAdmin, 'acme', { name: 'renamed' })
    }
    const changed = await runCommand(args, { env: changing.env() })
    expect(changed).toMatchObject({ code: 65 })
    expect(changed.stderr).toContain('differs in tenant')
    await refusesToStart(target)
  })
})

describe('copy', () => {
  let installation: Installation
  beforeAll(async () => {
    installation = await createInstallation('sqlite')
  })
  afterAll(() => installation[Symbol.asyncDispose]())

  test('69 while a server has the source open', async () => {
    const held = openDatabase(installation.url)
    const target = await installation.emptyDatabase('sqlite')
    const args = ['copy', '--from', installation.url, '--to', target]
    const end = await runCommand(args, { env: installation.env() })
    await held.close()
    expect(end).toMatchObject({ code: 69 })
    expect(end.stderr).toContain('Another server has the database')
  })

  test('69 while a server is connected to a PostgreSQL source', async () => {
    await using source = await createInstallation('postgres')
    const held = openDatabase(source.url)
    await held.check()
    const target = await installation.emptyDatabase('sqlite')
    const args = ['copy', '--from', source.url, '--to', target]
    const end = await runCommand(args, { env: source.env() })
    await held.close()
    expect(end).toMatchObject({ code: 69 })
    expect(end.stderr).toContain('stop the servers first')
  })

  test('69 for a source that does not exist, and no file is made', async () => {
    const url = await installation.emptyDatabase('sqlite')
    const target = await installation.emptyDatabase('sqlite')
    const args = ['copy', '--from', url, '--to', target]
    expect(await runCommand(args, { env: installation.env() })).toMatchObject({ code: 69 })
    expect(await runCommand(args, { env: installation.env() })).toMatchObject({ code: 69 })
  })

  test('78 with another master key, and the target stays empty', async () => {
    const target = await installation.emptyDatabase('sqlite')
    const env = {
      COUNTERSIGN_DATABASE_URL: installation.url,
      COUNTERSIGN_MASTER_KEY: Buffer.alloc(32, 8).toString('base64'),
    }
    const end = await runCommand(['copy', '--to', target], { env })
    expect(end).toMatchObject({ code: 78 })
    expect(await runCommand(['copy', '--to', target], { env: installation.env() })).toMatchObject({
      code: 0,
    })
  })

  test('2 for something that is no database, and a password on the command line is not repeated', async () => {
    const end = await runCommand(['copy', '--to', 'mysql://root:hunter2@db/x', '--json'], {
      env: installation.env(),
    })
    expect(end).toMatchObject({ code: 2 })
    expect(documentOf(end)).toMatchObject({ error: { exitCode: 2 } })
    expect(end.stdout + end.stderr).not.toContain('hunter2')
  })
})
