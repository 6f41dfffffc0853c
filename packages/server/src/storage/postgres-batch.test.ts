import { Client } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestDatabase, type TestDatabase } from '#test/support/postgres.ts'
import { CandidateStore } from '../domain/verification/candidate-store.ts'
import { PostgresDatabase } from './postgres.ts'
import { sendInBatches } from './postgres-batch.ts'
import { clientConfig, PostgresConnection } from './postgres-connection.ts'
import { statement } from './statement.ts'

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

beforeAll(async () => {
  database = await createTestDatabase()
  const migrated = PostgresDatabase.open(database.url)
  await migrated.migrate()
  await migrated.close()
  client = new Client({ ...clientConfig(database.url), pipeline: true })
  await client.connect()
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

test('what decides by a condition is never collected: of equal writes one wins', async () => {
  sentTexts = []
  const counts = await Promise.all(
    Array.from({ length: 20 }, () => queries.run(change, { name: 'n1', value: 'changed' })),
  )
  expect(counts.filter((count) => count === 1)).toHaveLength(1)
  expect(sentTexts).toHaveLength(20)
})

test('the candidates of many verifications are one statement', async () => {
  const candidates = new CandidateStore(queries)
  sentTexts = []
  await Promise.all(names.map((serial) => candidates.listOwnedWithSerial('acme', serial)))
  expect(sentTexts).toHaveLength(1)
})
