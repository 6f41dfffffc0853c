import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openDatabase } from '#storage/database.ts'
import { column, fragment, fragmentStatement, tableAs } from '#storage/fragment.ts'
import type { Database } from '#storage/queries.ts'
import { nothing, statement } from '#storage/statement.ts'
import { createTestDatabase } from '#test/support/postgres.ts'
import { compileCondition } from '../conditions/condition-store.ts'
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

/** An expression as the property makes it, beside its text. */
type Tree =
  | { readonly join: 'and' | 'or'; readonly left: Tree; readonly right: Tree }
  | {
      readonly field: Field
      readonly operator: string
      readonly values: readonly string[]
      readonly insensitive: boolean
    }

/** What the companion document says, with the means of the language alone. */
function holds(tree: Tree, row: Row): boolean {
  if ('join' in tree) {
    return tree.join === 'and'
      ? holds(tree.left, row) && holds(tree.right, row)
      : holds(tree.left, row) || holds(tree.right, row)
  }
  const { field, operator, values, insensitive } = tree
  const stored = row[field]
  const [first = ''] = values
  if (operator === 'null') return stored === null
  if (operator === 'not null') return stored !== null
  if (stored === null) return false
  const fold = (text: string) =>
    insensitive ? [...text].map((c) => (c >= 'A' && c <= 'Z' ? c.toLowerCase() : c)).join('') : text
  const orderOf = (value: string): number => {
    if (typeof stored === 'string') return compareCodePoints(fold(stored), fold(value))
    const wanted = field === 'at' ? Date.parse(value) : Number(value)
    return Math.sign(stored - wanted)
  }
  switch (operator) {
    case '=':
      return orderOf(first) === 0
    case '!=':
    case '<>':
      return orderOf(first) !== 0
    case '<':
      return orderOf(first) < 0
    case '<=':
      return orderOf(first) <= 0
    case '>':
      return orderOf(first) > 0
    case '>=':
      return orderOf(first) >= 0
    case 'in':
      return values.some((value) => orderOf(value) === 0)
    case '!in':
      return values.every((value) => orderOf(value) !== 0)
    case '^=':
      return fold(String(stored)).startsWith(fold(first))
    case '$=':
      return fold(String(stored)).endsWith(fold(first))
    case '*=':
      return fold(String(stored)).includes(fold(first))
    case 'like':
      return isLike([...fold(String(stored))], [...fold(first)])
    default:
      throw new Error(operator)
  }
}

function compareCodePoints(one: string, other: string): number {
  const [left, right] = [[...one], [...other]]
  for (const [index, character] of left.entries()) {
    const difference = (character.codePointAt(0) ?? 0) - (right[index]?.codePointAt(0) ?? -1)
    if (difference !== 0) return Math.sign(difference)
  }
  return left.length === right.length ? 0 : -1
}

function isLike(text: readonly string[], pattern: readonly string[]): boolean {
  const [head, ...rest] = pattern
  if (head === undefined) return text.length === 0
  if (head === '%')
    return text.some((_, index) => isLike(text.slice(index), rest)) || isLike([], rest)
  return text.length > 0 && (head === '_' || head === text[0]) && isLike(text.slice(1), rest)
}

const letters = [
  'a',
  'A',
  'b',
  'B',
  'z',
  'Z',
  '_',
  '%',
  '*',
  '?',
  '[',
  ']',
  '\\',
  '^',
  '-',
  ' ',
  '.',
  "'",
  '"',
  '0',
  '9',
  'ä',
  'Ä',
  'ß',
  'İ',
  'K',
  '\ue000',
  '😀',
  '\ufffd',
  ')',
  '{',
  ',',
] as const
const texts = fc.array(fc.constantFrom(...letters), { maxLength: 5 }).map((all) => all.join(''))
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

const textOperators = [
  '=',
  '!=',
  '<>',
  '<',
  '<=',
  '>',
  '>=',
  '^=',
  '$=',
  '*=',
  'like',
  'in',
  '!in',
  'null',
  'not null',
] as const
const numberOperators = [
  '=',
  '!=',
  '<>',
  '<',
  '<=',
  '>',
  '>=',
  'in',
  '!in',
  'null',
  'not null',
] as const

