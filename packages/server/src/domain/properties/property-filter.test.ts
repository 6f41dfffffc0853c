import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { analyse, explain, StatementWatch } from '#test/storage/query-plans.ts'
import { createReadyTestCore, engines, type TestCore } from '#test/support/core.ts'
import {
  compareWithReference,
  type FieldReader,
  leafOf,
  textOperators,
  texts,
  treeOf,
} from '../filter/filter.fixture.ts'
import { type FilterProperties, parseFilters } from '../filter/filter-parser.ts'
import { plainTraits, type StoredProperty } from './property.ts'
import { namesOf } from './property-names.ts'
import { isOrdered, orderKey, type PropertyType } from './property-value.ts'

/** A property as the reference sees it. */
interface Row {
  readonly id: string
  readonly name: string
  readonly type: PropertyType
  readonly value: string
  readonly isSealed: boolean
}
type Field = 'id' | 'name' | 'value'

const fields: FilterProperties = {
  name: { field: 'name', kind: 'text' },
  id: { field: 'id', kind: 'text' },
  value: { field: 'value', kind: 'text' },
}
const tenantId = 'acme'
const cores: TestCore[] = []
const watches: StatementWatch[] = []

beforeAll(async () => {
  for (const engine of engines) {
    const observer = new StatementWatch()
    cores.push(await createReadyTestCore({ engine, observer }))
    watches.push(observer)
  }
})
afterAll(async () => {
  for (const core of cores) await core[Symbol.asyncDispose]()
})

let ownerCount = 0

/** Stores rows in both databases, for a user of their own. */
async function store(rows: readonly Row[], visibility: StoredProperty['visibility'] = []) {
  const owner = { tenantId, userId: `u${++ownerCount}`, deviceId: null }
  const head = { ...plainTraits, ...owner, visibility, version: 1, createdAtMs: 0, updatedAtMs: 0 }
  for (const { storage } of cores) {
    await storage.transaction(async ({ properties }) => {
      for (const { id, name, type, value, isSealed } of rows) {
        const key = isOrdered(type) ? (orderKey(type, value) ?? null) : null
        const stored = isSealed ? { sealed: Buffer.from('x') } : { text: value, orderKey: key }
        await properties.insert({ ...head, id: `${owner.userId}-${id}`, name, type, stored })
      }
    })
  }
  return owner
}

/** The ids of the rows that pass, on each engine; the totals must say the same. */
async function select(
  owner: Awaited<ReturnType<typeof store>>,
  filters: readonly string[],
  limit = 10_000,
): Promise<string[][]> {
  const condition = parseFilters(filters, fields)
  const search = { condition, offset: 0, limit }
  return Promise.all(
    cores.map(async ({ storage }) => {
      const found = await storage.read.propertySearch.searchForPortal(owner, search)
      expect(Math.min(found.totalCount, limit)).toBe(found.items.length)
      return found.items.map(({ id }) => id.slice(owner.userId.length + 1))
    }),
  )
}

/** By the words of ast.md, section 3: exact, and with none of the keys that the database sorts by. */
function readerOf(row: Row, userId: string): FieldReader<Field> {
  const { id, name, type, value: text, isSealed } = row
  return (field) => {
    if (field === 'id') return { text: `${userId}-${id}` }
    if (field === 'name') return { text: name }
    if (isSealed) return 'hidden'
    const toNumber = { INTEGER: exactNumber, DATE: exactMoment }[type as 'INTEGER']
    if (toNumber === undefined) return { text }
    const stored = toNumber(text)
    return {
      text,
      orderOf: (written) => {
        const other = toNumber(written)
        return stored === undefined || other === undefined ? undefined : signOf(stored, other)
      },
    }
  }
}

/** Units of the last digit after the point, and how many digits those are. */
interface Exact {
  readonly units: bigint
  readonly digits: number
}

function exactNumber(text: string): Exact | undefined {
  if (!/^-?\d+(\.\d+)?$/.test(text)) return undefined
  const [whole = '', fraction = ''] = text.split('.')
  return { units: BigInt(whole + fraction), digits: fraction.length }
}

