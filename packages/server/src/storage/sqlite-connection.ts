import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { type Queries, StorageError, type StorageObserver } from './queries.ts'
import type { Compiled, Statement } from './statement.ts'

/** Primary result codes (sqlite.org/rescode.html) after which the transaction as a whole is in doubt. */
const fatalCodes: ReadonlySet<number> = new Set([7, 10, 11, 13, 14, 26])
const busyCodes: ReadonlySet<number> = new Set([5, 6])
const constraintCode = 19

const keptAdHocStatementsMax = 200

interface SqliteFailure {
  readonly errcode: number
  readonly message: string
}

function isSqliteFailure(error: unknown): error is Error & SqliteFailure {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number'
}

/** True when somebody else holds the lock and a repeat may work. */
export function isBusy(error: unknown): boolean {
  return isSqliteFailure(error) && busyCodes.has(error.errcode & 0xff)
}

/** True when the disk is full or broken: nothing that this transaction did can be relied on. */
export function isFatal(error: unknown): boolean {
  const cause = error instanceof StorageError ? error.cause : error
  return isSqliteFailure(cause) && fatalCodes.has(cause.errcode & 0xff)
}

/** Our name for what the driver threw; anything unknown passes unchanged. */
export function translateSqlite(error: unknown): unknown {
  if (!isSqliteFailure(error)) return error
  const code = error.errcode & 0xff
  if (code === constraintCode && /UNIQUE|PRIMARY KEY/.test(error.message)) {
    const place = /failed: (\w+)\.(.*)$/.exec(error.message)
    return new StorageError('taken', 'The key is taken.', place?.[0] ?? '', error)
  }
  if (fatalCodes.has(code) || busyCodes.has(code)) {
    return new StorageError('unavailable', 'The database cannot be written or read now.', '', error)
  }
  return error
}

/** One connection to an SQLite file: keeps its prepared statements, runs synchronously. */
export class SqliteConnection implements Queries {
  readonly #db: DatabaseSync
  readonly #kept = new Map<string, StatementSync>()
  readonly #observer: StorageObserver | undefined

  constructor(path: string, options: { readOnly: boolean }, observer?: StorageObserver) {
    this.#db = new DatabaseSync(path, { readOnly: options.readOnly, timeout: 0 })
    this.#observer = observer
    // A deleted row's bytes are overwritten, and no sort or temporary table touches the disk.
    this.#db.exec('pragma temp_store = memory; pragma cache_size = -32768; pragma mmap_size = 0')
  }

  exec(sql: string): void {
    this.#db.exec(sql)
  }

  /** True between `begin` and its end, as the engine sees it. */
  get inTransaction(): boolean {
    return this.#db.isTransaction
  }

  /** The first column of the first row of a plain query. */
  value(sql: string): unknown {
    const row = this.#db.prepare(sql).get()
    return row === undefined ? undefined : Object.values(row)[0]
  }

  row(sql: string): Record<string, unknown> | undefined {
    return this.#db.prepare(sql).get()
  }

  async all<P extends object, R>(statement: Statement<P, R>, parameters: P): Promise<R[]> {
    const compiled = statement.compiledFor('sqlite')
    try {
      return this.#prepare(compiled).all(...compiled.values(parameters)) as R[]
    } catch (error) {
      throw translateSqlite(error)
    }
  }

  async first<P extends object, R>(
    statement: Statement<P, R>,
    parameters: P,
  ): Promise<R | undefined> {
    const compiled = statement.compiledFor('sqlite')
    try {
      return this.#prepare(compiled).get(...compiled.values(parameters)) as R | undefined
    } catch (error) {
      throw translateSqlite(error)
    }
  }

  async run<P extends object, R>(statement: Statement<P, R>, parameters: P): Promise<number> {
    const compiled = statement.compiledFor('sqlite')
    try {
      return Number(this.#prepare(compiled).run(...compiled.values(parameters)).changes)
    } catch (error) {
      throw translateSqlite(error)
    }
  }

  close(): void {
    this.#kept.clear()
    this.#db.close()
  }

  #prepare(compiled: Compiled): StatementSync {
    this.#observer?.statementRun?.(compiled.sql)
    const kept = this.#kept.get(compiled.sql)
    if (kept !== undefined) return kept
    if (this.#kept.size >= keptAdHocStatementsMax) this.#kept.clear()
    const prepared = this.#db.prepare(compiled.sql)
    this.#kept.set(compiled.sql, prepared)
    return prepared
  }
}