const tree: fc.Arbitrary<Tree> = fc.letrec<{ tree: Tree; leaf: Tree }>((tie) => ({
  leaf: fc.oneof(
    fc.record({
      field: fc.constantFrom('name', 'other'),
      operator: fc.constantFrom(...textOperators),
      values: fc.array(texts, { minLength: 1, maxLength: 3 }),
      insensitive: fc.boolean(),
    }),
    fc.record({
      field: fc.constant('number' as const),
      operator: fc.constantFrom(...numberOperators),
      values: fc.array(fc.constantFrom(...numbers), { minLength: 1, maxLength: 3 }),
      insensitive: fc.boolean(),
    }),
    fc.record({
      field: fc.constant('at' as const),
      operator: fc.constantFrom(...numberOperators),
      values: fc.array(fc.constantFrom(...moments), { minLength: 1, maxLength: 3 }),
      insensitive: fc.boolean(),
    }),
  ),
  tree: fc.oneof(
    { maxDepth: 4 },
    tie('leaf'),
    fc.record({
      join: fc.constantFrom('and' as const, 'or' as const),
      left: tie('tree'),
      right: tie('tree'),
    }),
  ),
})).tree

/** The text of an expression; `pick` draws among spellings. @returns undefined where no quotation can hold a value. */
function spell(tree: Tree, pick: <T>(...all: readonly T[]) => T): string | undefined {
  const blank = () => pick('', ' ', '\t ')
  if ('join' in tree) {
    const left = spell(tree.left, pick)
    const right = spell(tree.right, pick)
    if (left === undefined || right === undefined) return undefined
    const word = tree.join === 'and' ? pick('and', 'AND', '&&') : pick('or', 'OR', '||')
    const inBrackets = (part: Tree, text: string) =>
      'join' in part && (part.join !== tree.join || pick(true, false))
        ? `(${blank()}${text}${blank()})`
        : text
    return `${inBrackets(tree.left, left)} ${blank()}${word}${pick(' ', '\n')}${inBrackets(tree.right, right)}`
  }
  const values = tree.values.map((value) => quote(value, pick))
  if (values.includes(undefined)) return undefined
  const names = { name: 'name', other: 'otherName', number: 'number', at: 'createdAt' }
  const field = names[tree.field]
  const flags = tree.insensitive ? `${blank()}${pick('[i]', '[I]')}` : ''
  const { operator } = tree
  if (operator === 'null') return `${field}${blank()}=${blank()}${pick('null', 'NULL')}${flags}`
  if (operator === 'not null') return `${field}${blank()}${pick('!=', '<>')}${blank()}null${flags}`
  if (operator === 'like') return `${field} like ${values[0]}${flags}`
  if (operator === 'in')
    return `${field} in${blank()}{${blank()}${values.join(`${blank()},${blank()}`)}${blank()}}${flags}`
  if (operator === '!in') return `${field}${blank()}!in${blank()}{${values.join(',')}}${flags}`
  return `${field}${blank()}${operator}${blank()}${values[0]}${flags}`
}

function quote(value: string, pick: <T>(...all: readonly T[]) => T): string | undefined {
  const isBare = /^[A-Za-z0-9\-_%.]+$/.test(value) && value !== 'null' && value !== 'NULL'
  const ways = ["'", '"', '`']
    .filter((mark) => !value.includes(mark))
    .map((mark) => mark + value + mark)
  if (isBare) ways.push(value)
  return ways.length === 0 ? undefined : pick(...ways)
}

describe('filters', () => {
  test('SQLite, PostgreSQL and the words of the page agree on random expressions and rows', async () => {
    let compared = 0
    await fc.assert(
      fc.asyncProperty(
        rows,
        fc.array(tree, { minLength: 6, maxLength: 12 }),
        fc.gen(),
        async (all, trees, gen) => {
          const pick = <T>(...ways: readonly T[]) => gen(() => fc.constantFrom(...ways))
          const tenantId = await store(all)
          for (const one of trees) {
            const text = spell(one, pick)
            if (text === undefined) continue
            const wanted = all.filter((row) => holds(one, row)).map(({ id }) => id)
            expect(await select(tenantId, [text]), text).toEqual([wanted, wanted])
            compared++
          }
        },
      ),
      { numRuns: 120 },
    )
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
