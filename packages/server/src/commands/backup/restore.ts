import { batchRowsOf, type Row } from '#storage/table-rows.ts'
import type { Table } from '#storage/tables.ts'
import { readJwks } from '../checkpoints-file.ts'
import { CommandError, exitCodes } from '../failure.ts'
import { IncomingDatabase } from '../incoming-database.ts'
import { ChainInspector, differingTables, requireWholeChains } from '../inspection.ts'
import { requireRightMasterKey } from '../installation.ts'
import { readDatabaseReference, readSettings, requireMasterKey } from '../settings.ts'
import type { Terminal } from '../terminal.ts'
import { describeBackup } from './description.ts'
import { damaged } from './format.ts'
import type { Manifest } from './manifest.ts'
import { BackupFile, verifyBackup } from './read-backup.ts'

export interface RestoreOptions {
  readonly from: string
  readonly into: string
  readonly jwks?: string
}

/**
 * Checks a backup to its end, says which one it is, writes it into an empty database of either engine and compares the
 * result with the signed manifest. May be interrupted at any moment and run again.
 */
export async function restore(terminal: Terminal, options: RestoreOptions): Promise<void> {
  const masterKey = requireMasterKey(readSettings())
  const target = readDatabaseReference(options.into, '--into', terminal)
  await using file = await BackupFile.open(options.from, masterKey)
  const { signal } = terminal
  const { manifest, kid } = await verifyFirst(terminal, file, options)
  const { document, lines } = describeBackup({ header: file.header, ...manifest })
  for (const line of lines) terminal.note(line)

  await using incoming = await IncomingDatabase.open(target, `restore:${manifest.id}`)
  if (incoming.isResumed) terminal.note('Going on with a restore that was interrupted.')
  const check = await fill(terminal, file, incoming)
  const chains = new ChainInspector()
  await compare(terminal, incoming, { manifest, check, chains, signal })
  await requireRightMasterKey(incoming.reader, masterKey, check)
  await incoming.finish(check)

  terminal.result({ file: options.from, into: target.name, kid, ...document }, [
    `Restored backup ${manifest.id} of ${manifest.createdAt} into ${target.name} and compared it with its manifest.`,
    'It does not know what was accepted after that moment: codes of that time could be accepted again.',
  ])
  requireWholeChains(chains)
}

async function verifyFirst(
  terminal: Terminal,
  file: BackupFile,
  { jwks }: RestoreOptions,
): ReturnType<typeof verifyBackup> {
  using progress = terminal.progress('verifying', file.bytes)
  const trustedKeys = jwks === undefined ? undefined : readJwks(jwks)
  return await verifyBackup(file, { trustedKeys, progress, signal: terminal.signal })
}

/** @returns the check value that will take the place of the mark. */
async function fill(
  terminal: Terminal,
  file: BackupFile,
  incoming: IncomingDatabase,
): Promise<string> {
  using progress = terminal.progress('restoring', file.bytes)
  let check: string | undefined
  let table: Table | undefined
  let rows: Row[] = []
  const write = async (): Promise<void> => {
    if (table !== undefined && rows.length > 0) await incoming.insert(table, rows)
    rows = []
  }
  for await (const entry of file.entries(progress, terminal.signal)) {
    if ('manifestJws' in entry) continue
    if (entry.table !== table || rows.length >= batchRowsOf(entry.table)) await write()
    table = entry.table
    if (incoming.isMarked(table, entry.row)) check = String(entry.row.value)
    rows.push(entry.row)
  }
  await write()
  if (check === undefined) throw damaged('The backup has no check value of the master key.')
  return check
}

async function compare(
  terminal: Terminal,
  incoming: IncomingDatabase,
  {
    manifest,
    check,
    chains,
    signal,
  }: { manifest: Manifest; check: string; chains: ChainInspector; signal: AbortSignal },
): Promise<void> {
  const rowCount = manifest.tables.reduce((sum, { rows }) => sum + rows, 0)
  using progress = terminal.progress('comparing', rowCount)
  const found = await incoming.summarise({ signal, progress, chains, check })
  chains.end()
  const differing = differingTables(manifest.tables, found)
  if (differing.length === 0) return
  throw new CommandError(
    exitCodes.badData,
    `What was restored differs from the backup in ${differing.join(', ')}. Empty the database and restore again.`,
    { detail: { tables: differing } },
  )
}
