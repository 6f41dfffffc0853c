import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { MasterKey } from '#custody/master-key.ts'
import { systemRandomness } from '#custody/randomness.ts'
import { newestKeyMsMax, wrapPlace } from '#custody/vault.ts'
import { openDatabase } from '#storage/database.ts'
import { openSnapshot } from '#storage/snapshot.ts'
import { insertMissing, type Row } from '#storage/table-rows.ts'
import { listTables, type Table } from '#storage/tables.ts'
import {
  allRows,
  createInstallation,
  documentOf,
  endOf,
  type Installation,
  runCommand,
  startCommand,
  writeKeyFile,
} from '#test/support/commands.ts'
import {
  createReadyTestCore,
  createTestCore,
  engines,
  platformAdmin,
  type TestCore,
} from '#test/support/core.ts'
import { sealedColumns } from './sealed-columns.ts'

const limits = { timeout: 120_000 }

function tableOf(name: string): Table {
  const table = listTables().find((candidate) => candidate.name === name)
  if (table === undefined) throw new Error(`There is no table ${name}.`)
  return table
}

/** The column of every row. */
async function column(url: string, table: string, name: string): Promise<unknown[]> {
  const index = tableOf(table).columns.findIndex((candidate) => candidate.name === name)
  const rows = (await allRows(url))[table] ?? []
  return rows.map((line) => (JSON.parse(line) as unknown[])[index])
}

/** Opens what each kind of place holds; throws when a key does not fit. */
async function useEverySecret(core: TestCore, tenantId = 'acme'): Promise<void> {
  await core.platform.ensurePlatform()
  expect(await core.settings.callbackSecretOf(tenantId)).toMatch(/^whsec_/)
  for (const id of [tenantId, '_platform']) {
    const key = await core.storage.read.signingKeys.findActive(id, 'audit')
    if (key === undefined) throw new Error('no key')
    await core.signer.signCompact(id, key, 'test', Buffer.from('{}'))
  }
}

async function useToken(core: TestCore, url: string): Promise<void> {
  const [id = ''] = await column(url, 'otp_token', 'id')
  const [sealed = ''] = await column(url, 'otp_token', 'sealed_secret')
  const place = { tenantId: 'acme', table: 'otp_token', row: String(id), column: 'sealed_secret' }
  const secret = await core.vault.open(place, Buffer.from(String(sealed), 'base64'))
  expect(Buffer.from(secret).toString()).toBe('12345678901234567890')
}

async function works(url: string, masterKey: MasterKey): Promise<void> {
  await using core = await createTestCore({ url, masterKey })
  await useEverySecret(core)
  await useToken(core, url)
}

async function isRefused(url: string, masterKey: MasterKey): Promise<void> {
  await using core = await createTestCore({ url, masterKey })
  await expect(core.platform.ensurePlatform()).rejects.toThrow('does not fit')
}

interface Change {
  readonly installation: Installation
  readonly oldKey: MasterKey
  readonly newKey: MasterKey
  run(...args: string[]): ReturnType<typeof runCommand>
  /** With the new key in the settings. */
  runAsNew(...args: string[]): ReturnType<typeof runCommand>
}

function changeOf(installation: Installation): Change {
  const newKeyFile = installation.path('new.key')
  const newKey = writeKeyFile(newKeyFile, 9)
  const oldKey = writeKeyFile(installation.keyFile, 7)
  const newEnv = { ...installation.env(), COUNTERSIGN_MASTER_KEY_FILE: newKeyFile }
  return {
    installation,
    oldKey,
    newKey,
    run: (...args) => runCommand(['rewrap', ...args], { env: installation.env() }),
    runAsNew: (...args) => runCommand(['rewrap', ...args], { env: newEnv }),
  }
}

