import { existsSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Queries } from '#storage/queries.ts'
import { openSnapshot, requireCurrentSchema } from '#storage/snapshot.ts'
import { countRows } from '#storage/table-rows.ts'
import { listTables } from '#storage/tables.ts'
import { readJwks } from '../checkpoints-file.ts'
import { CommandError, exitCodes } from '../failure.ts'
import { getMasterKeyCheck, requireRightMasterKey } from '../installation.ts'
import { configuredDatabase, readSettings, requireMasterKey } from '../settings.ts'
import type { Terminal } from '../terminal.ts'
import { describeBackup } from './description.ts'
import { BackupFile, verifyBackup } from './read-backup.ts'
import { type WrittenBackup, writeBackup } from './write-backup.ts'

export interface BackupOptions {
  readonly to?: string
}

export interface BackupVerifyOptions {
  readonly jwks?: string
}

const fileMode = 0o600

/** Writes a backup of the configured database. Servers may go on working; it shows the moment at which it began. */
export async function backup(terminal: Terminal, { to }: BackupOptions): Promise<void> {
  if (to === undefined) throw new CommandError(exitCodes.usage, '--to says where the backup goes.')
  if (existsSync(to)) throw new CommandError(exitCodes.usage, `${to} exists already.`)
  const settings = readSettings()
  const masterKey = requireMasterKey(settings)
  const source = configuredDatabase(settings)
  await using snapshot = await openSnapshot(source.url)
  requireCurrentSchema(snapshot)
  const check = await getMasterKeyCheck(snapshot.queries, source.name)
  await requireRightMasterKey(snapshot.queries, masterKey, check)

  using progress = terminal.progress('backing up', await countAll(snapshot.queries))
  const { header, contents, chainFaults } = await writeFile(to, (handle) =>
    writeBackup(handle, snapshot, { masterKey, signal: terminal.signal, progress }),
  )
  for (const fault of chainFaults) terminal.note(`warning: a chain is broken: ${fault}`)
  const { document, lines } = describeBackup({ header, ...contents })
  terminal.result({ file: to, ...document }, [`Written to ${to}.`, ...lines])
}

/** Reads a backup to its end; says what it is, or why it cannot be trusted. */
export async function backupVerify(
  terminal: Terminal,
  path: string,
  { jwks }: BackupVerifyOptions,
): Promise<void> {
  const masterKey = requireMasterKey(readSettings())
  await using file = await BackupFile.open(path, masterKey)
  using progress = terminal.progress('verifying', file.bytes)
  const { manifest, kid, chainFaults } = await verifyBackup(file, {
    trustedKeys: jwks === undefined ? undefined : readJwks(jwks),
    progress,
    signal: terminal.signal,
  })
  for (const fault of chainFaults) {
    terminal.note(`warning: a chain was broken when the backup was made: ${fault}`)
  }
  const { document, lines } = describeBackup({ header: file.header, ...manifest })
  terminal.result({ file: path, valid: true, kid, ...document }, [
    `${path} is whole, signed by ${kid}${jwks === undefined ? ', a key that it holds itself' : ''}.`,
    ...lines,
  ])
}

/** The file has its name once it is whole and on disk. */
async function writeFile(
  path: string,
  write: (handle: Awaited<ReturnType<typeof open>>) => Promise<WrittenBackup>,
): Promise<WrittenBackup> {
  const draft = `${path}.partial`
  const handle = await open(draft, 'w', fileMode)
  try {
    await handle.chmod(fileMode)
    const written = await write(handle)
    await handle.sync()
    await handle.close()
    await rename(draft, path)
    await syncFolder(dirname(path))
    return written
  } catch (error) {
    await handle.close().catch(() => {})
    await rm(draft, { force: true })
    throw error
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  await folder.sync().finally(() => folder.close())
}

async function countAll(queries: Queries): Promise<number> {
  let count = 0
  for (const table of listTables()) count += await countRows(queries, table)
  return count
}
