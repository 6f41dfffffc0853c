import { closeSync, mkdirSync, openSync, realpathSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { columnTypes } from './dialect.ts'
import {
  latestVersion,
  migrationsAfter,
  NewerSchemaError,
  versionTable,
} from './migrations/list.ts'
import {
  type Database,
  type Queries,
  StorageError,
  type StorageObserver,
  type TransactionOptions,
} from './queries.ts'
import { SqliteCheckpointer } from './sqlite-checkpointer.ts'
import { isBusy, SqliteConnection, translateSqlite } from './sqlite-connection.ts'
import { SqliteReader } from './sqlite-reader.ts'
import { fixStatistics } from './sqlite-statistics.ts'
import { SqliteWriter, type SqliteWriterLimits } from './sqlite-writer.ts'

export interface SqliteLimits extends SqliteWriterLimits {
  /** Above this the writer itself ends the log, so that it cannot grow for ever under constant load. */
  readonly logPagesMax: number
  /** How often the log is copied back into the file. */
  readonly checkpointMs: number
}

const defaultLogPagesMax = 8_192
const defaultCheckpointMs = 1_000
/** A log that a long reader made longer is cut to this when it begins anew. */
const logBytesKept = 64 * 1024 * 1024
/** While opening, another process may be doing the same. */
const openWaitMsMax = 5_000

/** Another server has the file. Two writers with caches of their own must never meet. */
export class DatabaseInUseError extends Error {
  override readonly name = 'DatabaseInUseError'
  constructor(path: string) {
    super(`Another server has the database ${path} open.`)
  }
}

/** Options of `SqliteDatabase.open`. */
export interface SqliteOptions {
  readonly observer?: StorageObserver
  /** False for commands that work beside a running server. */
  readonly exclusive?: boolean
  readonly limits?: Partial<SqliteLimits>
}

/**
 * The embedded engine: one file (or, for tests, memory) with a write-ahead log; every commit is synced to disk before
 * anybody is answered.
 */
export class SqliteDatabase implements Database {
  readonly engine = 'sqlite'
  readonly #path: string
  readonly #lock: DatabaseSync | undefined
  readonly #connection: SqliteConnection
  readonly #readConnection: SqliteConnection
  readonly #reader: Queries
  /** Makes later reads see what is committed now. */
  readonly #renewReader: () => void
  readonly #writer: SqliteWriter
  readonly #checkpointer: SqliteCheckpointer | undefined
  readonly #observer: StorageObserver | undefined
  #logIsLong = false
  #closed: Promise<void> | undefined

  /**
   * Opens the file, making it and its folder (0700) when missing.
   *
   * @throws DatabaseInUseError
   */
  static open(path: string, options: SqliteOptions = {}): SqliteDatabase {
    return new SqliteDatabase(path, options)
  }

  private constructor(path: string, { observer, exclusive = true, limits = {} }: SqliteOptions) {
    const inMemory = path === ':memory:'
    const { logPagesMax = defaultLogPagesMax, checkpointMs = defaultCheckpointMs } = limits
    this.#path = path
    this.#observer = observer
    const opened: { close(): void }[] = []
    try {
      if (!inMemory) {
        mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
        createPrivate(path)
        if (exclusive) this.#lock = kept(opened, lockFile(path))
      }
      // Memory cannot be shared by two connections here: reads then use the writer's, between its groups or inside.
      this.#connection = kept(opened, new SqliteConnection(path, { readOnly: false }, observer))
      this.#connection.exec(
        `pragma busy_timeout = ${openWaitMsMax};
         pragma journal_mode = wal; pragma synchronous = full; pragma fullfsync = on; pragma foreign_keys = off;
         pragma secure_delete = fast; pragma journal_size_limit = ${logBytesKept}; pragma busy_timeout = 0`,
      )
      if (inMemory) {
        this.#readConnection = this.#connection
      } else {
        this.#connection.exec('pragma wal_autocheckpoint = 0')
        this.#readConnection = kept(
          opened,
          new SqliteConnection(path, { readOnly: true }, observer),
        )
        const when = { intervalMs: checkpointMs, longPages: logPagesMax }
        this.#checkpointer = new SqliteCheckpointer(path, when, () => {
          this.#logIsLong = true
        })
      }
    } catch (error) {
      for (const connection of opened.reverse()) connection.close()
      throw translateSqlite(error)
    }
    const reader = inMemory ? undefined : new SqliteReader(this.#readConnection)
    this.#reader = reader ?? readOnly(this.#connection)
    this.#renewReader = () => reader?.renew()
    const afterCommit = (): void => {
      this.#renewReader()
      this.#shortenLog()
    }
    this.#writer = new SqliteWriter(this.#connection, observer, afterCommit, limits)
  }

  get reader(): Queries {
    return this.#reader
  }

  transaction<T>(
    work: (queries: Queries) => Promise<T>,
    _options?: TransactionOptions,
  ): Promise<T> {
    if (this.#closed !== undefined) {
      return Promise.reject(new StorageError('unavailable', 'The database is closed.', ''))
    }
    return this.#writer.submit(work)
  }

  async migrate(): Promise<void> {
    try {
      await this.#migrate()
    } catch (error) {
      throw translateSqlite(error)
    }
  }

  async #migrate(): Promise<void> {
    const connection = this.#connection
    await beginImmediate(connection)
    try {
      connection.exec(
        `create table if not exists ${versionTable} (version integer not null primary key) strict`,
      )
      const current = Number(
        connection.value(`select coalesce(max(version), 0) from ${versionTable}`),
      )
      if (current > latestVersion) throw new NewerSchemaError(current)
      for (const migration of migrationsAfter(current)) {
        for (const sql of migration.statements(columnTypes.sqlite)) connection.exec(sql)
        connection.exec(`insert into ${versionTable} (version) values (${migration.version})`)
      }
      if (current < latestVersion) fixStatistics(connection)
      connection.exec('commit')
    } catch (error) {
      if (connection.inTransaction) connection.exec('rollback')
      throw error
    }
  }

  async check(): Promise<void> {
    try {
      this.#renewReader()
      // Reads the file's first page, which `select 1` would not.
      this.#readConnection.value('select count(*) from sqlite_schema')
    } catch (error) {
      throw translateSqlite(error)
    }
  }

  /** One process has the file: there is nobody to tell. */
  notify(): void {}

  listen(): void {}

  queueDepth(): number {
    return this.#writer.depth
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    await this.#writer.drain()
    await this.#checkpointer?.close()
    this.#renewReader()
    if (this.#readConnection !== this.#connection) this.#readConnection.close()
    this.#connection.close()
    this.#lock?.close()
  }

  /**
   * Lets a log that has grown long begin anew. The thread copies the rest of it while the writer waits and everything
   * else goes on; the sync that belongs to it takes longer than all that a group does.
   */
  #shortenLog(): void {
    if (!this.#logIsLong || this.#checkpointer === undefined) return
    this.#logIsLong = false
    const startedAt = performance.now()
    const shortened = this.#checkpointer.copyAll().then((isCopied) => {
      if (!isCopied) this.#restartLog()
      this.#observer?.observeDatabase('commit', (performance.now() - startedAt) / 1000)
    })
    this.#writer.waitFor(shortened)
  }

  /** Without the thread. */
  #restartLog(): void {
    try {
      this.#connection.exec('pragma wal_checkpoint(restart)')
    } catch {
      // Whatever is in the way, such as a reader or a full disk: nothing is lost, and the next long log tries again.
    }
  }

  get path(): string {
    return this.#path
  }
}