describe.each(engines)('a change of the master key on %s', limits, (engine) => {
  test('both keys work until it is finished, then only the new one', async () => {
    await using installation = await createInstallation(engine)
    const { oldKey, newKey, run, runAsNew } = changeOf(installation)
    const { url } = installation
    {
      // A server is running all the time.
      await using server = await createReadyTestCore({ url, masterKey: oldKey })
      const end = await run('--new-key-file', installation.path('new.key'), '--json')
      expect(end).toMatchObject({ code: 0 })
      expect(documentOf(end)).toEqual({ from: oldKey.id, to: newKey.id, added: 3 })
      await useEverySecret(server)
    }
    await works(url, oldKey)
    await works(url, newKey)

    const early = await run('--finish')
    expect(early).toMatchObject({ code: 1 })
    expect(early.stderr).toContain(newKey.id)

    const end = await runAsNew('--finish', '--json')
    expect(end).toMatchObject({ code: 0 })
    expect(documentOf(end)).toEqual({ masterKeyId: newKey.id, removed: 3 })
    await works(url, newKey)
    await isRefused(url, oldKey)
    expect(await runAsNew('--finish')).toMatchObject({ code: 1 })
  })

  test('it is not finished while a tenant that was made meanwhile has only the old wrap', async () => {
    await using installation = await createInstallation(engine)
    const { oldKey, newKey, run, runAsNew } = changeOf(installation)
    const { url } = installation
    const newKeyFile = installation.path('new.key')
    await run('--new-key-file', newKeyFile)
    for (const [id, masterKey] of [
      ['late-old', oldKey],
      ['late-new', newKey],
    ] as const) {
      await using core = await createReadyTestCore({ url, masterKey })
      await core.tenants.create(platformAdmin, { id, name: id })
    }
    const refused = await runAsNew('--finish')
    expect(refused).toMatchObject({ code: 1 })
    expect(refused.stderr).toContain('late-old version 1')
    expect(await run('--new-key-file', newKeyFile, '--json')).toMatchObject({ code: 0 })
    for (const masterKey of [oldKey, newKey]) {
      await using core = await createReadyTestCore({ url, masterKey })
      await useEverySecret(core, 'late-old')
      await useEverySecret(core, 'late-new')
    }
    expect(await runAsNew('--finish')).toMatchObject({ code: 0 })
    await using core = await createReadyTestCore({ url, masterKey: newKey })
    await useEverySecret(core, 'late-old')
  })

  test('killed at any moment and repeated, it leaves every data key with both wraps', async () => {
    await using installation = await createInstallation(engine)
    const { oldKey, newKey, run, runAsNew } = changeOf(installation)
    await addTenants(installation.url, oldKey, 6_000)
    const args = ['rewrap', '--new-key-file', installation.path('new.key')]
    const wraps = async () =>
      (await column(installation.url, 'tenant_key', 'master_key_id')).filter(
        (id) => id === newKey.id,
      ).length
    const child = startCommand(args, { env: installation.env() })
    const ended = endOf(child)
    while ((await wraps()) === 0) await Promise.race([ended, sleep(10)])
    child.kill('SIGKILL')
    expect((await ended).code).toBe(null)
    expect(await wraps()).toBeLessThan(6_003)
    await works(installation.url, oldKey)
    expect(await runAsNew('--finish')).toMatchObject({ code: 1 })

    expect(await run(...args.slice(1))).toMatchObject({ code: 0 })
    expect(await wraps()).toBe(6_003)
    await works(installation.url, oldKey)
    await works(installation.url, newKey)
    expect(await runAsNew('--finish')).toMatchObject({ code: 0 })
    expect(new Set(await column(installation.url, 'tenant_key', 'master_key_id'))).toEqual(
      new Set([newKey.id]),
    )
  })

  test('a tenant that is being deleted gets no wrap, so that its secrets stay unreadable', async () => {
    await using installation = await createInstallation(engine)
    const { oldKey, newKey, run } = changeOf(installation)
    await addTenants(installation.url, oldKey, 1, 'DELETED')
    await run('--new-key-file', installation.path('new.key'))
    const tenants = await column(installation.url, 'tenant_key', 'tenant_id')
    const keys = await column(installation.url, 'tenant_key', 'master_key_id')
    const ofDeleted = keys.filter((_, index) => tenants[index] === 'bulk-0')
    expect(ofDeleted).toEqual([oldKey.id])
    expect(keys).toContain(newKey.id)
  })
})

