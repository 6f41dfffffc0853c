import { Client } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestDatabase, type TestDatabase } from './postgres.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await createTestDatabase()
})

afterAll(() => database.drop())

async function query(url: string, statement: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url })
  try {
    await client.connect()
    return (await client.query(statement)).rows
  } finally {
    await client.end()
  }
}

test('a test database is real, empty and durable', async () => {
  expect(
    await query(database.url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"),
  ).toEqual([])
  expect(await query(database.url, 'SHOW fsync')).toEqual([{ fsync: 'on' }])
  expect(await query(database.url, 'SHOW synchronous_commit')).toEqual([
    { synchronous_commit: 'on' },
  ])
})

test('two test databases do not see each other, and a dropped one is gone', async () => {
  const other = await createTestDatabase()
  await query(other.url, 'CREATE TABLE mine (id int)')
  await expect(query(database.url, 'SELECT * FROM mine')).rejects.toMatchObject({ code: '42P01' })
  await other.drop()
  await expect(query(other.url, 'SELECT 1')).rejects.toMatchObject({ code: '3D000' })
})
