import { describe, expect, test } from 'vitest'
import type { Engine } from './dialect.ts'
import { dynamicStatement, nothing, statement, type Value } from './statement.ts'

const find = statement((db, p: { tenantId: string; id: string; limit: number }) =>
  db
    .selectFrom('otp_token')
    .select('serial')
    .where('tenant_id', '=', p.tenantId)
    .where((eb) => eb.or([eb('id', '=', p.id), eb('serial', '=', p.id)]))
    .limit(p.limit),
)

const put = statement((db, p: { value: Value }) =>
  db
    .insertInto('platform_value')
    .values({ tenant_id: 't', name: 'n', value: p.value as string })
    .onConflict((conflict) => conflict.columns(['tenant_id', 'name']).doNothing()),
)

const engines: readonly Engine[] = ['sqlite', 'postgres']

describe.each(engines)('a statement for %s', (engine) => {
  test('is compiled once, under a name of its own', () => {
    const compiled = find.compiledFor(engine)
    expect(find.compiledFor(engine)).toBe(compiled)
    expect(compiled.name).toMatch(/^s\d+$/)
    expect(put.compiledFor(engine).name).not.toBe(compiled.name)
  })

  test('puts its parameters where the builder used them', () => {
    const { values } = find.compiledFor(engine)
    const given = { limit: 5, id: 'x', tenantId: 'acme' }
    // Marks of PostgreSQL have numbers, so that one value may stand in several places.
    const sent = engine === 'sqlite' ? ['acme', 'x', 'x', 5] : ['acme', 'x', 5]
    expect(values(given)).toEqual(sent)
    expect(values({ ...given, id: 'y' })).toEqual(sent.map((each) => (each === 'x' ? 'y' : each)))
  })

  test('knows by which of its values executions are apart, and that it uses them', () => {
    const change = (apartBy: readonly string[]) =>
      statement(
        (db, p: { id: string; serial: string }) =>
          db.updateTable('otp_token').set({ serial: p.serial }).where('id', '=', p.id),
        { apartBy },
      )
    expect(change(['id']).compiledFor(engine).apartBy).toEqual([1])
    expect(find.compiledFor(engine).apartBy).toBeUndefined()
    expect(() => change(['unused']).compiledFor(engine)).toThrow('apart')
  })

  test("writes the builder's own constants into the text, where planners see them", () => {
    const { sql, values } = put.compiledFor(engine)
    expect(values({ value: 'v' })).toEqual(['v'])
    expect(sql).toContain(engine === 'sqlite' ? "('t', 'n', ?)" : "('t', 'n', $1)")
  })

  test('a limit that is bound is nothing that SQLite plans by', () => {
    const { sql } = find.compiledFor(engine)
    expect(sql).toMatch(engine === 'sqlite' ? / limit 0 \+ \?$/ : / limit \$3$/)
    const ten = dynamicStatement((db) => db.selectFrom('otp_token').select('serial').limit(10))
    expect(ten.compiledFor(engine).sql).toMatch(
      engine === 'sqlite' ? / limit 0 \+ \?$/ : / limit \$1$/,
    )
  })

  test('a constant that would need quoting stays a parameter', () => {
    const odd = statement((db, p: { value: string }) =>
      db.insertInto('platform_value').values({ tenant_id: "o'clock", name: '?', value: p.value }),
    )
    expect(odd.compiledFor(engine).values({ value: 'v' })).toEqual(["o'clock", '?', 'v'])
  })

  test('knows whether it only reads', () => {
    expect(find.compiledFor(engine).reads).toBe(true)
    expect(put.compiledFor(engine).reads).toBe(false)
  })

  test.each<[string, object, string]>([
    ['a missing parameter', { tenantId: 'acme', id: 'x' }, 'limit missing'],
    ['an undefined one', { tenantId: 'acme', id: undefined, limit: 1 }, 'id missing'],
    ['NUL in a text', { tenantId: 'a\0b', id: 'x', limit: 1 }, 'tenantId containing U+0000'],
    ['half a pair', { tenantId: 'a\ud800', id: 'x', limit: 1 }, 'tenantId containing half of'],
    ['NaN', { tenantId: 'a', id: 'x', limit: Number.NaN }, 'limit that is no safe integer'],
    ['a fraction', { tenantId: 'a', id: 'x', limit: 1.5 }, 'limit that is no safe integer'],
    ['2^53', { tenantId: 'a', id: 'x', limit: 2 ** 53 }, 'limit that is no safe integer'],
  ])('refuses %s and says where', (_name, parameters, fault) => {
    const { values } = find.compiledFor(engine)
    expect(() => values(parameters)).toThrow(TypeError)
    expect(() => values(parameters)).toThrow(fault)
  })
})

test('each engine gets its own words for the same thing', () => {
  expect(find.compiledFor('sqlite').sql).toContain('limit 0 + ?')
  expect(find.compiledFor('postgres').sql).toContain('limit $3')
})

test('a dynamic statement is built at every run, without a name', () => {
  let builds = 0
  const list = dynamicStatement((db) => {
    builds++
    return db.selectFrom('lease').select('name').where('tenant_id', '=', 'acme')
  })
  expect(list.compiledFor('sqlite').name).toBeUndefined()
  expect(list.compiledFor('sqlite').values(nothing)).toEqual(['acme'])
  expect(builds).toBe(2)
})

test('a dynamic statement with a value that was left out is refused, never run without it', () => {
  const tenantId = undefined as unknown as string
  const list = dynamicStatement((db) =>
    db.insertInto('lease').values({ tenant_id: tenantId, name: 'n', holder: 'h', until_ms: 1 }),
  )
  const { sql, values } = list.compiledFor('sqlite')
  // Kysely leaves an undefined column out of an insert; the column is then missing and the database refuses.
  expect(sql).not.toContain('tenant_id')
  expect(values(nothing)).toEqual(['n', 'h', 1])
})
