import { Client } from 'pg'
import { columnTypes } from './dialect.ts'
import {
  latestVersion,
  migrationsAfter,
  NewerSchemaError,
  versionTable,
} from './migrations/list.ts'
import { asUnavailable, clientConfig, translatePostgres } from './postgres-connection.ts'
import { type PostgresGroupLimits, PostgresGroupWriter } from './postgres-group.ts'
import { PostgresNotifier } from './postgres-notifier.ts'
import { PostgresReader } from './postgres-reader.ts'
import { PostgresStatistics } from './postgres-statistics.ts'
import { PostgresWriter, type PostgresWriterLimits } from './postgres-writer.ts'
import {
  type Database,
  type NotificationListener,
  type Queries,
  StorageError,
  type StorageObserver,
  type TransactionOptions,
} from './queries.ts'

/** Any constant will do; all processes of one database use the same. */
const migrationLock = 7_236_411
/** Another process may be in the middle of a migration of much data. */
const migrationLockMsMax = 600_000

/** Options of `PostgresDatabase.open`. */
export interface PostgresOptions {
  readonly observer?: StorageObserver
  readonly limits?: Partial<PostgresWriterLimits & PostgresGroupLimits>
}

/** A pooled server for many nodes: READ COMMITTED transactions, repeated when the server asks for it. */
export class PostgresDatabase implements Database {
  readonly engine = 'postgres'
  readonly #url: string
  readonly #reader: PostgresReader
  readonly #writer: PostgresWriter
  readonly #group: PostgresGroupWriter
  readonly #statistics: PostgresStatistics
  readonly #notifier: PostgresNotifier
  #closed: Promise<void> | undefined

  static open(url: string, options: PostgresOptions = {}): PostgresDatabase {
    return new PostgresDatabase(url, options)
  }

  private constructor(url: string, { observer, limits }: PostgresOptions) {
    this.#url = url
    this.#reader = new PostgresReader(url, observer)
    this.#writer = new PostgresWriter(url, observer, limits)
    this.#group = new PostgresGroupWriter(url, observer, (work) => this.#writer.run(work), limits)
    this.#statistics = new PostgresStatistics(url)
    this.#notifier = new PostgresNotifier(url)
  }

  get reader(): Queries {
    return this.#reader
  }

  transaction<T>(work: (queries: Queries) => Promise<T>, options?: TransactionOptions): Promise<T> {
    if (this.#closed !== undefined) {
      return Promise.reject(new StorageError('unavailable', 'The database is closed.', ''))
    }
    return options?.grouped === true ? this.#group.submit(work) : this.#writer.run(work)
  }

  async migrate(): Promise<void> {
    const client = new Client({
      ...clientConfig(this.#url),
      statement_timeout: 0,
      query_timeout: 0,
      lock_timeout: migrationLockMsMax,
    })
    // The statement under way fails by itself; without a listener a lost connection would end the process.
    client.on('error', () => {})
    try {
      await connect(client)
      await runMigrations(client)
    } finally {
      // Ending the session frees the lock, also after a failure.
      await client.end().catch(() => {})
    }
  }

  check(): Promise<void> {
    return this.#writer.check()
  }

  notify(line: string): void {
    this.#notifier.notify(line)
  }

  listen(listener: NotificationListener): void {
    this.#notifier.listen(listener)
  }

  queueDepth(): number {
    return this.#writer.depth + this.#group.depth
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    await this.#notifier.close()
    await this.#statistics.close()
    await this.#group.close()
    await this.#writer.close()
    await this.#reader.close()
  }
}

async function connect(client: Client): Promise<void> {
  try {
    await client.connect()
  } catch (error) {
    throw asUnavailable(error)
  }
}

async function runMigrations(client: Client): Promise<void> {
  await run(client, 'select pg_advisory_lock($1)', [migrationLock])
  await run(
    client,
    `create table if not exists ${versionTable} (version integer not null primary key)`,
  )
  const current = Number(
    await run(client, `select coalesce(max(version), 0) as value from ${versionTable}`),
  )
  if (current > latestVersion) throw new NewerSchemaError(current)
  for (const migration of migrationsAfter(current)) {
    await run(client, 'begin')
    for (const sql of migration.statements(columnTypes.postgres)) await run(client, sql)
    await run(client, `insert into ${versionTable} (version) values ($1)`, [migration.version])
    await run(client, 'commit')
  }
}

/** @returns the first row's column `value`. */
async function run(client: Client, sql: string, values: readonly number[] = []): Promise<unknown> {
  try {
    const { rows } = await client.query<{ value?: unknown }>(sql, [...values])
    return rows[0]?.value
  } catch (error) {
    throw translatePostgres(error)
  }
}