function exactMoment(text: string): Exact | undefined {
  const [, begin, fraction = '', offset] = /^(.{19})(?:\.(\d+))?(.+)$/.exec(text) ?? []
  const seconds = Date.parse(`${begin}${offset}`) / 1_000
  if (!Number.isInteger(seconds) || !/^\d{4}-.*[Z\d]$/i.test(text)) return undefined
  const digits = fraction.length
  return { units: BigInt(seconds) * 10n ** BigInt(digits) + BigInt(fraction || 0), digits }
}

function signOf(one: Exact, other: Exact): number {
  const left = one.units * 10n ** BigInt(other.digits)
  const right = other.units * 10n ** BigInt(one.digits)
  return left < right ? -1 : Number(left > right)
}

const integers = ['0', '-1', '1', '7', '10', '9223372036854775807', '-9223372036854775808'] as const
const dates = [
  '2026-05-21T10:00:00Z',
  '2026-05-21T12:00:00.0001+02:00',
  '2026-05-21t09:59:59.9999999Z',
  '1969-12-31T23:59:59.5Z',
  '0000-01-01T00:00:00+23:59',
  '9999-12-31T23:59:59.999999999-23:59',
] as const
const numbers = [
  '0.0',
  '-0.5',
  '-1.0',
  '007',
  '9.99',
  '10.000',
  '9223372036854775807.5',
  '9223372036854775808',
  '-9223372036854775808.1',
  '99999999999999999999999999999',
  '-99999999999999999999999999999',
] as const

const rows: fc.Arbitrary<Row[]> = fc
  .uniqueArray(
    fc
      .tuple(
        texts,
        fc.oneof(
          fc.record({ type: fc.constant('INTEGER' as const), value: fc.constantFrom(...integers) }),
          fc.record({ type: fc.constant('DATE' as const), value: fc.constantFrom(...dates) }),
          fc.record({ type: fc.constant('UTF8STRING' as const), value: texts }),
          fc.record({
            type: fc.constant('UTF8STRING' as const),
            value: fc.constantFrom('7', '10'),
          }),
          fc.record({
            type: fc.constant('BOOLEAN' as const),
            value: fc.constantFrom('true', 'false'),
          }),
          fc.record({ type: fc.constant('OCTETSTRING' as const), value: fc.constant('YWI=') }),
        ),
        fc.integer({ min: 0, max: 5 }),
      )
      .map(([name, typed, chance]) => ({ name, ...typed, isSealed: chance === 0 })),
    { minLength: 4, maxLength: 12, selector: ({ name }) => name },
  )
  .map((all) => all.map((row, index) => ({ ...row, id: String(index).padStart(3, '0') })))

const values = fc.oneof(
  fc.constantFrom(...integers, ...numbers),
  fc.constantFrom(...dates),
  fc.constantFrom('true', 'YWI=', '7', '10'),
  texts,
)
const tree = treeOf<Field>(
  fc.oneof(
    leafOf(fc.constant('name'), textOperators, texts),
    leafOf(fc.constant('value'), textOperators, values),
    leafOf(fc.constant('value'), textOperators, values),
    leafOf(fc.constant('id'), textOperators, texts),
  ),
)
const fieldNames = { name: 'name', id: 'id', value: 'value' }

function numbered(count: number): Row[] {
  return Array.from({ length: count }, (_, index) => ({
    id: String(count - index).padStart(4, '0'),
    name: `name-${String(index).padStart(4, '0')}`,
    type: 'INTEGER',
    value: String(index),
    isSealed: false,
  }))
}

