import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openDatabase } from '#storage/database.ts'
import { column, fragment, fragmentStatement, tableAs } from '#storage/fragment.ts'
import type { Database } from '#storage/queries.ts'
import { nothing, statement } from '#storage/statement.ts'
import { createTestDatabase } from '#test/support/postgres.ts'
import { compileCondition } from '../conditions/condition-store.ts'
import {
  compareWithReference,
  type FieldReader,
  leafOf,
  numberOperators,
  textOperators,
  texts,
  treeOf,
} from './filter.fixture.ts'
import { type FilterProperties, parseFilters } from './filter-parser.ts'

/** A row as the reference sees it: two texts, a number, a moment, each of which may be null. */
interface Row {
  readonly id: string
  readonly name: string | null
  readonly other: string | null
  readonly number: number | null
  readonly at: number | null
}
type Field = Exclude<keyof Row, 'id'>

const properties: FilterProperties = {
  name: { field: 'name', kind: 'text' },
  otherName: { field: 'other', kind: 'text' },
  number: { field: 'number', kind: 'number' },
  createdAt: { field: 'at', kind: 'instant' },
}
/** A table of the schema that has two texts and two numbers which may be null. */
const columns = {
  name: column('c', 'user_id'),
  other: column('c', 'failure'),
  number: column('c', 'revoked_at'),
  at: column('c', 'not_after'),
}

const databases: Database[] = []
const ends: (() => Promise<void>)[] = []

beforeAll(async () => {
  const own = await createTestDatabase()
  for (const url of ['sqlite::memory:', own.url]) {
    const database = openDatabase(url)
    await database.migrate()
    databases.push(database)
    ends.push(() => database.close())
  }
  ends.push(() => own.drop())
})
afterAll(async () => {
  for (const end of ends) await end()
})

const insert = statement((db, p: Row & { tenantId: string }) =>
  db.insertInto('certificate').values({
    tenant_id: p.tenantId,
    id: p.id,
    profile: '',
    status: '',
    issuer_id: '',
    user_id: p.name,
    device_id: null,
    public_key: null,
    requested_at: 0,
    issued_at: null,
    serial: null,
    not_after: p.at,
    revoked_at: p.number,
    revocation_reason: null,
    failure: p.other,
    due_at: 0,
    claim: null,
    updated_at: 0,
  }),
)

let tenantCount = 0

/** Stores rows in both databases, in a tenant of their own. */
async function store(rows: readonly Row[]): Promise<string> {
  const tenantId = `t${++tenantCount}`
  for (const database of databases) {
    await database.transaction(async (queries) => {
      for (const row of rows) await queries.run(insert, { ...row, tenantId })
    })
  }
  return tenantId
}

/** The ids of the rows that pass, on each engine. */
async function select(tenantId: string, texts: readonly string[]): Promise<string[][]> {
  const parsed = parseFilters(texts, properties)
  if (parsed === undefined) throw new Error('There is a filter.')
  const id = column('c', 'id')
  const query = fragmentStatement<{ id: string }>(
    fragment`(select ${id} from ${tableAs('certificate', 'c')}
      where ${column('c', 'tenant_id')} = ${tenantId} and ${compileCondition(parsed, columns)} order by ${id})`,
  )
  return Promise.all(
    databases.map(async ({ reader }) => (await reader.all(query, nothing)).map(({ id }) => id)),
  )
}

/** A row as the reference reads it. */
function readerOf(row: Row): FieldReader<Field> {
  return (field) => {
    const stored = row[field]
    if (typeof stored !== 'number') return stored === null ? null : { text: stored }
    const wanted = field === 'at' ? Date.parse : Number
    return { text: String(stored), orderOf: (written) => Math.sign(stored - wanted(written)) }
  }
}

const fieldNames = { name: 'name', other: 'otherName', number: 'number', at: 'createdAt' }
const moments = [
  '2023-11-14T22:13:20Z',
  '2023-11-14T23:13:20.001+01:00',
  '1969-12-31T23:59:59.999Z',
  '2024-02-29T00:00:00.0Z',
] as const
const numbers = [
  '0',
  '1',
  '-1',
  '007',
  '2.5',
  '-0.5',
  '5',
  '9007199254740993',
  '-99999999999999999999',
  '1e3'.replace('e3', '000'),
  '5.000',
  '4.99',
] as const

const rows: fc.Arbitrary<Row[]> = fc
  .array(
    fc.record({
      name: fc.option(texts),
      other: fc.option(texts),
      number: fc.option(fc.constantFrom(0, 1, -1, 2, 3, 4, 5, 7, 1000, Number.MAX_SAFE_INTEGER)),
      at: fc.option(
        fc.constantFrom(0, -1, 1, 1_700_000_000_000, 1_700_000_000_001, 1_709_164_800_000),
      ),
    }),
    { minLength: 4, maxLength: 12 },
  )
  .map((all) => all.map((row, index) => ({ ...row, id: String(index).padStart(3, '0') })))

const tree = treeOf<Field>(
  fc.oneof(
    leafOf(fc.constantFrom('name', 'other'), textOperators, texts),
    leafOf(fc.constant('number'), numberOperators, fc.constantFrom(...numbers)),
    leafOf(fc.constant('at'), numberOperators, fc.constantFrom(...moments)),
  ),
)

describe('filters', () => {
  test('SQLite, PostgreSQL and the words of the page agree on random expressions and rows', async () => {
    const how = { rows, tree, names: fieldNames, store, select, readerOf }
    const compared = await compareWithReference(how, 120)
    expect(compared).toBeGreaterThan(600)
  }, 60_000)

  test('whatever the parser takes can be asked, the deepest and the longest too', async () => {
    const tenantId = await store([{ id: '1', name: 'a', other: null, number: 5, at: null }])
    let deepest = 'name=x'
    for (let depth = 0; depth < 16; depth++) deepest = `name=x or name=a and (${deepest})`
    expect(await select(tenantId, [`${deepest} or name=a`, 'number=5'])).toEqual([['1'], ['1']])
    const longest = `name in {${Array(2_040).fill('b').join()},a}`
    expect(await select(tenantId, [longest])).toEqual([['1'], ['1']])
    const most = Array(64).fill('name=x').join(' or ')
    expect(await select(tenantId, [most])).toEqual([[], []])
  })
})