async function addTenants(
  url: string,
  masterKey: MasterKey,
  count: number,
  status = 'ACTIVE',
): Promise<void> {
  const database = openDatabase(url)
  for (let start = 0; start < count; start += 500) {
    const ids = Array.from({ length: Math.min(500, count - start) }, (_, index) => start + index)
    const tenants = ids.map(
      (index): Row => ({
        tenant_id: `bulk-${index}`,
        folded_id: `bulk-${index}`,
        number: 1_000 + index,
        name: 'bulk',
        status,
        settings: '{}',
        settings_version: 1,
        settings_updated_at: 1,
        created_at: 1,
        updated_at: 1,
      }),
    )
    const keys = ids.map(
      (index): Row => ({
        tenant_id: `bulk-${index}`,
        version: 1,
        master_key_id: masterKey.id,
        wrapped: masterKey.wrap(
          systemRandomness(32),
          wrapPlace(`bulk-${index}`, 1),
          systemRandomness,
        ),
        created_at: 1,
      }),
    )
    await database.transaction(async (queries) => {
      await insertMissing(queries, tableOf('tenant'), tenants)
      await insertMissing(queries, tableOf('tenant_key'), keys)
    })
  }
  await database.close()
}

describe.each(engines)('new data keys on %s', limits, (engine) => {
  const rotate = ['--data-keys', '--settle-seconds', '0']

  async function versions(url: string): Promise<number[]> {
    const found = await column(url, 'tenant_key', 'version')
    return found.map(Number).sort((one, other) => one - other)
  }

  /** The key versions of everything that is sealed in a column. */
  async function sealedWith(url: string, columns = sealedColumns): Promise<Set<number>> {
    const found = new Set<number>()
    for (const { table, column: name } of columns) {
      for (const value of await column(url, table, name)) {
        if (value !== null) found.add(Buffer.from(String(value), 'base64').readUInt32BE(1))
      }
    }
    return found
  }

  test('everything is sealed again, the old keys are gone, and a running server goes on', async () => {
    await using installation = await createInstallation(engine)
    const { url } = installation
    const { oldKey, run } = changeOf(installation)
    await using server = await createReadyTestCore({ url, masterKey: oldKey })
    await useEverySecret(server)
    const before = await column(url, 'otp_token', 'sealed_secret')

    const end = await run(...rotate, '--json')
    expect(end).toMatchObject({ code: 0 })
    expect(documentOf(end)).toMatchObject({ tenants: 3 })
    expect(await versions(url)).toEqual([2, 2, 2])
    expect(await sealedWith(url)).toEqual(new Set([2]))
    expect(await column(url, 'otp_token', 'sealed_secret')).not.toEqual(before)
    await useEverySecret(server)
    await useToken(server, url)
    const names = await column(url, 'platform_value', 'name')
    expect(names).not.toContain('data-key-rotation')
  })

  test('of one tenant, and of none that does not exist', async () => {
    await using installation = await createInstallation(engine)
    const { oldKey, run } = changeOf(installation)
    const { url } = installation
    expect(await run(...rotate, '--tenant', 'acme')).toMatchObject({ code: 0 })
    expect(await versions(url)).toEqual([1, 1, 2])
    expect(await run(...rotate, '--tenant', 'nobody')).toMatchObject({ code: 1 })
    await works(url, oldKey)
  })

  test('killed at any moment and repeated, no secret is lost', async () => {
    await using installation = await createInstallation(engine)
    const { oldKey, run } = changeOf(installation)
    const { url } = installation
    const count = 6_000
    await addTokens(url, oldKey, count)
    const args = ['rewrap', ...rotate, '--tenant', 'acme']
    const child = startCommand(args, { env: installation.env() })
    const ended = endOf(child)
    // One column: looking must be faster than what is looked at.
    const tokens = sealedColumns.filter(({ table }) => table === 'otp_token')
    while ((await sealedWith(url, tokens)).size < 2) await Promise.race([ended, sleep(10)])
    child.kill('SIGKILL')
    expect((await ended).code).toBe(null)
    expect(await versions(url)).toEqual([1, 1, 1, 2])
    await works(url, oldKey)

    expect(await run(...args.slice(1))).toMatchObject({ code: 0 })
    expect(await versions(url)).toEqual([1, 1, 2])
    await using core = await createReadyTestCore({ url, masterKey: oldKey })
    const ids = await column(url, 'otp_token', 'id')
    const secrets = await column(url, 'otp_token', 'sealed_secret')
    expect(ids.length).toBe(count + 1)
    for (const [index, id] of ids.entries()) {
      const sealed = Buffer.from(String(secrets[index]), 'base64')
      const place = {
        tenantId: 'acme',
        table: 'otp_token',
        row: String(id),
        column: 'sealed_secret',
      }
      const secret = Buffer.from(await core.vault.open(place, sealed)).toString()
      expect(secret).toBe(
        String(id).startsWith('bulk') ? `secret of ${id}` : '12345678901234567890',
      )
    }
  })

  test('1 while the master key is being changed', async () => {
    await using installation = await createInstallation(engine)
    const { run } = changeOf(installation)
    await run('--new-key-file', installation.path('new.key'))
    expect(await run(...rotate)).toMatchObject({ code: 1 })
  })
})

