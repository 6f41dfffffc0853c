import { Client } from 'pg'
import { describe, expect, test } from 'vitest'
import { createTestDatabase } from '#test/support/postgres.ts'
import { openDatabase } from './database.ts'
import type { Database } from './queries.ts'

interface Heard {
  readonly lines: string[]
  readonly states: boolean[]
}

function listenTo(database: Database): Heard {
  const heard: Heard = { lines: [], states: [] }
  database.listen({
    received: (line) => heard.lines.push(line),
    missed: ({ isOver }) => heard.states.push(isOver),
  })
  return heard
}

async function withDatabases(
  count: number,
  work: (databases: readonly Database[], url: string) => Promise<void>,
): Promise<void> {
  const place = await createTestDatabase()
  const databases = Array.from({ length: count }, () => openDatabase(place.url))
  try {
    await work(databases, place.url)
  } finally {
    await Promise.all(databases.map((database) => database.close()))
    await place.drop()
  }
}

const waitOptions = { timeout: 15_000, interval: 20 }

describe('notifications on PostgreSQL', () => {
  test('reach every other process once, in order, and not the one that sends', async () => {
    await withDatabases(3, async (databases) => {
      const heard = databases.map(listenTo)
      for (const { states } of heard) await expect.poll(() => states.at(-1), waitOptions).toBe(true)
      // More than one payload holds.
      const lines = Array.from({ length: 2_000 }, (_, number) => `acme 01M7YRRT808A9NYTDX${number}`)
      for (const line of lines) databases[0]?.notify(line)
      for (const { lines: come } of heard.slice(1)) {
        await expect.poll(() => come.length, waitOptions).toBe(lines.length)
        expect(come).toEqual(lines)
      }
      expect(heard[0]?.lines).toEqual([])
    })
  })

  test('a process that does not listen is heard too', async () => {
    await withDatabases(2, async ([speaker, hearer]) => {
      if (speaker === undefined || hearer === undefined) throw new Error('No database.')
      const { lines, states } = listenTo(hearer)
      await expect.poll(() => states.at(-1), waitOptions).toBe(true)
      speaker.notify('acme device')
      await expect.poll(() => lines, waitOptions).toEqual(['acme device'])
    })
  })

  test('a connection that breaks is told, and opened again', async () => {
    await withDatabases(2, async ([speaker, hearer], url) => {
      if (speaker === undefined || hearer === undefined) throw new Error('No database.')
      const { lines, states } = listenTo(hearer)
      await expect.poll(() => states.at(-1), waitOptions).toBe(true)
      speaker.notify('acme before')
      await expect.poll(() => lines, waitOptions).toEqual(['acme before'])
      const operator = new Client({ connectionString: url })
      await operator.connect()
      await operator.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid()`,
      )
      await operator.end()
      await expect.poll(() => states, waitOptions).toEqual([false, true, false, true])
      await expect
        .poll(() => {
          speaker.notify('acme after')
          return lines.includes('acme after')
        }, waitOptions)
        .toBe(true)
    })
  })

  test('a database that is not there keeps nobody from closing', async () => {
    const database = openDatabase('postgres://nobody@127.0.0.1:1/nothing')
    const { states } = listenTo(database)
    database.notify('acme device')
    await database.close()
    expect(states).toEqual([false])
  })
})
