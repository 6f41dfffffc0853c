import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createPlace, type DatabasePlace } from '#test/storage/databases.ts'
import {
  claim,
  countUp,
  enter,
  enterName,
  entriesCounter,
  openCounter,
  readCounter,
  readEntries,
} from '#test/storage/ledger.ts'
import { PostgresServer } from '#test/support/postgres-server.ts'
import { PostgresDatabase } from './postgres.ts'
import {
  clientConfig,
  isUnavailable,
  translatePostgres,
  writerConfig,
} from './postgres-connection.ts'
import { PostgresLink } from './postgres-link.ts'
import { type Database, StorageError } from './queries.ts'

async function openLedger(place: DatabasePlace): Promise<Database> {
  const database = place.open()
  await database.migrate()
  await database.transaction((queries) => openCounter(queries))
  return database
}

/** Runs a statement on a connection of its own, as an operator would. */
async function operate(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows
  } finally {
    await client.end()
  }
}

/** Ends every connection of ours to the database. */
const endOurs = `select pg_terminate_backend(pid) from pg_stat_activity
  where datname = current_database() and application_name = 'countersign'`

/** A promise that the test settles. */
function signal(): { promise: Promise<void>; give: () => void } {
  let give: () => void = () => {}
  const promise = new Promise<void>((resolve) => {
    give = resolve
  })
  return { promise, give }
}

describe('a group', () => {
  test('is one transaction: its units interleave and share a commit', async () => {
    await using place = await createPlace('postgres')
    const database = await openLedger(place)
    const first = signal()
    const second = signal()
    const ids = await Promise.all([
      database.transaction(
        async (queries) => {
          await enter(queries, 'one')
          first.give()
          await second.promise
          return readEntries(queries)
        },
        { grouped: true },
      ),
      database.transaction(
        async (queries) => {
          await first.promise
          await enter(queries, 'two')
          second.give()
        },
        { grouped: true },
      ),
    ])
    expect(ids[0]).toEqual(['one', 'two'])
  })

  test('that waits for a row does not hold up the next one', async () => {
    await using place = await createPlace('postgres')
    const database = await openLedger(place)
    for (const name of ['x', 'y']) await database.transaction((q) => openCounter(q, name))
    const holder = new Client({ connectionString: place.url })
    await holder.connect()
    await holder.query("begin; select * from lease where name = 'x' for update")
    let isBlocked = true
    const blocked = database
      .transaction((queries) => countUp(queries, 'x'), { grouped: true })
      .finally(() => {
        isBlocked = false
      })
    await expect
      .poll(() =>
        operate(place.url, "select 1 from pg_stat_activity where wait_event_type = 'Lock'"),
      )
      .toHaveLength(1)
    await database.transaction((queries) => countUp(queries, 'y'), { grouped: true })
    expect(isBlocked).toBe(true)
    await holder.query('rollback')
    await holder.end()
    await blocked
    for (const name of ['x', 'y']) expect(await readCounter(database.reader, name)).toBe(1)
  })

  test('R4: of claims in groups that run at the same time as many are won as there are', async () => {
    await using place = await createPlace('postgres')
    const database = await openLedger(place)
    const works: Promise<boolean>[] = []
    for (let wave = 0; wave < 40; wave++) {
      for (let n = 0; n < 5; n++) {
        works.push(
          database.transaction((queries) => claim(queries, entriesCounter, 60), { grouped: true }),
        )
      }
      await sleep(1)
    }
    const won = (await Promise.all(works)).filter((isWon) => isWon)
    expect(won).toHaveLength(60)
    expect(await readCounter(database.reader)).toBe(60)
  })

  test.each([
    ['another process', (place: DatabasePlace) => place.open()],
    ['another one of its process', (_place: DatabasePlace, own: Database) => own],
  ])(
    'that deadlocks with %s is run again: every unit of both commits once',
    async (_with, open) => {
      await using place = await createPlace('postgres')
      const one = await openLedger(place)
      const other = open(place, one)
      for (const name of ['x', 'y']) await one.transaction((queries) => openCounter(queries, name))
      const oneHasX = signal()
      const otherHasY = signal()
      const crossing = [
        one.transaction(
          async (queries) => {
            await countUp(queries, 'x')
            oneHasX.give()
            await otherHasY.promise
            await countUp(queries, 'y')
          },
          { grouped: true },
        ),
      ]
      const bystanders = ['a', 'b', 'c'].map((name) =>
        one.transaction((queries) => enter(queries, name), { grouped: true }),
      )
      await oneHasX.promise
      crossing.push(
        other.transaction(
          async (queries) => {
            await countUp(queries, 'y')
            otherHasY.give()
            await oneHasX.promise
            await countUp(queries, 'x')
          },
          { grouped: true },
        ),
      )
      await Promise.all([...crossing, ...bystanders])
      expect(await readCounter(one.reader, 'x')).toBe(2)
      expect(await readCounter(one.reader, 'y')).toBe(2)
      expect(await readEntries(one.reader)).toEqual(['a', 'b', 'c'])
      expect(await readCounter(one.reader)).toBe(3)
    },
  )

  test('whose begin was cancelled cannot write statement by statement: the server refuses', async () => {
    await using place = await createPlace('postgres')
    const database = await openLedger(place)
    const client = new Client(writerConfig(place.url))
    await client.connect()
    const write = client.query("update lease set until_ms = 99 where tenant_id = 'ledger'")
    await expect(write).rejects.toMatchObject({ code: '25006' })
    await client.end()
    expect(await readCounter(database.reader)).toBe(0)
  })
})

