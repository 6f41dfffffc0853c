import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { type Queries, StorageError, type StorageObserver } from './queries.ts'
import type { Compiled, Statement, Value } from './statement.ts'

/**
 * Primary result codes (sqlite.org/rescode.html) after which the transaction as a whole is in doubt: ABORT, NOMEM,
 * READONLY, INTERRUPT, IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL, NOLFS, NOTADB.
 */
const fatalCodes: ReadonlySet<number> = new Set([4, 7, 8, 9, 10, 11, 13, 14, 15, 22, 26])
const busyCodes: ReadonlySet<number> = new Set([5, 6])
/** Extended codes of a primary key or unique index that is taken. */
const takenCodes: ReadonlySet<number> = new Set([1555, 2067])

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
  if (takenCodes.has(error.errcode)) {
    // "UNIQUE constraint failed: lease.tenant_id, lease.name", or "index 'name'" for an index over expressions.
    const place = error.message.slice(error.message.indexOf(': ') + 2)
    return new StorageError('taken', 'The key is taken.', place, error)
  }
  if (fatalCodes.has(code) || busyCodes.has(code)) {
    return new StorageError('unavailable', 'The database cannot be written or read now.', '', error)
  }
  return error
}

/** Of pages; the operating system has the others at hand. */
const writerCacheKib = 16_384
const readerCacheKib = 1_024

export type TransactionCommand =
  | 'begin'
  | 'begin immediate'
  | 'commit'
  | 'savepoint unit'
  | 'release unit'

interface Prepared {
  readonly statement: StatementSync
  readonly columns: readonly string[]
  /** Has all columns; a copy of it keeps its shape, which an object that grows column by column would lose. */
  readonly blankRow: Readonly<Record<string, Value>>
}

/** One connection to an SQLite file: keeps its prepared statements, runs synchronously. */
export class SqliteConnection implements Queries {
  readonly #db: DatabaseSync
  /** Statements that the program knows are few and stay prepared; those built for a request come and go. */
  readonly #fixed = new Map<string, Prepared>()
  readonly #adHoc = new Map<string, Prepared>()
  readonly #commands = new Map<TransactionCommand, StatementSync>()
  readonly #observer: StorageObserver | undefined
  /** How many statements may have changed something. One that failed changed nothing: the engine undoes it by itself. */
  writesCount = 0

  constructor(path: string, options: { readOnly: boolean }, observer?: StorageObserver) {
    this.#db = new DatabaseSync(path, { readOnly: options.readOnly, timeout: 0 })
    this.#observer = observer
    // No sort and no temporary table touches the disk.
    const cacheKib = options.readOnly ? readerCacheKib : writerCacheKib
    this.#db.exec(
      // `like` compares bytes, as it does on PostgreSQL; whoever wants another case folds both sides.
      `pragma temp_store = memory; pragma cache_size = -${cacheKib}; pragma mmap_size = 0;
       pragma case_sensitive_like = on`,
    )
  }

  exec(sql: string): void {
    this.#db.exec(sql)
  }

  /** As `exec`, for one of the few statements that begin and end transactions: parsed once. */
  command(sql: TransactionCommand): void {
    let prepared = this.#commands.get(sql)
    if (prepared === undefined) {
      prepared = this.#db.prepare(sql)
      this.#commands.set(sql, prepared)
    }
    prepared.run()
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

  rows(sql: string): Record<string, unknown>[] {
    return this.#db.prepare(sql).all()
  }

  async all<P extends object, R>(statement: Statement<P, R>, parameters: P): Promise<R[]> {
    return this.allNow(statement, parameters)
  }

  async first<P extends object, R>(
    statement: Statement<P, R>,
    parameters: P,
  ): Promise<R | undefined> {
    return this.firstNow(statement, parameters)
  }

  async run<P extends object, R>(statement: Statement<P, R>, parameters: P): Promise<number> {
    return this.runNow(statement, parameters)
  }

  allNow<P extends object, R>(statement: Statement<P, R>, parameters: P): R[] {
    const compiled = statement.compiledFor('sqlite')
    try {
      const prepared = this.#prepare(compiled)
      const rows = prepared.statement.all(...compiled.values(parameters)) as unknown as Value[][]
      if (!compiled.reads) this.writesCount++
      return rows.map((values) => toRow<R>(prepared, values))
    } catch (error) {
      throw translateSqlite(error)
    }
  }

  firstNow<P extends object, R>(statement: Statement<P, R>, parameters: P): R | undefined {
    const compiled = statement.compiledFor('sqlite')
    try {
      const prepared = this.#prepare(compiled)
      const values = prepared.statement.get(...compiled.values(parameters)) as unknown as
        | Value[]
        | undefined
      if (!compiled.reads) this.writesCount++
      return values === undefined ? undefined : toRow<R>(prepared, values)
    } catch (error) {
      throw translateSqlite(error)
    }
  }

  runNow<P extends object, R>(statement: Statement<P, R>, parameters: P): number {
    const compiled = statement.compiledFor('sqlite')
    try {
      const { statement: prepared } = this.#prepare(compiled)
      const changedCount = Number(prepared.run(...compiled.values(parameters)).changes)
      if (changedCount > 0) this.writesCount++
      return changedCount
    } catch (error) {
      throw translateSqlite(error)
    }
  }

  close(): void {
    this.#fixed.clear()
    this.#adHoc.clear()
    this.#commands.clear()
    this.#db.close()
  }

  #prepare(compiled: Compiled): Prepared {
    this.#observer?.statementRun?.(compiled.sql)
    const kept = compiled.name === undefined ? this.#adHoc : this.#fixed
    const known = kept.get(compiled.sql)
    if (known !== undefined) return known
    if (this.#adHoc.size >= keptAdHocStatementsMax) this.#adHoc.clear()
    const statement = this.#db.prepare(compiled.sql)
    // The binding makes arrays in half the time of objects.
    statement.setReturnArrays(true)
    const columns = statement.columns().map(({ name }) => name)
    const blankRow = Object.fromEntries(columns.map((name) => [name, null]))
    const prepared = { statement, columns, blankRow }
    kept.set(compiled.sql, prepared)
    return prepared
  }
}

function toRow<R>({ columns, blankRow }: Prepared, values: readonly Value[]): R {
  const row: Record<string, Value> = { ...blankRow }
  for (let index = 0; index < columns.length; index++) {
    row[columns[index] ?? ''] = values[index] ?? null
  }
  return row as R
}