describe('filters of properties', () => {
  test('SQLite, PostgreSQL and the words of the page agree on random expressions and rows', async () => {
    const compared = await compareWithReference(
      {
        rows,
        tree,
        names: fieldNames,
        store,
        select,
        readerOf: (row, { userId }) => readerOf(row, userId),
      },
      25,
    )
    expect(compared).toBeGreaterThan(120)
  }, 60_000)

  test('look at no names but those that can fit, and at all of those', async () => {
    const condition = (text: string) => parseFilters([text], fields)
    expect(namesOf(condition('name=limit'))).toEqual({ from: 'limit', before: 'limiu' })
    expect(namesOf(condition('name like "a_b%"'))).toEqual({ from: 'a', before: 'b' })
    expect(namesOf(condition('name^="%_"'))).toEqual({ from: '%_', before: '%`' })
    expect(namesOf(condition('name^=a and (name^=ab and value=1)'))).toEqual({
      from: 'ab',
      before: 'ac',
    })
    expect(namesOf(condition('name^="\ud7ff"'))).toEqual({ from: '\ud7ff', before: '\ue000' })
    expect(namesOf(condition('name^="a\u{10ffff}"'))).toEqual({ from: 'a\u{10ffff}', before: 'b' })
    expect(namesOf(condition('name^="\u{10ffff}"'))).toEqual({ from: '\u{10ffff}' })
    for (const anywhere of ['name*=a', 'name^=a[i]', 'name^=a or name^=b', 'name!=a', 'value=a']) {
      expect(namesOf(condition(anywhere)), anywhere).toEqual({ from: '' })
    }
  })

  test('pass over several windows of rows, in order of ids', async () => {
    const all = numbered(450)
    const owner = await store(all)
    const wanted = all.filter(({ value }) => Number(value) >= 199).map(({ id }) => id)
    expect(await select(owner, ['value >= 199'])).toEqual([wanted.sort(), wanted])
    const both = wanted.slice(0, 20)
    expect(await select(owner, ['value >= 199', 'name^=name-'], 20)).toEqual([both, both])
  }, 20_000)

  test('made to take long leave the event loop to others, and look for no long texts', async () => {
    const value = 'a'.repeat(16_384)
    const all = Array.from({ length: 12 }, (_, index) => ({
      id: String(index + 10),
      name: `name-${index}`,
      type: 'UTF8STRING' as const,
      value,
      isSealed: false,
    }))
    const owner = await store(all)
    const condition = parseFilters([`value *= "${'a'.repeat(250)}_"`], fields)
    const search = { condition, offset: 0, limit: 5 }
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    const found = cores[0]?.storage.read.propertySearch.searchForPortal(owner, search)
    expect((await found)?.totalCount).toBe(0)
    clearInterval(timer)
    expect(turns).toBeGreaterThan(2)
    await expect(select(owner, [`value *= "${'a'.repeat(257)}"`])).rejects.toThrow('256 characters')
    await expect(
      select(
        owner,
        ['a', 'b'].map((one) => `value $= "${one.repeat(129)}"`),
      ),
    ).rejects.toThrow('256 characters')
  })

  test('do not show what the portal may not see', async () => {
    const row = { id: '1', name: 'name', type: 'BOOLEAN', value: 'true', isSealed: false } as const
    const hidden = await store([row], ['CLIENT', 'INTERNAL'])
    expect(await select(hidden, ['name=name'])).toEqual([[], []])
    const shown = await store([row], ['CLIENT', 'EXTERNAL'])
    expect(await select(shown, ['name=name'])).toEqual([['1'], ['1']])
  })

  test('and everything else that is asked for properties follow an index', async () => {
    await store(numbered(500))
    const owner = { tenantId, userId: 'u', deviceId: 'd' }
    for (const [index, { storage, test: on }] of cores.entries()) {
      await analyse(on.url)
      const watch = watches[index] ?? new StatementWatch()
      watch.clear()
      const { propertySearch, properties } = storage.read
      for (const text of ['name^=abc', 'value > 5 and name=x', 'id*=1']) {
        const condition = parseFilters([text], fields)
        await propertySearch.searchForPortal(owner, { condition, offset: 0, limit: 20 })
      }
      await propertySearch.searchForPortal(owner, { condition: undefined, offset: 0, limit: 20 })
      await properties.find(tenantId, 'p')
      await properties.findByName(owner, 'name')
      await properties.listForDevice(owner, { afterName: 'a', limit: 10 })
      await properties.hasAsMany(tenantId, 'u', 10)
      await storage.transaction(async (stores) => {
        await stores.properties.remove(tenantId, 'p')
        await stores.properties.removeOfUser(tenantId, 'u')
        await stores.properties.removeOfDevice(tenantId, 'd')
      })
      const ours = watch.distinct.filter((sql) => sql.includes('"property"'))
      expect(ours.length).toBeGreaterThanOrEqual(11)
      for (const sql of ours) {
        const { faults } = await explain(on.url, sql)
        expect(faults, sql).toEqual([])
      }
    }
  })
})