describe('a lost connection', () => {
  const ways = [{ grouped: false }, { grouped: true }]

  test.each(ways)(
    'before a transaction is opened again (grouped: $grouped)',
    async ({ grouped }) => {
      await using place = await createPlace('postgres')
      const database = await openLedger(place)
      await database.transaction((queries) => enter(queries, 'before'), { grouped })
      await readCounter(database.reader)
      await operate(place.url, endOurs)
      await sleep(50)
      await database.transaction((queries) => enter(queries, 'after'), { grouped })
      // Both of the reader's connections are back.
      for (let read = 0; read < 4; read++) {
        expect(await readEntries(database.reader)).toEqual(['after', 'before'])
      }
      await database.check()
    },
  )

  test.each(ways)(
    'between two statements is unavailable, undoes what was written, ends no process (grouped: $grouped)',
    async ({ grouped }) => {
      await using place = await createPlace('postgres')
      const database = await openLedger(place)
      let runs = 0
      const lost = database.transaction(
        async (queries) => {
          runs++
          await enter(queries, 'lost')
          await operate(place.url, endOurs)
          await sleep(50)
          await countUp(queries)
        },
        { grouped },
      )
      const neighbours = Promise.allSettled(
        [1, 2, 3].map((count) =>
          database.transaction((queries) => enter(queries, `near-${count}`), { grouped }),
        ),
      )
      await expect(lost).rejects.toMatchObject({ failure: 'unavailable' })
      const outcomes = await neighbours
      const kept = outcomes.filter(({ status }) => status === 'fulfilled').length
      await database.transaction((queries) => enter(queries, 'next'), { grouped })
      expect(runs).toBe(1)
      expect(await readCounter(database.reader)).toBe(kept + 1)
      expect(await readEntries(database.reader)).toHaveLength(kept + 1)
    },
  )

  test.each(ways)(
    'behind the last statement, before the commit, is unavailable (grouped: $grouped)',
    async ({ grouped }) => {
      await using place = await createPlace('postgres')
      const database = await openLedger(place)
      const lost = database.transaction(
        async (queries) => {
          await enter(queries, 'lost')
          await operate(place.url, endOurs)
          await sleep(50)
          return 'done'
        },
        { grouped },
      )
      await expect(lost).rejects.toMatchObject({ failure: 'unavailable' })
      expect(await readEntries(database.reader)).toEqual([])
      await database.transaction((queries) => enter(queries, 'next'), { grouped })
      expect(await readEntries(database.reader)).toEqual(['next'])
    },
  )

  test.each(ways)(
    'during a commit: acknowledged ones are there, no unit is run again (grouped: $grouped)',
    async ({ grouped }) => {
      await using place = await createPlace('postgres')
      const database = await openLedger(place)
      const runs = new Map<string, number>()
      const acknowledged: string[] = []
      const refused: unknown[] = []
      let isEnding = false
      const write = async (worker: number): Promise<void> => {
        for (let count = 0; !isEnding; count++) {
          const name = `${worker}-${count}`
          try {
            await database.transaction(
              async (queries) => {
                runs.set(name, (runs.get(name) ?? 0) + 1)
                await enter(queries, name)
              },
              { grouped },
            )
            acknowledged.push(name)
          } catch (error) {
            refused.push(error)
          }
        }
      }
      const writers = Array.from({ length: 8 }, (_, worker) => write(worker))
      for (let cut = 0; cut < 15; cut++) {
        await sleep(20 + Math.random() * 40)
        await operate(place.url, endOurs)
      }
      isEnding = true
      await Promise.all(writers)
      const entries = new Set(await readEntries(database.reader))
      expect(refused.length).toBeGreaterThan(0)
      for (const error of refused) expect(error).toMatchObject({ failure: 'unavailable' })
      expect(acknowledged.filter((name) => !entries.has(name))).toEqual([])
      expect(await readCounter(database.reader)).toBe(entries.size)
      expect([...runs.values()].filter((count) => count !== 1)).toEqual([])
      // No connection was left behind: the pool's, the group's, the reader's, and one that looks after statistics.
      const [ours] = await operate(
        place.url,
        `select count(*)::int as count from pg_stat_activity
         where datname = current_database() and application_name = 'countersign'`,
      )
      expect(ours?.count).toBeLessThanOrEqual(14)
    },
  )

  test('of a reader in the middle of a read is unavailable, and the next read works', async () => {
    await using place = await createPlace('postgres')
    const database = await openLedger(place)
    const reads = Array.from({ length: 200 }, () => readCounter(database.reader))
    const outcomes = Promise.allSettled(reads)
    await operate(place.url, endOurs)
    for (const outcome of await outcomes) {
      if (outcome.status === 'rejected') {
        expect(outcome.reason).toMatchObject({ failure: 'unavailable' })
      }
    }
    await sleep(50)
    expect(await readCounter(database.reader)).toBe(0)
  })

  test('of a migration is unavailable, frees the lock and leaves nothing half-done', async () => {
    await using place = await createPlace('postgres')
    const holder = new Client({ connectionString: place.url })
    await holder.connect()
    await holder.query('select pg_advisory_lock(7236411)')
    const database = place.open()
    const migrated = database.migrate()
    const outcome = expect(migrated).rejects.toMatchObject({ failure: 'unavailable' })
    await sleep(200)
    await operate(place.url, endOurs)
    await outcome
    await holder.end()
    await database.migrate()
    await database.transaction((queries) => openCounter(queries))
  })
})

