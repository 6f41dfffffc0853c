import { describe, expect, test } from 'vitest'
import { createPlace, engines } from '#test/storage/databases.ts'
import {
  claim,
  claimNext,
  countUp,
  enter,
  enterName,
  openCounter,
  readCounter,
  readEntries,
} from '#test/storage/ledger.ts'
import { fragment, fragmentStatement } from './fragment.ts'
import { type Database, type Queries, StorageError } from './queries.ts'
import { nothing, statement } from './statement.ts'

const modes = engines.flatMap((engine) => [
  { engine, grouped: false },
  { engine, grouped: true },
])

async function openLedger(database: Database): Promise<Database> {
  await database.migrate()
  await database.transaction((queries) => openCounter(queries))
  return database
}

/** Every entry has been counted, and nothing else has. */
async function expectWhole(database: Database, entries: readonly string[]): Promise<void> {
  expect(await readEntries(database.reader)).toEqual([...entries].sort())
  expect(await readCounter(database.reader)).toBe(entries.length)
}

describe.each(modes)('transactions on $engine, grouped: $grouped', ({ engine, grouped }) => {
  test('commit what was written, and the reader sees it from then on', async () => {
    await using place = await createPlace(engine)
    const database = await openLedger(place.open())
    const answer = await database.transaction((queries) => enter(queries, 'one'), { grouped })
    expect(answer).toBe('one')
    await expectWhole(database, ['one'])
  })

  test('read what they wrote themselves', async () => {
    await using place = await createPlace(engine)
    const database = await openLedger(place.open())
    const seen = await database.transaction(
      async (queries) => {
        await enter(queries, 'one')
        return readEntries(queries)
      },
      { grouped },
    )
    expect(seen).toEqual(['one'])
  })

  test('are undone by a throw, which reaches the caller unchanged', async () => {
    await using place = await createPlace(engine)
    const database = await openLedger(place.open())
    const reason = new Error('The connection timeout of a connection.')
    const refused = database.transaction(
      async (queries) => {
        await enter(queries, 'one')
        throw reason
      },
      { grouped },
    )
    await expect(refused).rejects.toBe(reason)
    await expectWhole(database, [])
  })

  test('are undone by a throw before the first await too', async () => {
    await using place = await createPlace(engine)
    const database = await openLedger(place.open())
    const reason = new Error('at once')
    const work = (): Promise<never> => {
      throw reason
    }
    await expect(database.transaction(work, { grouped })).rejects.toBe(reason)
    await database.transaction((queries) => enter(queries, 'next'), { grouped })
    await expectWhole(database, ['next'])
  })

  test('fail by themselves: neighbours of the same moment commit, each exactly once', async () => {
    await using place = await createPlace(engine)
    const database = await openLedger(place.open())
    await database.transaction((queries) => enter(queries, 'taken'), { grouped })
    const faults: ((queries: Queries) => Promise<unknown>)[] = [
      async (queries) => {
        await enter(queries, 'never')
        throw new Error('wrote, then threw')
      },
      async (queries) => {
        await readCounter(queries)
        throw new Error('threw before it wrote')
      },
      async (queries) => {
        await countUp(queries)
        await enterName(queries, 'taken')
      },
      async (queries) => {
        await countUp(queries)
        await enterName(queries, 'taken').catch(() => {})
        return 'swallowed'
      },
    ]
    const good = Array.from({ length: 40 }, (_, index) => `good-${index}`)
    const works = good.flatMap((name, index) => {
      const fault = faults[index % 10]
      const entry = (queries: Queries): Promise<unknown> => enter(queries, name)
      return fault === undefined ? [entry] : [fault, entry]
    })
    const outcomes = await Promise.allSettled(
      works.map((work) => database.transaction(work, { grouped })),
    )
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(good.length)
    await expectWhole(database, ['taken', ...good])
  })

  test('in which a statement failed are undone, even when their work goes on as if it had not', async () => {
    await using place = await createPlace(engine)
    const database = await openLedger(place.open())
    await database.transaction((queries) => enter(queries, 'taken'), { grouped })
    const stubborn = database.transaction(
      async (queries) => {
        await countUp(queries)
        await enterName(queries, 'taken').catch(() => {})
        await countUp(queries).catch(() => {})
        return 'done'
      },
      { grouped },
    )
    await expect(stubborn).rejects.toMatchObject({ failure: 'taken' })
    await expectWhole(database, ['taken'])
  })

  test('in which a statement fails that nobody waits for are undone', async () => {
    await using place = await createPlace(engine)
    const database = await openLedger(place.open())
    await database.transaction((queries) => enter(queries, 'taken'), { grouped })
    const careless = database.transaction(
      async (queries) => {
        await countUp(queries)
        enterName(queries, 'taken').catch(() => {})
      },
      { grouped },
    )
    await expect(careless).rejects.toMatchObject({ failure: 'taken' })
    await expectWhole(database, ['taken'])
  })

  test('take no statement after their end', async () => {
    await using place = await createPlace(engine)
    const database = await openLedger(place.open())
    let escaped: Queries | undefined
    await database.transaction(
      async (queries) => {
        escaped = queries
        await enter(queries, 'one')
      },
      { grouped },
    )
    const late = escaped
    if (late === undefined) throw new Error('The work did not run.')
    await expect(countUp(late)).rejects.toThrow('after the end of its transaction')
    await expect(readCounter(late)).rejects.toThrow('after the end of its transaction')
    await database.transaction(
      async (queries) => {
        await expect(countUp(late)).rejects.toThrow('after the end of its transaction')
        await enter(queries, 'two')
      },
      { grouped },
    )
    await expectWhole(database, ['one', 'two'])
  })

  test('that hang are given up and undone; neighbours commit, and what comes late is refused', async () => {
    await using place = await createPlace(engine)
    const limits = { unitMsMax: 2_000, transactionMsMax: 2_000 }
    const database = await openLedger(place.open({ limits }))
    let wake: () => void = () => {}
    const awake = new Promise<void>((resolve) => {
      wake = resolve
    })
    let runs = 0
    let late: Promise<unknown> = Promise.resolve()
    const hanging = database.transaction(
      async (queries) => {
        runs++
        // Not the counter too: its row would be locked against the neighbours.
        await enterName(queries, 'hung')
        await awake
        late = expect(countUp(queries)).rejects.toThrow('after the end of its transaction')
        await late
      },
      { grouped },
    )
    const names = Array.from({ length: 10 }, (_, index) => `good-${index}`)
    const good = names.map((name) => database.transaction((q) => enter(q, name), { grouped }))
    await expect(hanging).rejects.toMatchObject({ failure: 'unavailable' })
    await Promise.all(good)
    wake()
    await new Promise((resolve) => setTimeout(resolve, 20))
    await late
    expect(runs).toBe(1)
    await expectWhole(database, names)
  })

  test('beyond what may wait are refused at once; the others are served', async () => {
    await using place = await createPlace(engine)
    const limits = { queuedUnitsMax: 20, transactionsMax: 20 }
    const database = await openLedger(place.open({ limits }))
    const outcomes = await Promise.allSettled(
      Array.from({ length: 50 }, (_, index) =>
        database.transaction((queries) => enter(queries, `n${index}`), { grouped }),
      ),
    )
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected')
    expect(refused).toHaveLength(30)
    for (const { reason } of refused) expect(reason).toMatchObject({ failure: 'unavailable' })
    expect(await readCounter(database.reader)).toBe(20)
  })

  test('under way when the database is closed are finished; later ones are refused', async () => {
    await using place = await createPlace(engine)
    const database = await openLedger(place.open())
    const names = Array.from({ length: 50 }, (_, index) => `n${index}`)
    const running = names.map((name) => database.transaction((q) => enter(q, name), { grouped }))
    const closed = database.close()
    const late = database.transaction((queries) => enter(queries, 'late'), { grouped })
    await expect(late).rejects.toMatchObject({ failure: 'unavailable' })
    await Promise.all(running)
    await closed
    await expectWhole(place.open(), names)
  })

  test('R4: 200 racing claims: exactly as many are won as there are', async () => {
    await using place = await createPlace(engine)
    const database = await openLedger(place.open())
    await database.transaction((queries) => openCounter(queries, 'limited'))
    const won = await Promise.all(
      Array.from({ length: 200 }, () =>
        database.transaction((queries) => claim(queries, 'limited', 70), { grouped }),
      ),
    )
    expect(won.filter(Boolean)).toHaveLength(70)
    expect(await readCounter(database.reader, 'limited')).toBe(70)
  })

  test('R4: 200 racing reads and claims: no value is won twice', async () => {
    await using place = await createPlace(engine)
    const database = await openLedger(place.open())
    await database.transaction((queries) => openCounter(queries, 'next'))
    const values = await Promise.all(
      Array.from({ length: 200 }, () =>
        database.transaction((queries) => claimNext(queries, 'next'), { grouped }),
      ),
    )
    const won = values.filter((value) => value !== undefined)
    expect(won.length).toBeGreaterThan(0)
    expect(won.toSorted((one, other) => one - other)).toEqual([...won.keys()])
    expect(await readCounter(database.reader, 'next')).toBe(won.length)
  })
})

