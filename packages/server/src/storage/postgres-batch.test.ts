import { sql } from 'kysely'
import { Client } from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createTestDatabase, type TestDatabase } from '#test/support/postgres.ts'
import { CandidateStore } from '../domain/verification/candidate-store.ts'
import { PostgresDatabase } from './postgres.ts'
import { sendInBatches } from './postgres-batch.ts'
import { clientConfig, PostgresConnection } from './postgres-connection.ts'
import { integerParameter, statement } from './statement.ts'

const put = statement((db, p: { tenantId: string; name: string; value: string }) =>
  db.insertInto('platform_value').values({ tenant_id: p.tenantId, name: p.name, value: p.value }),
)
const find = statement((db, p: { name: string }) =>
  db
    .selectFrom('platform_value as p')
    .select(['p.name', 'p.value'])
    .where('p.tenant_id', '=', 'acme')
    .where('p.name', '=', p.name),
)
const change = statement((db, p: { name: string; value: string }) =>
  db
    .updateTable('platform_value')
    .set({ value: p.value })
    .where('tenant_id', '=', 'acme')
    .where('name', '=', p.name)
    .where('value', '<>', p.value),
)

let database: TestDatabase
let client: Client
let sentTexts: string[] = []
let queries: PostgresConnection

/** A connection as groups have it. */
async function connect(): Promise<{ client: Client } & AsyncDisposable> {
  const connected = new Client({ ...clientConfig(database.url), pipeline: true })
  await connected.connect()
  return { client: connected, [Symbol.asyncDispose]: () => connected.end() }
}

/** Until the server says that the connection waits for a lock. */
async function waitUntilBlocked(waiting: Client): Promise<void> {
  const { processID } = waiting as unknown as { processID: number }
  await using watcher = await connect()
  await expect
    .poll(async () => {
      const { rows } = await watcher.client.query<{ type: string }>(
        'select wait_event_type as type from pg_stat_activity where pid = $1',
        [processID],
      )
      return rows[0]?.type
    })
    .toBe('Lock')
}

beforeAll(async () => {
  database = await createTestDatabase()
  const migrated = PostgresDatabase.open(database.url)
  await migrated.migrate()
  await migrated.close()
  ;({ client } = await connect())
  const { query } = client
  // Counts what goes to the server; everything is sent as it is.
  client.query = ((sent: { text: string }) => {
    sentTexts.push(sent.text)
    return Reflect.apply(query, client, [sent])
  }) as typeof client.query
  queries = new PostgresConnection(sendInBatches(client), undefined)
})
afterAll(async () => {
  await client.end()
  await database.drop()
})

const names = Array.from({ length: 50 }, (_name, index) => `n${index}`)

test('inserts and reads of one moment are one statement each, and everybody gets the own rows', async () => {
  sentTexts = []
  const counts = await Promise.all(
    names.map((name) => queries.run(put, { tenantId: 'acme', name, value: `of "${name}" {,}\\` })),
  )
  expect(counts).toEqual(names.map(() => 1))
  expect(sentTexts).toHaveLength(1)
  sentTexts = []
  const rows = await Promise.all([...names, 'nobody'].map((name) => queries.all(find, { name })))
  expect(rows).toEqual([...names.map((name) => [{ name, value: `of "${name}" {,}\\` }]), []])
  expect(sentTexts).toHaveLength(1)
})

test('the same name asked for twice is answered twice', async () => {
  const rows = await Promise.all([1, 2].map(() => queries.first(find, { name: 'n1' })))
  expect(rows.map((row) => row?.name)).toEqual(['n1', 'n1'])
})

test('what decides by a condition and does not say more is never collected: of equal writes one wins', async () => {
  sentTexts = []
  const counts = await Promise.all(
    Array.from({ length: 20 }, () => queries.run(change, { name: 'n1', value: 'changed' })),
  )
  expect(counts.filter((count) => count === 1)).toHaveLength(1)
  expect(sentTexts).toHaveLength(20)
})

