import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { openDatabase } from '#storage/database.ts'
import type { Database } from '#storage/queries.ts'
import { Child } from './child.ts'
import { readCounter, readEntries } from './ledger.ts'

const concurrency = 16

/** What was found after the last round. */
export interface KillSummary {
  readonly roundCount: number
  readonly acknowledgedCount: number
  readonly entryCount: number
}

export interface KillOptions {
  readonly url: string
  readonly roundCount: number
  /** The process writes at most this long before it is killed. */
  readonly lifeMsMax: number
  /** Runs after each round, with the writer dead; for faults of the server's side. */
  readonly between?: (round: number) => Promise<void>
  readonly onRound?: (round: number, summary: KillSummary) => void
}

/**
 * Kills a writing process again and again at random instants and looks at what it left: every acknowledged entry is
 * there, nothing is half-done, and the database opens at once.
 *
 * @throws when anything is missing.
 */
export async function runKillRounds(options: KillOptions): Promise<KillSummary> {
  const acknowledged = new Set<string>()
  let summary: KillSummary = { roundCount: 0, acknowledgedCount: 0, entryCount: 0 }
  const start = (round: number): Child => startWriter(options.url, round, acknowledged)
  let next = start(1)
  for (let round = 1; round <= options.roundCount; round++) {
    const current = next
    // The next one loads its program meanwhile; it opens nothing before it is told.
    next = start(round + 1)
    try {
      await writeUntilKilled(current, options.lifeMsMax)
      await options.between?.(round)
      const entryCount = await inspect(options.url, acknowledged)
      summary = { roundCount: round, acknowledgedCount: acknowledged.size, entryCount }
    } catch (error) {
      await next.kill()
      throw error
    }
    options.onRound?.(round, summary)
  }
  await next.kill()
  return summary
}

function startWriter(url: string, round: number, acknowledged: Set<string>): Child {
  return new Child('writer', [url, `r${round}`, String(concurrency)], (line) => {
    if (line.startsWith('+')) acknowledged.add(line.slice(1))
  })
}

async function writeUntilKilled(child: Child, lifeMsMax: number): Promise<void> {
  child.tell('begin')
  const first = await child.next()
  if (first === 'ready') await sleep(Math.random() * lifeMsMax)
  const { signal, errors } = await child.kill()
  if (first !== 'ready' || signal !== 'SIGKILL') {
    throw new Error(`The writer ended by itself: ${errors}`)
  }
  const refused = child.lines.find((line) => line.startsWith('-'))
  if (refused !== undefined) throw new Error(`The writer said ${refused}.`)
}

async function inspect(url: string, acknowledged: ReadonlySet<string>): Promise<number> {
  const database = openDatabase(url)
  try {
    await database.migrate()
    const entries = await settledEntries(database)
    const lost = [...acknowledged].filter((name) => !entries.has(name))
    if (lost.length > 0) throw new Error(`${lost.length} acknowledged entries are lost: ${lost[0]}`)
    const count = await readCounter(database.reader)
    if (count !== entries.size) {
      throw new Error(`Half a transaction: ${entries.size} entries, counted ${count}.`)
    }
    return entries.size
  } finally {
    await database.close()
    if (url.startsWith('sqlite:')) requireIntegrity(url.slice('sqlite:'.length))
  }
}

/** A server may still be finishing what a killed client sent last: two equal looks in a row are the end of it. */
async function settledEntries(database: Database): Promise<Set<string>> {
  let before = await readEntries(database.reader)
  for (;;) {
    if (database.engine === 'sqlite') return new Set(before)
    await sleep(50)
    const now = await readEntries(database.reader)
    if (now.length === before.length) return new Set(now)
    before = now
  }
}

function requireIntegrity(path: string): void {
  const db = new DatabaseSync(path)
  try {
    const result = db.prepare('pragma integrity_check').get()?.integrity_check
    if (result !== 'ok') throw new Error(`The database file is damaged: ${result}`)
  } finally {
    db.close()
  }
}
