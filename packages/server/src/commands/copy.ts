import { existsSync } from 'node:fs'
import { sha256Hex } from '#custody/secrets.ts'
import type { Queries } from '#storage/queries.ts'
import { openSnapshot, requireCurrentSchema, type Snapshot } from '#storage/snapshot.ts'
import { SqliteDatabase } from '#storage/sqlite.ts'
import { countRows, rowsOf } from '#storage/table-rows.ts'
import { listTables } from '#storage/tables.ts'
import { CommandError, exitCodes } from './failure.ts'
import { IncomingDatabase } from './incoming-database.ts'
import {
  ChainInspector,
  differingTables,
  requireWholeChains,
  summarise,
  type TableSummary,
} from './inspection.ts'
import { getMasterKeyCheck, requireRightMasterKey } from './installation.ts'
import {
  configuredDatabase,
  type DatabaseReference,
  readDatabaseReference,
  readSettings,
  requireMasterKey,
} from './settings.ts'
import type { Terminal } from './terminal.ts'

export interface CopyOptions {
  readonly from?: string
  readonly to: string
}

/**
 * Copies a whole database into an empty one, then reads both to the end and compares them. May be interrupted at any
 * moment and run again. Both keep the same master key.
 */
export async function copy(terminal: Terminal, options: CopyOptions): Promise<void> {
  const settings = readSettings()
  const masterKey = requireMasterKey(settings)
  const source =
    options.from === undefined
      ? configuredDatabase(settings)
      : readDatabaseReference(options.from, '--from', terminal)
  const target = readDatabaseReference(options.to, '--to', terminal)
  if (source.url === target.url) {
    throw new CommandError(exitCodes.usage, '--from and --to are the same database.')
  }

  await using _lock = await lockSource(source)
  await using snapshot = await openSnapshot(source.url)
  requireUnused(snapshot, source.name)
  requireCurrentSchema(snapshot)
  const check = await getMasterKeyCheck(snapshot.queries, source.name)
  await requireRightMasterKey(snapshot.queries, masterKey, check)

  await using incoming = await IncomingDatabase.open(target, `copy:${sha256Hex(check)}`)
  if (incoming.isResumed) terminal.note('Going on with a copy that was interrupted.')
  const rowCount = await countAll(snapshot.queries)
  await fill(terminal, snapshot.queries, incoming, rowCount)
  const { tables, chains } = await compare(terminal, snapshot.queries, incoming, {
    check,
    rowCount,
  })
  await requireRightMasterKey(incoming.reader, masterKey, check)
  await incoming.finish(check)
  const chainCount = chains.end().length

  terminal.result(
    { from: source.name, to: target.name, rows: rowCount, tables, chains: chainCount },
    [
      ...tables.filter(({ rows }) => rows > 0).map(({ name, rows }) => `${name}: ${rows}`),
      `Copied and compared: ${rowCount} rows of ${tables.length} tables, ${chainCount} chains.`,
      `Point COUNTERSIGN_DATABASE_URL at ${target.name} and keep the same master key.`,
    ],
  )
  requireWholeChains(chains)
}

/** Keeps servers away from an SQLite file; PostgreSQL tells who is connected instead. */
async function lockSource({ url, engine, name }: DatabaseReference): Promise<AsyncDisposable> {
  if (engine === 'postgres') return { async [Symbol.asyncDispose]() {} }
  const path = url.slice('sqlite:'.length)
  if (!existsSync(path)) {
    throw new CommandError(exitCodes.unavailable, `There is no database ${name}.`)
  }
  const database = SqliteDatabase.open(path, { exclusive: true })
  return { [Symbol.asyncDispose]: () => database.close() }
}

function requireUnused({ otherConnectionCount = 0 }: Snapshot, name: string): void {
  if (otherConnectionCount === 0) return
  throw new CommandError(
    exitCodes.unavailable,
    `${otherConnectionCount} connections of servers are open on ${name}; stop the servers first.`,
  )
}

async function countAll(queries: Queries): Promise<number> {
  let count = 0
  for (const table of listTables()) count += await countRows(queries, table)
  return count
}

async function fill(
  terminal: Terminal,
  source: Queries,
  incoming: IncomingDatabase,
  rowCount: number,
): Promise<void> {
  using progress = terminal.progress('copying', rowCount)
  for (const table of listTables()) {
    const after = await incoming.filledUpTo(table)
    if (after !== undefined) progress.add(await countRows(incoming.reader, table))
    for await (const rows of rowsOf(source, table, after)) {
      terminal.signal.throwIfAborted()
      await incoming.insert(table, rows)
      progress.add(rows.length)
    }
  }
}

/** @throws CommandError when any row differs; the target stays unusable then. */
async function compare(
  terminal: Terminal,
  source: Queries,
  incoming: IncomingDatabase,
  { check, rowCount }: { check: string; rowCount: number },
): Promise<{ tables: TableSummary[]; chains: ChainInspector }> {
  using progress = terminal.progress('comparing', 2 * rowCount)
  const { signal } = terminal
  const expected = await summarise(source, { signal, progress })
  const chains = new ChainInspector()
  const tables = await incoming.summarise({ signal, progress, chains, check })
  const differing = differingTables(expected, tables)
  if (differing.length === 0) return { tables, chains }
  throw new CommandError(
    exitCodes.badData,
    `The copy differs in ${differing.join(', ')}: the source was changed since the copy began. Empty the target and copy again.`,
    { detail: { tables: differing } },
  )
}