describe('a server that goes away', () => {
  let server: PostgresServer

  beforeAll(async () => {
    server = await PostgresServer.create()
  })

  afterAll(() => server[Symbol.asyncDispose]())

  test.each([
    { mode: 'fast', grouped: true },
    { mode: 'immediate', grouped: false },
    { mode: 'immediate', grouped: true },
  ] as const)(
    'is unavailable until it is back; nothing acknowledged is lost, no restart of ours ($mode, grouped: $grouped)',
    async ({ mode, grouped }) => {
      const name = `${mode}_${grouped}`
      await operate(server.url, `create database ${name}`)
      const url = new URL(server.url)
      url.pathname = `/${name}`
      const database = PostgresDatabase.open(url.href)
      try {
        await database.migrate()
        await database.transaction((queries) => openCounter(queries))
        const acknowledged: string[] = []
        const failures = new Set<unknown>()
        let isEnding = false
        const write = async (worker: number): Promise<void> => {
          for (let count = 0; !isEnding; count++) {
            try {
              const work = `${worker}-${count}`
              await database.transaction((queries) => enter(queries, work), { grouped })
              acknowledged.push(work)
            } catch (error) {
              failures.add(error instanceof StorageError ? error.failure : error)
              await sleep(20)
            }
          }
        }
        const writers = Array.from({ length: 6 }, (_, worker) => write(worker))
        await sleep(300)
        await server.stop(mode)
        await sleep(100)
        await expect(readCounter(database.reader)).rejects.toMatchObject({ failure: 'unavailable' })
        await expect(database.check()).rejects.toMatchObject({ failure: 'unavailable' })
        const before = acknowledged.length
        await server.start()
        await expect.poll(() => acknowledged.length, { timeout: 10_000 }).toBeGreaterThan(before)
        isEnding = true
        await Promise.all(writers)
        const entries = new Set(await readEntries(database.reader))
        expect([...failures]).toEqual(['unavailable'])
        expect(before).toBeGreaterThan(0)
        expect(acknowledged.filter((entry) => !entries.has(entry))).toEqual([])
        expect(await readCounter(database.reader)).toBe(entries.size)
      } finally {
        await database.close()
      }
    },
    60_000,
  )
})