/** A connection that also writes, for reading only. */
function readOnly(connection: SqliteConnection): Queries {
  return {
    all: (statement, parameters) => connection.all(statement, parameters),
    first: (statement, parameters) => connection.first(statement, parameters),
    run: async () => {
      throw new Error('The reader does not write.')
    },
  }
}

/** Makes an empty file that only its owner may read. SQLite gives its log the same rights. */
function createPrivate(path: string): void {
  try {
    // Never opens a file that is there: closing it again would free the locks that SQLite holds on it in this process.
    closeSync(openSync(path, 'ax', 0o600))
  } catch (error) {
    if (!isErrorWith(error, 'EEXIST')) throw error
  }
}

function isErrorWith(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}

/** Held until the process ends, however it ends: the operating system frees it. */
function lockFile(path: string): DatabaseSync {
  // Two names of one file are one database.
  const lockPath = `${realpathSync(path)}.lock`
  createPrivate(lockPath)
  const lock = new DatabaseSync(lockPath, { timeout: 0 })
  try {
    lock.exec('pragma locking_mode = exclusive; begin exclusive')
    return lock
  } catch (error) {
    lock.close()
    if (isBusy(error)) throw new DatabaseInUseError(path)
    throw error
  }
}

function kept<T extends { close(): void }>(opened: { close(): void }[], connection: T): T {
  opened.push(connection)
  return connection
}

async function beginImmediate(connection: SqliteConnection): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      connection.exec('begin immediate')
      return
    } catch (error) {
      if (!isBusy(error) || attempt === 200) throw error
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
  }
}
