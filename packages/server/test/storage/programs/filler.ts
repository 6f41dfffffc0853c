/**
 * Writes when it is told to: `filler.ts SQLITE_PATH CHECKPOINT_MS`. Each line `write PREFIX COUNT` enters COUNT rows of
 * 3 kB at the same moment; the answer is one line of JSON: `Filled`. Ends when its input ends.
 */
import { statSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { StorageError } from '#storage/queries.ts'
import { SqliteDatabase } from '#storage/sqlite.ts'
import { enter, openCounter, readCounter, readEntries } from '../ledger.ts'

export interface Filled {
  readonly written: readonly string[]
  /** What the others were told, each once. */
  readonly failures: readonly string[]
  readonly entryCount: number
  readonly counter: number
  readonly logBytes: number
}

const [path = '', checkpointMs = '0'] = process.argv.slice(2)
const database = SqliteDatabase.open(path, { limits: { checkpointMs: Number(checkpointMs) } })
await database.migrate()
await database.transaction((queries) => openCounter(queries))

async function write(prefix: string, count: number): Promise<Filled> {
  const names = Array.from({ length: count }, (_, index) => `${prefix}-${index}`)
  const outcomes = await Promise.allSettled(
    names.map((name) => database.transaction((queries) => enter(queries, name, 'x'.repeat(3_000)))),
  )
  const reasons = outcomes.flatMap((outcome) =>
    outcome.status === 'rejected' ? [outcome.reason as unknown] : [],
  )
  const failures = reasons.map((reason) =>
    reason instanceof StorageError ? reason.failure : String(reason),
  )
  return {
    written: names.filter((_, index) => outcomes[index]?.status === 'fulfilled'),
    failures: [...new Set(failures)],
    entryCount: (await readEntries(database.reader)).length,
    counter: await readCounter(database.reader),
    logBytes: statSync(`${path}-wal`).size,
  }
}

process.stdout.write('ready\n')
for await (const line of createInterface({ input: process.stdin })) {
  const [, prefix = '', count = '0'] = line.split(' ')
  process.stdout.write(`${JSON.stringify(await write(prefix, Number(count)))}\n`)
}
await database.close()
