import { Client } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestDatabase, type TestDatabase } from '#test/support/postgres.ts'
import { type ElementType, encodeArray } from './postgres-array.ts'

let database: TestDatabase
let client: Client
beforeAll(async () => {
  database = await createTestDatabase()
  client = new Client({ connectionString: database.url })
  await client.connect()
})
afterAll(async () => {
  await client.end()
  await database.drop()
})

/** What the server takes an array for, each element as its text. */
async function received(type: ElementType, values: readonly unknown[]): Promise<unknown[]> {
  const { rows } = await client.query<{ value: string | null }>({
    text: `select value::text from unnest($1::${type}[]) with ordinality as t(value, position) order by position`,
    values: [encodeArray(type, values)],
  })
  return rows.map(({ value }) => value)
}

test('texts arrive as they are, whatever is in them', async () => {
  const texts = [
    '',
    ' ',
    'plain',
    '"quoted" {a,b} \\ NULL',
    'NULL',
    'ä€漢😀',
    '\u0001\n\t',
    'x'.repeat(70_000),
  ]
  expect(await received('text', texts)).toEqual(texts)
})

test('integers arrive as they are, over the whole range', async () => {
  const { MAX_SAFE_INTEGER: max, MIN_SAFE_INTEGER: min } = Number
  const integers = [0, 1, -1, 2 ** 31, -(2 ** 31), 2 ** 32 - 1, 2 ** 32, -(2 ** 32) - 1, max, min]
  expect(await received('bigint', integers)).toEqual(integers.map(String))
})

test('null stands among them, and there may be none', async () => {
  expect(await received('text', ['a', null, 'b'])).toEqual(['a', null, 'b'])
  expect(await received('bigint', [null, 7, null])).toEqual([null, '7', null])
  expect(await received('bigint', [5])).toEqual(['5'])
})
