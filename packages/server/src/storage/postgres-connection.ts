import {
  type ClientBase,
  type ClientConfig,
  type CustomTypesConfig,
  DatabaseError,
  type QueryResult,
} from 'pg'
import { type Queries, StorageError, type StorageObserver } from './queries.ts'
import type { Compiled, Statement, Value } from './statement.ts'

/** SQLSTATE 40001 and 40P01: the same work may succeed when it is run again. */
const repeatable: ReadonlySet<string> = new Set(['40001', '40P01'])
const uniqueViolation = '23505'
/** The database is full, stopping, read-only, out of connections or memory; a statement, lock or session timed out. */
const unavailableClasses = /^(08|53|57|58|25006|25P03|25P04|55P03|XX)/

/** By type: SQLite gives numbers for all of them too. Every integer of ours is a safe one. */
const parsers: Readonly<Record<number, (text: string) => unknown>> = {
  16: (text) => (text === 't' ? 1 : 0),
  17: (text) => Buffer.from(text.slice(2), 'hex'),
  20: Number,
  21: Number,
  23: Number,
  700: Number,
  701: Number,
  1700: Number,
}
const asText = (text: string): string => text

const types: CustomTypesConfig = {
  getTypeParser: ((oid: number) => parsers[oid] ?? asText) as CustomTypesConfig['getTypeParser'],
}

/**
 * Statements are planned once and as they are written: by index, nested, in the order of their joins. A planner that
 * reorders them by statistics is at its worst just after a large import, when there are none.
 */
const planning = [
  'plan_cache_mode=force_generic_plan',
  'join_collapse_limit=1',
  'enable_seqscan=off',
  'enable_hashjoin=off',
  'enable_mergejoin=off',
]

/** Session settings in the form of a connection's `options`. */
export function sessionOptions(...settings: readonly string[]): string {
  return [...planning, ...settings].map((setting) => `-c ${setting}`).join(' ')
}

/** Deadlines keep a lost server or a stuck lock from holding a request for ever. */
export function clientConfig(url: string, ...settings: readonly string[]): ClientConfig {
  const { connectionString, options } = takeOptions(url)
  return {
    connectionString,
    connectionTimeoutMillis: 5_000,
    statement_timeout: 9_000,
    lock_timeout: 5_000,
    idle_in_transaction_session_timeout: 15_000,
    query_timeout: 10_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    application_name: 'countersign',
    options: `${options} ${sessionOptions(...settings)}`.trimStart(),
    types,
  }
}

/** For connections that only read. */
export function readerConfig(url: string): ClientConfig {
  return clientConfig(url, 'default_transaction_read_only=on')
}

/**
 * For connections that write between `begin read write` and `commit`: the server itself refuses a write outside, such
 * as one that was sent behind a `begin` that failed.
 */
export const writerConfig = readerConfig

/** The address's own `options` would take the place of ours. */
function takeOptions(url: string): { connectionString: string; options: string } {
  const parsed = URL.parse(url)
  const options = parsed?.searchParams.get('options')
  if (!parsed || !options) return { connectionString: url, options: '' }
  parsed.searchParams.delete('options')
  return { connectionString: parsed.href, options }
}

function sqlState(error: unknown): string | undefined {
  const cause = error instanceof StorageError ? error.cause : error
  return cause instanceof DatabaseError ? cause.code : undefined
}

export function isRepeatable(error: unknown): boolean {
  return repeatable.has(sqlState(error) ?? '')
}

export function isUnavailable(error: unknown): boolean {
  return error instanceof StorageError && error.failure === 'unavailable' && !isRepeatable(error)
}

/** Our name for what the driver threw. */
export function translatePostgres(error: unknown): unknown {
  if (error instanceof StorageError) return error
  // What does not come from the server tells of a connection that is lost, late or closed.
  if (!(error instanceof DatabaseError)) return asUnavailable(error)
  const code = error.code ?? ''
  if (code === uniqueViolation) {
    return new StorageError('taken', 'The key is taken.', error.constraint ?? '', error)
  }
  return unavailableClasses.test(code) || repeatable.has(code) ? asUnavailable(error) : error
}

export function asUnavailable(error: unknown): StorageError {
  return new StorageError('unavailable', 'The database does not answer now.', '', error)
}

/**
 * Runs a plain command such as `commit`.
 *
 * @returns what the server says it did: a `commit` of a failed transaction answers `ROLLBACK`.
 */
export async function runCommand(client: ClientBase, text: string): Promise<string> {
  try {
    return (await client.query(text)).command
  } catch (error) {
    throw translatePostgres(error)
  }
}

/** What a statement gave. */
export type Result = Pick<QueryResult<Record<string, unknown>>, 'rows' | 'rowCount'>

/** Sends one statement with its values. @throws StorageError, or the driver's own error. */
export type Send = (compiled: Compiled, values: Value[]) => Promise<Result>

/** Sends every statement at once, by itself. */
export function sendDirectly(client: ClientBase): Send {
  return async ({ sql, name }, values) => {
    const query = { text: sql, values }
    try {
      return await client.query(name === undefined ? query : { ...query, name })
    } catch (error) {
      throw translatePostgres(error)
    }
  }
}

/**
 * An advisory lock, by a hash of 64 bits: names that share one only wait for each other. Marked as a write, so that it is
 * never put off and run together with others.
 */
const hold: Statement<{ name: string }, object> = {
  compiledFor: () => ({
    sql: 'select pg_advisory_xact_lock(hashtextextended($1, 0))',
    name: 'hold',
    reads: false,
    values: (parameters) => [(parameters as { name: string }).name],
    apartBy: undefined,
  }),
}

/** Runs statements on one connection; named, so that the server parses and plans each of them once. */
export class PostgresConnection implements Queries {
  readonly #send: Send
  readonly #observer: StorageObserver | undefined
  /** True once a statement of this transaction may have changed something. */
  hasWritten = false
  /** What the first failed statement threw. The server undoes a transaction in which a statement failed. */
  failure: { readonly error: unknown } | undefined
  #hasEnded = false

  constructor(send: Send, observer: StorageObserver | undefined) {
    this.#send = send
    this.#observer = observer
  }

  /** Closes a transaction's view, so that nothing is written late, perhaps into somebody else's transaction. */
  end(): void {
    this.#hasEnded = true
  }

  async all<P extends object, R>(statement: Statement<P, R>, parameters: P): Promise<R[]> {
    const { rows } = await this.#query(statement, parameters)
    return rows as R[]
  }

  async first<P extends object, R>(
    statement: Statement<P, R>,
    parameters: P,
  ): Promise<R | undefined> {
    const { rows } = await this.#query(statement, parameters)
    return rows[0] as R | undefined
  }

  async run<P extends object, R>(statement: Statement<P, R>, parameters: P): Promise<number> {
    const { rowCount } = await this.#query(statement, parameters)
    return rowCount ?? 0
  }

  async hold(name: string): Promise<void> {
    await this.#query(hold, { name })
  }

  async #query<P extends object, R>(statement: Statement<P, R>, parameters: P): Promise<Result> {
    if (this.#hasEnded) throw new Error('A statement came after the end of its transaction.')
    if (this.failure !== undefined) throw this.failure.error
    try {
      const compiled = statement.compiledFor('postgres')
      const values = compiled.values(parameters)
      if (!compiled.reads) this.hasWritten = true
      this.#observer?.statementRun?.(compiled.sql)
      return await this.#send(compiled, values)
    } catch (error) {
      this.failure ??= { error }
      throw error
    }
  }
}
