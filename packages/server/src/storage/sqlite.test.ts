import { existsSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import {
  createPlace,
  type DatabasePlace,
  type TestDatabaseOptions,
} from '#test/storage/databases.ts'
import { enter, enterName, openCounter, readCounter, readEntries } from '#test/storage/ledger.ts'
import { latestVersion, NewerSchemaError } from './migrations/list.ts'
import type { CommitEnd, Database, Queries } from './queries.ts'
import { DatabaseInUseError, SqliteDatabase } from './sqlite.ts'
import { SqliteCheckpointer } from './sqlite-checkpointer.ts'

async function openLedger(place: DatabasePlace, options?: TestDatabaseOptions): Promise<Database> {
  const database = place.open(options)
  await database.migrate()
  await database.transaction((queries) => openCounter(queries))
  return database
}

function integrityOf(path: string): unknown {
  const db = new DatabaseSync(path)
  try {
    return db.prepare('pragma integrity_check').get()?.integrity_check
  } finally {
    db.close()
  }
}

class CommitCounter {
  count = 0

  observeDatabase(operation: 'read' | 'commit'): void {
    if (operation === 'commit') this.count++
  }
}

describe('a group', () => {
  test('costs one commit, however many are in it', async () => {
    await using place = await createPlace('sqlite')
    const observer = new CommitCounter()
    const database = await openLedger(place, { observer, limits: { groupMsMax: 5_000 } })
    observer.count = 0
    await Promise.all(
      Array.from({ length: 300 }, (_, n) => database.transaction((q) => enter(q, `n${n}`))),
    )
    expect(observer.count).toBe(1)
    expect(await readCounter(database.reader)).toBe(300)
  })

  test('ends when it is full; the rest goes into the next ones', async () => {
    await using place = await createPlace('sqlite')
    const database = await openLedger(place, { limits: { groupUnitsMax: 7 } })
    await Promise.all(
      Array.from({ length: 50 }, (_, n) => database.transaction((q) => enter(q, `n${n}`))),
    )
    expect(await readCounter(database.reader)).toBe(50)
  })

  test('is begun again without what a unit wrote before it failed; the others count once', async () => {
    await using place = await createPlace('sqlite')
    const observer = new CommitCounter()
    const database = await openLedger(place, { observer, limits: { groupMsMax: 5_000 } })
    observer.count = 0
    const fails = new Set([3, 4, 9])
    const ended = await Promise.allSettled(
      Array.from({ length: 12 }, (_, n) =>
        database.transaction(async (queries) => {
          await enter(queries, `n${n}`)
          if (fails.has(n)) throw new Error(`${n} fails`)
          return n
        }),
      ),
    )
    const others = [0, 1, 2, 5, 6, 7, 8, 10, 11]
    expect(ended.flatMap((end) => (end.status === 'fulfilled' ? [end.value] : []))).toEqual(others)
    expect(await readEntries(database.reader)).toEqual(others.map((n) => `n${n}`).toSorted())
    expect(await readCounter(database.reader)).toBe(others.length)
    expect(observer.count).toBe(1)
  })

  test('is not begun again for a unit that fails before it writes, or at its first statement', async () => {
    await using place = await createPlace('sqlite')
    const database = await openLedger(place, { limits: { groupMsMax: 5_000 } })
    await database.transaction((queries) => enterName(queries, 'taken'))
    const runs: string[] = []
    const works: [string, (queries: Queries) => Promise<unknown>][] = [
      ['one', (queries) => enter(queries, 'one')],
      ['refuses', () => Promise.reject(new Error('refused'))],
      ['is taken', (queries) => enterName(queries, 'taken')],
      ['two', (queries) => enter(queries, 'two')],
    ]
    const ended = await Promise.allSettled(
      works.map(([name, work]) =>
        database.transaction((queries) => {
          runs.push(name)
          return work(queries)
        }),
      ),
    )
    expect(ended.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'rejected',
      'fulfilled',
    ])
    expect(runs).toEqual(['one', 'refuses', 'is taken', 'two'])
    expect(await readEntries(database.reader)).toEqual(['one', 'taken', 'two'])
  })

  test('is begun again without a unit that hung after it wrote, which is not run twice', async () => {
    await using place = await createPlace('sqlite')
    const database = await openLedger(place, { limits: { unitMsMax: 200 } })
    let hangs = 0
    const ended = await Promise.allSettled([
      database.transaction((queries) => enter(queries, 'one')),
      database.transaction(async (queries) => {
        hangs++
        await enter(queries, 'hangs')
        await new Promise(() => {})
      }),
      database.transaction((queries) => enter(queries, 'two')),
    ])
    expect(ended.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(hangs).toBe(1)
    expect(await readEntries(database.reader)).toEqual(['one', 'two'])
  })

  test('goes on when it waited for the lock longer than a group may last', async () => {
    await using place = await createPlace('sqlite')
    const database = await openLedger(place)
    const other = new DatabaseSync(place.path)
    other.exec('begin immediate')
    const written = database.transaction((queries) => enter(queries, 'one'))
    await sleep(150)
    other.exec('commit')
    await written
    other.close()
    expect(await readEntries(database.reader)).toEqual(['one'])
  })

  test('that never gets the lock is unavailable, and works when the lock is free', async () => {
    await using place = await createPlace('sqlite')
    const database = await openLedger(place, { limits: { lockWaitMsMax: 100 } })
    const other = new DatabaseSync(place.path)
    other.exec('begin immediate')
    const works = ['one', 'two'].map((name) => database.transaction((q) => enter(q, name)))
    for (const outcome of await Promise.allSettled(works)) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { failure: 'unavailable' } })
    }
    expect(await readEntries(database.reader)).toEqual([])
    other.exec('rollback')
    other.close()
    await database.transaction((queries) => enter(queries, 'three'))
    expect(await readEntries(database.reader)).toEqual(['three'])
  })

  test('answers nobody before its commit, not even who failed over what a neighbour wrote', async () => {
    await using place = await createPlace('sqlite')
    const database = await openLedger(place)
    const answers: string[] = []
    const first = database.transaction((q) => enter(q, 'same')).finally(() => answers.push('first'))
    const second = database
      .transaction((q) => enterName(q, 'same'))
      .catch(() => answers.push('taken'))
    const third = database.transaction(async () => {
      await sleep(10)
      answers.push('third runs')
    })
    await Promise.all([first, second, third])
    expect(answers).toEqual(['third runs', 'first', 'taken'])
  })
})