async function addTokens(url: string, masterKey: MasterKey, count: number): Promise<void> {
  await using core = await createReadyTestCore({ url, masterKey })
  const [template] = (await readRows(url, 'otp_token')) ?? []
  if (template === undefined) throw new Error('no token')
  for (let start = 0; start < count; start += 500) {
    const rows: Row[] = []
    for (let index = start; index < start + 500; index++) {
      const id = `bulk-${String(index).padStart(6, '0')}`
      const place = { tenantId: 'acme', table: 'otp_token', row: id, column: 'sealed_secret' }
      const sealed = await core.vault.seal(place, Buffer.from(`secret of ${id}`))
      rows.push({ ...template, id, serial: id, identifier: id, sealed_secret: sealed })
    }
    await core.test.database.transaction((queries) =>
      insertMissing(queries, tableOf('otp_token'), rows),
    )
  }
}

async function readRows(url: string, name: string): Promise<Row[]> {
  const { rowsOf } = await import('#storage/table-rows.ts')
  await using snapshot = await openSnapshot(url)
  const rows: Row[] = []
  for await (const page of rowsOf(snapshot.queries, tableOf(name))) rows.push(...page)
  return rows
}

describe('rewrap', limits, () => {
  afterEach(() => vi.useRealTimers())

  test('the list of sealed columns is whole', () => {
    const sealed = listTables().flatMap(({ name, columns, key }) =>
      columns
        .filter((candidate) => candidate.name.startsWith('sealed_'))
        .map((candidate) => ({ table: name, row: key[1], column: candidate.name })),
    )
    const known = sealedColumns.map(({ table, row, column: name }) => ({
      table,
      row,
      column: name,
    }))
    expect(known).toHaveLength(sealed.length)
    expect(known).toEqual(expect.arrayContaining(sealed))
  })

  test('a server that knows an old data key seals with the new one soon', async () => {
    await using core = await createReadyTestCore()
    await core.tenants.create(platformAdmin, { id: 'acme', name: 'acme' })
    const place = { tenantId: 'acme', table: 'otp_token', row: 'x', column: 'sealed_secret' }
    const versionNow = async () =>
      core.vault.keyVersion(await core.vault.seal(place, Buffer.from('x')))
    expect(await versionNow()).toBe(1)
    await core.storage.transaction(({ tenantKeys }) =>
      tenantKeys.insert('acme', core.vault.createWrappedKey('acme', 2), 1),
    )
    expect(await versionNow()).toBe(1)
    const nowMs = performance.now()
    vi.useFakeTimers({ toFake: ['performance'], now: Date.now() })
    vi.setSystemTime(Date.now() + nowMs)
    vi.advanceTimersByTime(nowMs + newestKeyMsMax + 1)
    expect(await versionNow()).toBe(2)
  })

  test('2 for options that do not belong together, 78 for a file without a key', async () => {
    await using installation = await createInstallation('sqlite')
    const { run } = changeOf(installation)
    expect(await run()).toMatchObject({ code: 2 })
    expect(await run('--finish', '--data-keys')).toMatchObject({ code: 2 })
    expect(await run('--finish', '--tenant', 'acme')).toMatchObject({ code: 2 })
    expect(await run('--data-keys', '--settle-seconds', '-1')).toMatchObject({ code: 2 })
    expect(await run('--new-key-file', installation.keyFile)).toMatchObject({ code: 2 })
    expect(await run('--new-key-file', installation.url.slice(7))).toMatchObject({ code: 78 })
    expect(await run('--new-key-file', installation.path('none'))).toMatchObject({ code: 69 })
  })
})