describe('updates that are apart by a name', () => {
  const open = statement((db, p: { name: string }) =>
    db
      .insertInto('lease')
      .values({ tenant_id: 'acme', name: p.name, holder: 'nobody', until_ms: 0 })
      .onConflict((conflict) =>
        conflict.columns(['tenant_id', 'name']).doUpdateSet({ holder: 'nobody', until_ms: 0 }),
      ),
  )
  const raise = statement(
    (db, p: { name: string; holder: string | null; untilMs: number }) =>
      db
        .updateTable('lease')
        .set({ until_ms: p.untilMs, holder: p.holder as string })
        .where('tenant_id', '=', 'acme')
        .where('name', '=', p.name)
        .where('until_ms', '<', p.untilMs)
        .returning(['holder', 'until_ms']),
    { apartBy: ['name'] },
  )
  const holder = 'me'

  beforeEach(async () => {
    await Promise.all(names.map((name) => queries.run(open, { name })))
    sentTexts = []
  })

  test('are one statement; each hears of its own row, or that there was none to change', async () => {
    const rows = await Promise.all(
      ['nobody', ...names].map((name, index) =>
        queries.all(raise, { name, holder: `of ${name}`, untilMs: index }),
      ),
    )
    expect(rows).toEqual([
      [],
      ...names.map((name, index) => [{ holder: `of ${name}`, until_ms: index + 1 }]),
    ])
    expect(sentTexts).toHaveLength(1)
    const counts = await Promise.all(
      names.map((name, index) => queries.run(raise, { name, holder, untilMs: 2 * index })),
    )
    expect(counts).toEqual(names.map((_name, index) => (index > 1 ? 1 : 0)))
  })

  test('R4: come to the same row one after another, in the order in which they were asked for', async () => {
    const steps = [5, 6, 6, 5, 7]
    const counts = await Promise.all(
      steps.flatMap((untilMs) =>
        names.map((name) => queries.run(raise, { name, holder, untilMs })),
      ),
    )
    expect(counts).toEqual([1, 1, 0, 0, 1].flatMap((count) => names.map(() => count)))
    expect(sentTexts).toHaveLength(steps.length)
  })

  test('R4: meet those of another connection: who waited decides by what was committed', async () => {
    await using other = await connect()
    const others = new PostgresConnection(sendInBatches(other.client), undefined)
    await client.query('begin')
    const first = await Promise.all(
      names.map((name, index) => queries.run(raise, { name, holder, untilMs: 10 + (index % 2) })),
    )
    await other.client.query('begin')
    const second = Promise.all(
      names.toReversed().map((name) => others.run(raise, { name, holder: 'other', untilMs: 11 })),
    )
    await waitUntilBlocked(other.client)
    await client.query('commit')
    expect(first).toEqual(names.map(() => 1))
    // Those that are at 10 now are raised to 11; those that are at 11 already are not.
    expect(await second).toEqual(
      names.map((_name, index) => (index % 2 === 0 ? 1 : 0)).toReversed(),
    )
    await other.client.query('commit')
  })

  test('lock their rows in one order, in whatever order they were asked for', async () => {
    await using holding = await connect()
    await using other = await connect()
    const holders = new PostgresConnection(sendInBatches(holding.client), undefined)
    const others = new PostgresConnection(sendInBatches(other.client), undefined)
    await holding.client.query('begin')
    await holders.run(raise, { name: 'n25', holder, untilMs: 1 })
    const run = (on: PostgresConnection, order: readonly string[]): Promise<number[]> =>
      Promise.all(order.map((name) => on.run(raise, { name, holder, untilMs: 2 })))
    const running = [run(queries, names), run(others, names.toReversed())]
    await Promise.all([client, other.client].map(waitUntilBlocked))
    await holding.client.query('commit')
    // Each of them would hold what the other waits for, and one of them be ended by the server.
    const won = (await Promise.all(running)).flat().filter((count) => count === 1)
    expect(won).toHaveLength(names.length)
  })

  test('may have values that are null, some or all, and are sent alone where a type is unclear', async () => {
    const counts = await Promise.all(
      names.map((name, index) => {
        const isFirst = index === 0
        return queries.run(raise, {
          name: isFirst ? 'nobody' : name,
          holder: isFirst ? null : holder,
          untilMs: 3,
        })
      }),
    )
    expect(counts).toEqual(names.map((_name, index) => (index === 0 ? 0 : 1)))
    expect(sentTexts).toHaveLength(1)
    const orFar = statement(
      (db, p: { name: string; limit: number | null }) =>
        db
          .updateTable('lease')
          .set({ until_ms: sql`coalesce(${integerParameter(p.limit)}, 9)` })
          .where('tenant_id', '=', 'acme')
          .where('name', '=', p.name),
      { apartBy: ['name'] },
    )
    sentTexts = []
    await Promise.all(names.map((name) => queries.run(orFar, { name, limit: null })))
    expect(sentTexts).toHaveLength(1)
    expect(await queries.run(raise, { name: 'n1', holder, untilMs: 9 })).toBe(0)
    expect(await queries.run(raise, { name: 'n1', holder, untilMs: 10 })).toBe(1)
    sentTexts = []
    const mixed = await Promise.all(
      ['n1', 'n2'].map((name, index) =>
        queries.all(raise, { name, holder: (index === 0 ? 'text' : 2) as string, untilMs: 11 }),
      ),
    )
    expect(mixed.map(([row]) => row?.holder)).toEqual(['text', '2'])
    expect(sentTexts).toHaveLength(2)
  })

  test('fail together where one fails', async () => {
    const outcomes = await Promise.allSettled(
      names.map((name) =>
        queries.run(raise, { name, holder: name === 'n7' ? null : holder, untilMs: 3 }),
      ),
    )
    expect(outcomes.map(({ status }) => status)).toEqual(names.map(() => 'rejected'))
    queries = new PostgresConnection(sendInBatches(client), undefined)
    const rows = await Promise.all(
      names.map((name) => queries.run(raise, { name, holder, untilMs: 1 })),
    )
    expect(rows).toEqual(names.map(() => 1))
  })

  test('that fail in a group are undone, and each is tried again by itself', async () => {
    const grouped = PostgresDatabase.open(database.url)
    const outcomes = await Promise.allSettled(
      names.map((name) =>
        grouped.transaction(
          (unit) => unit.run(raise, { name, holder: name === 'n7' ? null : holder, untilMs: 3 }),
          { grouped: true },
        ),
      ),
    )
    await grouped.close()
    expect(
      outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : 'failed')),
    ).toEqual(names.map((name) => (name === 'n7' ? 'failed' : 1)))
  })
})

test('an update that cannot be run for many at once may not say that it is apart', async () => {
  const nested = statement(
    (db, p: { name: string }) =>
      db
        .updateTable('lease')
        .set((eb) => ({
          holder: eb
            .selectFrom('platform_value')
            .select('value')
            .where('name', '=', p.name)
            .$asScalar(),
        }))
        .where('name', '=', p.name),
    { apartBy: ['name'] },
  )
  await expect(queries.run(nested as never, { name: 'n1' })).rejects.toThrow('apart')
  queries = new PostgresConnection(sendInBatches(client), undefined)
})

test('the candidates of many verifications are one statement', async () => {
  const candidates = new CandidateStore(queries)
  sentTexts = []
  await Promise.all(names.map((serial) => candidates.listOwnedWithSerial('acme', serial)))
  expect(sentTexts).toHaveLength(1)
})
