import { type CompiledQuery, type RawBuilder, sql } from 'kysely'
import type { Engine } from './dialect.ts'
import type { Queries } from './queries.ts'
import {
  type Builder,
  type Compiled,
  dynamicStatement,
  nothing,
  type Statement,
  type Value,
} from './statement.ts'
import type { Table } from './tables.ts'

/** A whole row of any table: its values by column. */
export type Row = Readonly<Record<string, Value>>

/** One statement holds at most this many values; both engines allow more. */
const parametersMax = 15_000
const rowsMax = 500

/** How many rows of a table are read or written by one statement. */
export function batchRowsOf(table: Table): number {
  return Math.max(1, Math.min(rowsMax, Math.floor(parametersMax / table.columns.length)))
}

/** The next rows in order of the primary key, behind `after`; all columns. */
export async function readRows(
  queries: Queries,
  table: Table,
  after: Row | undefined,
  limit: number,
): Promise<Row[]> {
  const columns = names(table.columns.map(({ name }) => name))
  const behind = after === undefined ? sql`` : sql`where ${isBehind(table, after)}`
  return queries.all(
    plain<Row>(
      sql`select ${columns} from ${sql.table(table.name)} ${behind} order by ${names(table.key)} limit ${limit}`,
    ),
    nothing,
  )
}

/** All rows in order of the primary key, a bounded number at a time. */
export async function* rowsOf(
  queries: Queries,
  table: Table,
  startAfter?: Row,
): AsyncGenerator<Row[]> {
  const limit = batchRowsOf(table)
  let after = startAfter
  for (;;) {
    const rows = await readRows(queries, table, after, limit)
    if (rows.length > 0) yield rows
    if (rows.length < limit) return
    after = rows.at(-1)
  }
}

/** Writes rows; one whose key is there already is left as it is. */
export async function insertMissing(
  queries: Queries,
  table: Table,
  rows: readonly Row[],
): Promise<number> {
  const values = rows.flatMap((row) => table.columns.map(({ name }) => row[name] ?? null))
  const insert: Statement<object, unknown> = {
    compiledFor: (engine) => ({
      ...insertText(engine, table, rows.length),
      values: () => values,
    }),
  }
  return queries.run(insert, nothing)
}

const insertTexts = new Map<string, Compiled>()

/** The text for so many rows. That of full batches is kept, and parsed once by PostgreSQL. */
function insertText(engine: Engine, table: Table, rowCount: number): Compiled {
  const name = `insert_${table.name}_${rowCount}`
  const kept = insertTexts.get(engine + name)
  if (kept !== undefined) return kept
  const columns = table.columns.map((column) => column.name)
  const row = sql`(${sql.join(columns.map(() => sql`${null}`))})`
  const values = sql.join(Array.from({ length: rowCount }, () => row))
  const compiled = plain(
    sql`insert into ${sql.table(table.name)} (${names(columns)}) values ${values}
        on conflict (${names(table.key)}) do nothing`,
  ).compiledFor(engine)
  if (rowCount !== batchRowsOf(table)) return compiled
  const named = { ...compiled, name }
  insertTexts.set(engine + name, named)
  return named
}

export async function countRows(queries: Queries, table: Table): Promise<number> {
  const row = await queries.first(
    plain<{ count: number }>(sql`select count(*) as count from ${sql.table(table.name)}`),
    nothing,
  )
  return row?.count ?? 0
}

/** The row with the greatest key; its key columns only. */
export async function lastKey(queries: Queries, table: Table): Promise<Row | undefined> {
  const descending = sql.join(table.key.map((name) => sql`${sql.ref(name)} desc`))
  return queries.first(
    plain<Row>(
      sql`select ${names(table.key)} from ${sql.table(table.name)} order by ${descending} limit 1`,
    ),
    nothing,
  )
}

function isBehind(table: Table, after: Row): RawBuilder<unknown> {
  const values = table.key.map((name) => {
    const value = after[name]
    if (value === undefined) throw new TypeError(`A row of ${table.name} has no ${name}.`)
    return sql`${value}`
  })
  return sql`(${names(table.key)}) > (${sql.join(values)})`
}

function names(columns: readonly string[]): RawBuilder<unknown> {
  return sql.join(columns.map((name) => sql.ref(name)))
}

/** Statements over tables that are known by name only. */
function plain<R>(query: RawBuilder<R>): Statement<object, R> {
  return dynamicStatement((db: Builder) => ({
    compile: (): CompiledQuery<R> => query.compile(db),
  }))
}