describe('what transactions leave for their commit', () => {
  const leave = (database: Database, end: CommitEnd<string>, name: string) =>
    database.transaction(async (queries) => {
      await enter(queries, name)
      queries.leaveForCommit?.(end, `${name} left`)
      if (name.startsWith('bad')) throw new Error('undone')
    })

  test('is written once for all of them, in their order, without those that were undone', async () => {
    await using place = await createPlace('sqlite')
    const database = await openLedger(place)
    const calls: (readonly string[])[] = []
    const end: CommitEnd<string> = async (queries, left) => {
      calls.push(left)
      for (const name of left) await enter(queries, name)
    }
    const names = ['one', 'bad', 'two']
    const ended = await Promise.allSettled(names.map((name) => leave(database, end, name)))
    expect(ended.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(calls).toEqual([['one left', 'two left']])
    expect(await readEntries(database.reader)).toEqual(['one', 'one left', 'two', 'two left'])
  })

  test('takes everybody with it when it cannot be written', async () => {
    await using place = await createPlace('sqlite')
    const database = await openLedger(place)
    const end: CommitEnd<string> = async (queries, left) => {
      for (const name of left) await enterName(queries, name)
      await enterName(queries, left[0] ?? '').catch(() => {})
    }
    const ended = await Promise.allSettled(['one', 'two'].map((name) => leave(database, end, name)))
    for (const { status } of ended) expect(status).toBe('rejected')
    expect(await readEntries(database.reader)).toEqual([])
    await database.transaction((queries) => enter(queries, 'next'))
    expect(await readCounter(database.reader)).toBe(1)
  })

  test('cannot come after the transaction has ended', async () => {
    await using place = await createPlace('sqlite')
    const database = await openLedger(place)
    let late: Queries | undefined
    await database.transaction(async (queries) => {
      late = queries
    })
    expect(() => late?.leaveForCommit?.(async () => {}, 'late')).toThrow('after the end')
  })
})

describe('reads', () => {
  test('of one pass see one state; whoever was answered finds what was written', async () => {
    await using place = await createPlace('sqlite')
    const database = await openLedger(place)
    const moment = database.reader.moment?.()
    expect(moment).toBeDefined()
    expect(database.reader.moment?.()).toBe(moment)
    await database.transaction((queries) => enter(queries, 'one'))
    expect(database.reader.moment?.()).not.toBe(moment)
    expect(await readEntries(database.reader)).toEqual(['one'])
  })

  test('see what a command wrote from the next pass on', async () => {
    await using place = await createPlace('sqlite')
    const database = await openLedger(place)
    const command = place.open({ exclusive: false })
    expect(await readEntries(database.reader)).toEqual([])
    await command.transaction((queries) => enter(queries, 'one'))
    await sleep(1)
    expect(await readEntries(database.reader)).toEqual(['one'])
  })
})

describe('a second server', () => {
  test('on the same file is refused at once, by any name of the file', async () => {
    await using place = await createPlace('sqlite')
    await openLedger(place)
    const startedAt = performance.now()
    expect(() => place.open()).toThrow(DatabaseInUseError)
    const link = `${place.path}.link`
    symlinkSync(place.path, link)
    expect(() => SqliteDatabase.open(link)).toThrow(DatabaseInUseError)
    expect(performance.now() - startedAt).toBeLessThan(1_000)
  })

  test('may open the file when the first has closed it', async () => {
    await using place = await createPlace('sqlite')
    const first = await openLedger(place)
    await first.transaction((queries) => enter(queries, 'one'))
    await first.close()
    await first.close()
    expect(await readEntries(place.open().reader)).toEqual(['one'])
  })

  test('is no command that works beside: both write, one after the other', async () => {
    await using place = await createPlace('sqlite')
    const server = await openLedger(place)
    const command = place.open({ exclusive: false })
    const write = async (database: Database, prefix: string): Promise<void> => {
      for (let count = 0; count < 50; count++) {
        await database.transaction((queries) => enter(queries, `${prefix}${count}`))
      }
    }
    await Promise.all([write(server, 'server'), write(command, 'command')])
    expect(await readCounter(server.reader)).toBe(100)
    expect(await readEntries(command.reader)).toHaveLength(100)
  })
})

describe('opening', () => {
  test('makes folder and files that only their owner may read', async () => {
    await using place = await createPlace('sqlite')
    const path = join(place.path, '..', 'new', 'server.db')
    const database = SqliteDatabase.open(path)
    await database.migrate()
    const modeOf = (name: string): number => statSync(name).mode & 0o777
    expect(modeOf(join(path, '..'))).toBe(0o700)
    for (const name of [path, `${path}-wal`, `${path}-shm`, `${path}.lock`]) {
      expect(modeOf(name), name).toBe(0o600)
    }
    await database.close()
  })

  test('what is no database is refused, left as it is, and not kept locked', async () => {
    await using place = await createPlace('sqlite')
    const text = 'This is a letter to my mother, and nobody should write into it. '.repeat(100)
    writeFileSync(place.path, text)
    expect(() => place.open()).toThrow(expect.objectContaining({ failure: 'unavailable' }))
    expect(statSync(place.path).size).toBe(text.length)
    expect(() => place.open()).toThrow(expect.objectContaining({ failure: 'unavailable' }))
  })

  test('a folder in place of the file is refused', async () => {
    await using place = await createPlace('sqlite')
    mkdirSync(place.path)
    expect(() => place.open()).toThrow()
  })

  test('a database of a newer program is refused and not touched', async () => {
    await using place = await createPlace('sqlite')
    const database = await openLedger(place)
    await database.close()
    const later = new DatabaseSync(place.path)
    later.exec(`insert into schema_version (version) values (${latestVersion + 1})`)
    later.close()
    await expect(place.open().migrate()).rejects.toBeInstanceOf(NewerSchemaError)
  })

  test('a failed migration leaves nothing behind', async () => {
    await using place = await createPlace('sqlite')
    const foreign = new DatabaseSync(place.path)
    foreign.exec('create table tenant (x)')
    foreign.close()
    await expect(place.open().migrate()).rejects.toThrow('already exists')
    const db = new DatabaseSync(place.path)
    const names = db.prepare('select name from sqlite_schema').all()
    db.close()
    expect(names.map(({ name }) => name)).toEqual(['tenant'])
  })

  test('memory will do where nothing has to last', async () => {
    const database = SqliteDatabase.open(':memory:')
    await database.migrate()
    await database.transaction((queries) => openCounter(queries))
    await database.transaction((queries) => enter(queries, 'one'))
    expect(await readEntries(database.reader)).toEqual(['one'])
    await database.check()
    await database.close()
  })
})

describe('the log', () => {
  const limits = { logPagesMax: 100, checkpointMs: 20 }
  const logBytes = (place: DatabasePlace): number => statSync(`${place.path}-wal`).size

  /** Writes groups of 20 entries while there is a reason to. @returns how many entries. */
  async function write(
    database: Database,
    prefix: string,
    goesOn: (count: number) => boolean,
  ): Promise<number> {
    let count = 0
    while (goesOn(count)) {
      const names = Array.from({ length: 20 }, () => `${prefix}-${count++}`)
      await Promise.all(
        names.map((name) => database.transaction((q) => enter(q, name, 'x'.repeat(1_000)))),
      )
    }
    return count
  }

  /** Writes until the log's file did not grow for 3 MB of entries: what is written now goes where something else was. */
  async function writeUntilSteady(
    database: Database,
    place: DatabasePlace,
    prefix: string,
  ): Promise<number> {
    let total = 0
    for (let stretch = 0; stretch < 30; stretch++) {
      const before = logBytes(place)
      total += await write(database, `${prefix}-${stretch}`, (count) => count < 3_000)
      if (logBytes(place) === before) return total
    }
    throw new Error(`The log grew on and on, to ${logBytes(place)} bytes.`)
  }

  test('does not grow without bound under constant writing', async () => {
    await using place = await createPlace('sqlite')
    const database = await openLedger(place, { limits })
    const count = await writeUntilSteady(database, place, 'n')
    expect(await readCounter(database.reader)).toBe(count)
  }, 60_000)

  test('grows while somebody reads a snapshot, and no more when the reader has gone', async () => {
    await using place = await createPlace('sqlite')
    const database = await openLedger(place, { limits })
    const snapshot = new DatabaseSync(place.path, { readOnly: true })
    snapshot.exec('begin')
    const seen = snapshot.prepare('select count(*) as n from platform_value')
    expect(seen.get()?.n).toBe(0)
    const before = await write(database, 'before', () => logBytes(place) < 6_000_000)
    expect(seen.get()?.n).toBe(0)
    snapshot.exec('commit')
    snapshot.close()
    const after = await writeUntilSteady(database, place, 'after')
    expect(await readCounter(database.reader)).toBe(before + after)
  }, 60_000)

  test('is gone when the database is closed, and the file is whole', async () => {
    await using place = await createPlace('sqlite')
    const database = await openLedger(place, { limits })
    await write(database, 'n', (written) => written < 1_000)
    await database.close()
    expect(existsSync(`${place.path}-wal`)).toBe(false)
    expect(integrityOf(place.path)).toBe('ok')
  })

  test('is still shortened after the thread that does it has died', async () => {
    await using place = await createPlace('sqlite')
    const path = join(place.path, '..', 'gone.db')
    let told = 0
    const first = SqliteDatabase.open(path)
    await first.migrate()
    const program = `data:text/javascript,throw new Error('no thread')`
    const when = { intervalMs: 20, longPages: 8 }
    const checkpointer = new SqliteCheckpointer(path, when, () => told++, {
      program: new URL(program),
    })
    await expect.poll(() => told, { timeout: 15_000 }).toBeGreaterThan(2)
    await checkpointer.close()
    await first.close()
  })
})

test('R9: a check of a database whose file is damaged is unavailable', async () => {
  await using place = await createPlace('sqlite')
  const database = await openLedger(place)
  await database.check()
  await database.close()
  writeFileSync(place.path, Buffer.alloc(8_192, 0xff))
  expect(() => place.open()).toThrow(expect.objectContaining({ failure: 'unavailable' }))
})