test('the late news of a lost connection does not cost the one that took its place', async () => {
  await using place = await createPlace('postgres')
  const link = new PostgresLink(writerConfig(place.url))
  const first = await link.connect()
  link.drop(first)
  const second = await link.connect()
  link.drop(first)
  expect(second).not.toBe(first)
  expect(await link.connect()).toBe(second)
  await link.close()
})

test('a server that was never there is unavailable, and closing does not wait for it', async () => {
  const database = PostgresDatabase.open('postgres://nobody@127.0.0.1:1/nothing')
  const work = (): Promise<string> => Promise.resolve('done')
  const outcomes = await Promise.allSettled<unknown>([
    database.migrate(),
    database.check(),
    database.transaction(work),
    database.transaction(work, { grouped: true }),
    readCounter(database.reader),
    readCounter(database.reader),
  ])
  for (const outcome of outcomes) {
    expect(outcome).toMatchObject({
      status: 'rejected',
      reason: { name: 'StorageError', failure: 'unavailable' },
    })
  }
  await database.close()
})

test.each([[false], [true]])(
  'who holds a name sees what earlier holders committed; grouped: %s',
  async (grouped) => {
    await using place = await createPlace('postgres')
    const [one, other] = [await openLedger(place), place.open()]
    const isHeld = signal()
    let seen: string[] = []
    await Promise.all([
      one.transaction(async (queries) => {
        await queries.hold?.('name')
        isHeld.give()
        await sleep(300)
        await enter(queries, 'one')
      }),
      isHeld.promise.then(() =>
        other.transaction(
          async (queries) => {
            await queries.hold?.('name')
            seen = await readEntries(queries)
          },
          { grouped },
        ),
      ),
    ])
    expect(seen).toEqual(['one'])
  },
)

test('a lock that is held too long is unavailable; the transaction is undone', async () => {
  await using place = await createPlace('postgres')
  const database = await openLedger(place)
  await database.transaction((queries) => enterName(queries, 'before'))
  const holder = new Client({ connectionString: place.url })
  await holder.connect()
  await holder.query("begin; select * from lease where tenant_id = 'ledger' for update")
  const blocked = database.transaction((queries) => enter(queries, 'blocked'))
  await expect(blocked).rejects.toMatchObject({ failure: 'unavailable' })
  await holder.query('rollback')
  await holder.end()
  expect(await readEntries(database.reader)).toEqual(['before'])
})

test("the address's own session options are kept beside ours", async () => {
  await using place = await createPlace('postgres')
  const url = new URL(place.url)
  url.searchParams.set('options', '-c work_mem=3MB')
  const client = new Client(clientConfig(url.href, 'default_transaction_read_only=on'))
  await client.connect()
  try {
    const memory = await client.query('show work_mem')
    const readOnly = await client.query('show default_transaction_read_only')
    expect([memory.rows, readOnly.rows]).toEqual([
      [{ work_mem: '3MB' }],
      [{ default_transaction_read_only: 'on' }],
    ])
  } finally {
    await client.end()
  }
})

test('whatever does not come from the server is a lost connection', () => {
  const failure = translatePostgres(new Error('Query read timeout'))
  expect(failure).toMatchObject({ failure: 'unavailable' })
  expect(isUnavailable(failure)).toBe(true)
})
