import {
  type Compilable,
  type CompiledQuery,
  type Dialect,
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type RawBuilder,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  sql,
} from 'kysely'
import type { Engine } from './dialect.ts'
import type { Schema } from './schema.ts'

/** Builds queries over the schema; never runs them. */
export type Builder = Kysely<Schema>

export type Value = string | number | null | Uint8Array

/** What a builder puts where a parameter will stand. */
class Placeholder {
  readonly name: string
  constructor(name: string) {
    this.name = name
  }
}

/** One engine's text of a statement, and how its values are put in order. */
export interface Compiled {
  readonly sql: string
  /** True when the statement gives rows and changes nothing. */
  readonly reads: boolean
  readonly values: (parameters: object) => Value[]
  /** A name under which a server may keep the parsed form; undefined for statements built on the spot. */
  readonly name: string | undefined
  /** Places of the values of `apartBy`; undefined without. */
  readonly apartBy: readonly number[] | undefined
}

/** What an engine cannot see from a statement's text. */
export interface StatementOptions {
  /**
   * Names of parameters. Executions that differ in one of them have nothing to do with each other: neither changes what the
   * other changes or looks at, as with a conditional update of the one row that they name. They may be run as one
   * statement; executions that agree in all of them run one after another, in the order in which they came.
   */
  readonly apartBy?: readonly string[]
}

/** A query with named parameters `P` and rows `R`, compiled once for each engine. */
export interface Statement<P extends object, R> {
  compiledFor(engine: Engine): Compiled
  /** Never there; carries the types. */
  readonly types?: (parameters: P) => R
}

const dialects: Record<Engine, Dialect> = {
  sqlite: {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  },
  postgres: {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  },
}

const builders: Record<Engine, Builder> = {
  sqlite: new Kysely<Schema>({ dialect: dialects.sqlite }),
  postgres: new Kysely<Schema>({ dialect: dialects.postgres }),
}

let statementCount = 0

/**
 * A statement known when the program starts. The builder sees each parameter as its declared type and may use it wherever
 * a value may stand; in truth it is a placeholder that is filled in at every run.
 *
 *     const find = statement((db, p: { tenantId: string; id: string }) =>
 *       db.selectFrom('otp_token').select(['id', 'serial'])
 *         .where('tenant_id', '=', p.tenantId).where('id', '=', p.id))
 */
export function statement<P extends object, R>(
  build: (db: Builder, parameters: P) => Compilable<R>,
  { apartBy }: StatementOptions = {},
): Statement<P, R> {
  const compiled: Partial<Record<Engine, Compiled>> = {}
  const name = `s${++statementCount}`
  return {
    compiledFor(engine) {
      compiled[engine] ??= compile(engine, build(builders[engine], placeholders<P>()).compile(), {
        name,
        apartBy,
      })
      return compiled[engine]
    },
  }
}

/** A statement whose shape depends on the request, such as a list with optional filters. Compiled at every run. */
export function dynamicStatement<R>(build: (db: Builder) => Compilable<R>): Statement<object, R> {
  return {
    compiledFor: (engine) => compile(engine, build(builders[engine]).compile(), {}),
  }
}

/** A parameter in a place where PostgreSQL cannot tell its type by itself, such as a branch of `case`. */
export function integerParameter<T extends number | null>(value: T): RawBuilder<T> {
  return sql<T>`cast(${value} as bigint)`
}

/** A word of the program itself, never of a request, written into the text: planners take an index over a part of a table for it. */
export function constantWord<T extends string>(word: T): RawBuilder<T> {
  return sql<T>`${sql.lit(word)}`
}

/** No parameters. */
export const nothing = Object.freeze({})

function placeholders<P extends object>(): P {
  return new Proxy<Record<string, unknown>>(
    {},
    { get: (_target, name) => new Placeholder(String(name)) },
  ) as P
}

/**
 * On SQLite a limit that is bound stands in a sum: of a bare one the planner looks at the value, and therefore plans the
 * statement anew at every run, which takes longer than most statements.
 */
function compile(
  engine: Engine,
  query: CompiledQuery<unknown>,
  { name, apartBy }: { name?: string; apartBy?: readonly string[] | undefined },
): Compiled {
  const reads = query.query.kind === 'SelectQueryNode'
  // What a request brings is never part of a text; what the program itself says is, in statements known at start.
  const { sql, parts } =
    name === undefined ? { sql: query.sql, parts: query.parameters } : writeConstants(engine, query)
  const text = engine === 'sqlite' ? sql.replaceAll(' limit ?', ' limit 0 + ?') : sql
  const places = apartBy?.map((parameter) => placeOf(parts, parameter))
  if (places?.includes(-1)) throw new Error(`A statement does not use what it is apart by: ${sql}`)
  return {
    sql: text,
    reads,
    name,
    values: (parameters) => arrange(parts, parameters),
    apartBy: places,
  }
}

function placeOf(parts: readonly unknown[], parameter: string): number {
  return parts.findIndex((part) => part instanceof Placeholder && part.name === parameter)
}

/**
 * Puts a statement's own constants into its text. A planner can use an index over a part of a table only for a value that
 * it sees; SQLite would even plan the statement anew at every run.
 */
function writeConstants(
  engine: Engine,
  { sql, parameters }: CompiledQuery<unknown>,
): { sql: string; parts: readonly unknown[] } {
  const [start = '', ...rest] = sql.split(engine === 'sqlite' ? '?' : /\$\d+/)
  if (rest.length !== parameters.length) throw new Error('A statement holds a mark of its own.')
  const parts: unknown[] = []
  let text = start
  for (const [index, following] of rest.entries()) {
    const part = parameters[index]
    text += (literal(part) ?? mark(engine, parts, part)) + following
  }
  return { sql: text, parts }
}

/** PostgreSQL's marks have numbers: there a parameter is sent once, however often the statement uses it. */
function mark(engine: Engine, parts: unknown[], part: unknown): string {
  const known =
    engine === 'postgres' && part instanceof Placeholder ? placeOf(parts, part.name) : -1
  if (known >= 0) return `$${known + 1}`
  parts.push(part)
  return engine === 'sqlite' ? '?' : `$${parts.length}`
}

function literal(part: unknown): string | undefined {
  if (Number.isSafeInteger(part)) return String(part)
  return typeof part === 'string' && /^[A-Za-z0-9_ .:-]*$/.test(part) ? `'${part}'` : undefined
}

function arrange(parts: readonly unknown[], parameters: object): Value[] {
  const given = parameters as Readonly<Record<string, Value | undefined>>
  const values = new Array<Value>(parts.length)
  for (let index = 0; index < parts.length; index++) {
    const part = parts[index]
    const value = part instanceof Placeholder ? given[part.name] : (part as Value | undefined)
    const fault = faultOf(value)
    if (fault !== undefined) {
      const place = part instanceof Placeholder ? part.name : `value ${index + 1}`
      throw new TypeError(`A statement was run with ${place} ${fault}.`)
    }
    values[index] = value as Value
  }
  return values
}

/** What one engine refuses and the other changes in silence is refused on both: before it gets here is the time to ask. */
function faultOf(value: Value | undefined): string | undefined {
  if (typeof value === 'string') {
    if (value.includes('\0')) return 'containing U+0000'
    return value.isWellFormed() ? undefined : 'containing half of a surrogate pair'
  }
  if (typeof value === 'number') {
    return Number.isSafeInteger(value) ? undefined : 'that is no safe integer'
  }
  return value === undefined ? 'missing' : undefined
}