const insertValue = statement((db, p: { name: string; value: string }) =>
  db.insertInto('platform_value').values({ tenant_id: 't', name: p.name, value: p.value }),
)
const listValues = statement((db, _p: object) =>
  db
    .selectFrom('platform_value')
    .select(['name', 'value'])
    .where('tenant_id', '=', 't')
    .orderBy('name'),
)
const insertKey = statement((db, p: { version: number; wrapped: Uint8Array }) =>
  db.insertInto('tenant_key').values({
    tenant_id: 't',
    version: p.version,
    master_key_id: 'k',
    wrapped: p.wrapped,
    created_at: p.version,
  }),
)
const findKey = statement((db, p: { version: number }) =>
  db
    .selectFrom('tenant_key')
    .select(['version', 'wrapped'])
    .where('tenant_id', '=', 't')
    .where('version', '=', p.version),
)
const insertRepository = statement((db, p: { id: string }) =>
  db
    .insertInto('token_repository')
    .values({ tenant_id: 't', id: p.id, name: 'root', created_at: 1 }),
)

describe.each(engines)('values on %s', (engine) => {
  test.each([0, 1, -1, 2 ** 31, 2 ** 53 - 1, -(2 ** 53 - 1)])(
    'the integer %d comes back as it was',
    async (version) => {
      await using place = await createPlace(engine)
      const database = place.open()
      await database.migrate()
      await database.transaction((q) => q.run(insertKey, { version, wrapped: new Uint8Array() }))
      const found = await database.reader.first(findKey, { version })
      expect(found?.version).toBe(version)
    },
  )

  test('bytes come back as they were: none, all 256, a megabyte', async () => {
    await using place = await createPlace(engine)
    const database = place.open()
    await database.migrate()
    const samples = [
      new Uint8Array(),
      Uint8Array.from({ length: 256 }, (_, index) => index),
      Buffer.alloc(1_000_000, 0xa5),
    ]
    for (const [version, wrapped] of samples.entries()) {
      await database.transaction((queries) => queries.run(insertKey, { version, wrapped }))
      const found = await database.reader.first(findKey, { version })
      expect(Buffer.compare(Buffer.from(found?.wrapped ?? 'none'), wrapped)).toBe(0)
    }
  })

  test('texts come back as they were, and are sorted by their bytes', async () => {
    await using place = await createPlace(engine)
    const database = place.open()
    await database.migrate()
    const texts = ['', ' ', "'", '"', '\\', '%', '\n', 'A', 'Z', 'a', 'ä', 'z', 'é', 'e\u0301', 'ß']
    const wide = ['Ω', 'ж', '中', '\uffee', '😀', '\u{10fffd}', 'x'.repeat(100_000)]
    const all = [...texts, ...wide]
    await database.transaction(async (queries) => {
      for (const text of all)
        await queries.run(insertValue, { name: text.slice(0, 50), value: text })
    })
    const rows = await database.reader.all(listValues, nothing)
    const byBytes = all.toSorted((one, other) =>
      Buffer.compare(Buffer.from(one), Buffer.from(other)),
    )
    expect(rows.map(({ value }) => value)).toEqual(byBytes)
  })

  test.each([
    ['NUL', 'a\0b'],
    ['half of a pair', 'a\ud83d'],
  ])('a text with %s, which no two engines keep alike, is refused', async (_name, value) => {
    await using place = await createPlace(engine)
    const database = await openLedger(place.open())
    const refused = database.transaction(async (queries) => {
      await enter(queries, 'one')
      await queries.run(insertValue, { name: 'n', value })
    })
    await expect(refused).rejects.toBeInstanceOf(TypeError)
    await expectWhole(database, [])
  })

  test('a parameter that is missing is a TypeError, and the transaction is undone', async () => {
    await using place = await createPlace(engine)
    const database = await openLedger(place.open())
    const value = undefined as unknown as string
    const refused = database.transaction(async (queries) => {
      await enter(queries, 'one')
      await queries.run(insertValue, { name: 'n', value }).catch(() => {})
    })
    await expect(refused).rejects.toBeInstanceOf(TypeError)
    await expect(database.reader.all(findKey, {} as { version: number })).rejects.toThrow(TypeError)
    await expectWhole(database, [])
  })

  test('numbers and truths that a query computes are numbers', async () => {
    await using place = await createPlace(engine)
    const database = place.open()
    await database.migrate()
    await database.transaction(async (queries) => {
      await queries.run(insertKey, { version: 7, wrapped: new Uint8Array() })
      await queries.run(insertKey, { version: 8, wrapped: new Uint8Array() })
    })
    const computed = fragmentStatement<Record<string, unknown>>(
      fragment`(select 1 as one, 1 = 1 as yes, 1 = 2 as no, count(*) as n, sum(version) as total,
                max(version) as most from tenant_key)`,
    )
    expect({ ...(await database.reader.first(computed, nothing)) }).toEqual({
      one: 1,
      yes: 1,
      no: 0,
      n: 2,
      total: 15,
      most: 8,
    })
  })

  test('a key that is taken is told with its place', async () => {
    await using place = await createPlace(engine)
    const database = await openLedger(place.open())
    await database.transaction((queries) => enterName(queries, 'one'))
    const byKey = database.transaction((queries) => enterName(queries, 'one'))
    await expect(byKey).rejects.toBeInstanceOf(StorageError)
    await expect(byKey).rejects.toMatchObject({
      failure: 'taken',
      place: expect.stringContaining('platform_value'),
    })
    await database.transaction((queries) => queries.run(insertRepository, { id: '1' }))
    const byPartialIndex = database.transaction((q) => q.run(insertRepository, { id: '2' }))
    await expect(byPartialIndex).rejects.toMatchObject({
      failure: 'taken',
      place: expect.stringContaining('token_repository'),
    })
  })

  test('the reader cannot write, whatever it is given', async () => {
    await using place = await createPlace(engine)
    const database = await openLedger(place.open())
    await expect(countUp(database.reader)).rejects.toThrow('The reader does not write.')
    const disguised = database.reader.all(insertValue, { name: 'n', value: 'v' })
    await expect(disguised).rejects.toMatchObject({ failure: 'unavailable' })
    expect(await database.reader.all(listValues, nothing)).toEqual([])
  })
})
