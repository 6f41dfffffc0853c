import { copyFileSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, test } from 'vitest'
import { SqliteDatabase } from '#storage/sqlite.ts'
import { Child } from './child.ts'
import { createPlace, engines } from './databases.ts'
import { runKillRounds } from './kill-rounds.ts'
import { enter, openCounter, readCounter, readEntries } from './ledger.ts'

describe.each(engines)('several processes on %s', (engine) => {
  test('R4: race for claims: as many are won as there are, and no value twice', async () => {
    await using place = await createPlace(engine)
    const database = place.open()
    await database.migrate()
    const crowd = Array.from({ length: 10 }, (_, index) => `race-${index}`)
    for (const name of ['race', 'race-next', ...crowd]) {
      await database.transaction((queries) => openCounter(queries, name))
    }
    const children = [1, 2].map(() => new Child('claimer', [place.url, 'race', '200', '150']))
    for (const child of children) expect(await child.next()).toBe('ready')
    for (const child of children) child.tell('go')
    const results = await Promise.all(
      children.map(async (child) => {
        const line = await child.next()
        expect(await child.ended).toMatchObject({ code: 0, errors: '' })
        return JSON.parse(line ?? '{}') as { won: number; values: number[]; crowd: number }
      }),
    )
    expect(results.reduce((sum, { won }) => sum + won, 0)).toBe(150)
    expect(await readCounter(database.reader, 'race')).toBe(150)
    const values = results.flatMap((result) => result.values).sort((one, other) => one - other)
    expect(values).toEqual([...values.keys()])
    expect(await readCounter(database.reader, 'race-next')).toBe(values.length)
    expect(results.reduce((sum, result) => sum + result.crowd, 0)).toBe(1500)
    for (const name of crowd) expect(await readCounter(database.reader, name)).toBe(150)
  }, 60_000)

  test('R10: kill -9 at any instant loses nothing acknowledged and leaves nothing half-done', async () => {
    await using place = await createPlace(engine)
    const summary = await runKillRounds({ url: place.url, roundCount: 20, lifeMsMax: 150 })
    expect(summary.acknowledgedCount).toBeGreaterThan(100)
  }, 180_000)

  test('a process whose database was closed ends by itself', async () => {
    await using place = await createPlace(engine)
    const child = new Child('writer', [place.url, 'n', '8'])
    child.tell('begin')
    expect(await child.next()).toBe('ready')
    await child.next()
    child.process.stdin?.end()
    expect(await child.ended).toEqual({ code: 0, signal: null, errors: '' })
  }, 30_000)
})

test('four processes bring one empty PostgreSQL database up to date at once: all serve, each migration ran once', async () => {
  await using place = await createPlace('postgres')
  const children = [1, 2, 3, 4].map(() => new Child('opener', [place.url]))
  for (const child of children) expect(await child.next()).toBe('open')
  for (const child of children) child.tell('close')
  for (const child of children) {
    expect(await child.ended).toMatchObject({ code: 0, errors: '' })
  }
  const database = place.open()
  await database.migrate()
  await database.transaction((queries) => openCounter(queries))
}, 60_000)

test('four servers on one SQLite file: one serves, three are told at once that it is in use', async () => {
  await using place = await createPlace('sqlite')
  const children = [1, 2, 3, 4].map(() => new Child('opener', [place.url]))
  const words = await Promise.all(children.map((child) => child.next()))
  expect(words.filter((word) => word === 'open')).toHaveLength(1)
  expect(words.filter((word) => word === 'DatabaseInUseError')).toHaveLength(3)
  for (const child of children) child.tell('close')
  await Promise.all(children.map(({ ended }) => ended))
}, 60_000)

test('the lock of a server that was killed is free at once', async () => {
  await using place = await createPlace('sqlite')
  const first = new Child('opener', [place.url])
  expect(await first.next()).toBe('open')
  expect(() => place.open()).toThrow('Another server has the database')
  await first.kill()
  const database = place.open()
  await database.migrate()
  await database.transaction((queries) => openCounter(queries))
}, 30_000)

describe('R10: a power cut', () => {
  test('that tears the log at any place leaves a database of whole transactions', async () => {
    await using place = await createPlace('sqlite')
    const limits = { checkpointMs: 3_600_000 }
    const database = place.open({ limits })
    await database.migrate()
    await database.transaction((queries) => openCounter(queries))
    const lengths: { bytes: number; count: number }[] = []
    for (let count = 1; count <= 30; count++) {
      await database.transaction((queries) => enter(queries, `n${count}`, 'x'.repeat(count * 100)))
      lengths.push({ bytes: statSync(`${place.path}-wal`).size, count })
    }
    // What the disk holds at this moment; what is behind the cut never reached it.
    const image = join(place.path, '..', 'image.db')
    copyFileSync(place.path, image)
    const log = readFileSync(`${place.path}-wal`)
    const first = lengths[0]?.bytes ?? 0
    for (let cut = 0; cut < 40; cut++) {
      const at = first + Math.floor(((log.length - first) * cut) / 39)
      const torn = join(place.path, '..', `torn-${cut}.db`)
      copyFileSync(image, torn)
      // The file may have its length already, with anything in the sectors that were not written.
      const rest = Buffer.alloc(cut % 2 === 1 ? log.length - at : 0, 0xff)
      writeFileSync(`${torn}-wal`, Buffer.concat([log.subarray(0, at), rest]))
      const opened = SqliteDatabase.open(torn)
      const entries = await readEntries(opened.reader)
      const counted = await readCounter(opened.reader)
      await opened.transaction((queries) => enter(queries, 'after'))
      await opened.close()
      const onDisk = lengths.filter(({ bytes }) => bytes <= at).at(-1)?.count ?? 0
      expect(counted).toBe(entries.length)
      expect(entries.length).toBe(onDisk)
      const db = new DatabaseSync(torn)
      expect(db.prepare('pragma integrity_check').get()?.integrity_check).toBe('ok')
      db.close()
    }
  }, 60_000)
})
