import type { Client, ClientConfig, CustomTypesConfig, QueryResult } from 'pg'
import { type Queries, StorageError, type StorageObserver } from './queries.ts'
import type { Statement } from './statement.ts'

/** SQLSTATE 40001 and 40P01: the same work may succeed when it is run again. */
const repeatable: ReadonlySet<string> = new Set(['40001', '40P01'])
const uniqueViolation = '23505'
/** The database is full, stopping, read-only, out of connections or memory; a statement or lock timed out. */
const unavailableClasses = /^(08|53|57|58|25006|55P03|XX)/
const networkCodes: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
])

const int8 = 20

/** 64-bit integers as numbers: every one of ours is a safe integer. */
const types: CustomTypesConfig = {
  getTypeParser: ((oid: number) => {
    if (oid === int8) return Number
    if (oid === 17) return (text: string) => Buffer.from(text.slice(2), 'hex')
    return (text: string) => text
  }) as CustomTypesConfig['getTypeParser'],
}

/** Deadlines keep a lost server or a stuck lock from holding a request for ever. */
export function clientConfig(url: string): ClientConfig {
  return {
    connectionString: url,
    connectionTimeoutMillis: 5_000,
    statement_timeout: 15_000,
    lock_timeout: 5_000,
    idle_in_transaction_session_timeout: 15_000,
    query_timeout: 20_000,
    application_name: 'countersign',
    types,
  }
}

interface PostgresFailure {
  readonly code: string
}

function isPostgresFailure(error: unknown): error is Error & PostgresFailure {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
}

export function isRepeatable(error: unknown): boolean {
  const cause = error instanceof StorageError ? error.cause : error
  return isPostgresFailure(cause) && repeatable.has(cause.code)
}

/** Our name for what the driver threw; anything unknown passes unchanged. */
export function translatePostgres(error: unknown): unknown {
  if (error instanceof StorageError) return error
  if (isPostgresFailure(error)) {
    if (error.code === uniqueViolation) {
      const place = 'constraint' in error ? String(error.constraint) : ''
      return new StorageError('taken', 'The key is taken.', place, error)
    }
    if (
      networkCodes.has(error.code) ||
      unavailableClasses.test(error.code) ||
      repeatable.has(error.code)
    ) {
      return new StorageError('unavailable', 'The database does not answer now.', '', error)
    }
    return error
  }
  // The driver's own errors of a lost or late connection carry no code.
  if (error instanceof Error && /connection|timeout|Client was closed/i.test(error.message)) {
    return new StorageError('unavailable', 'The database does not answer now.', '', error)
  }
  return error
}

/** Runs statements on one connection; named, so that the server parses and plans each of them once. */
export class PostgresConnection implements Queries {
  readonly #client: Client
  readonly #observer: StorageObserver | undefined
  /** True once a statement of this transaction may have changed something. */
  hasWritten = false
  /** True once a statement failed, which spoils the whole transaction. */
  hasFailed = false

  constructor(client: Client, observer: StorageObserver | undefined) {
    this.#client = client
    this.#observer = observer
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

  async #query<P extends object, R>(
    statement: Statement<P, R>,
    parameters: P,
  ): Promise<QueryResult<Record<string, unknown>>> {
    const compiled = statement.compiledFor('postgres')
    if (!compiled.reads) this.hasWritten = true
    this.#observer?.statementRun?.(compiled.sql)
    try {
      return await this.#client.query({
        text: compiled.sql,
        values: compiled.values(parameters),
        ...(compiled.name === undefined ? {} : { name: compiled.name }),
      })
    } catch (error) {
      this.hasFailed = true
      throw translatePostgres(error)
    }
  }
}
