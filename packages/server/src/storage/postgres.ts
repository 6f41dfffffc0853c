import { setTimeout as sleep } from 'node:timers/promises'
import { Client, Pool } from 'pg'
import { columnTypes } from './dialect.ts'
import {
  latestVersion,
  migrationsAfter,
  NewerSchemaError,
  versionTable,
} from './migrations/list.ts'
import {
  clientConfig,
  isRepeatable,
  PostgresConnection,
  translatePostgres,
} from './postgres-connection.ts'
import { PostgresGroupWriter } from './postgres-group.ts'
import type { Database, Queries, StorageObserver, TransactionOptions } from './queries.ts'
import type { Statement } from './statement.ts'

const poolSize = 10
const readerCount = 2
const attemptsMax = 6
const backoffMs = 10
/** Any constant will do; all processes of one database use the same. */
const migrationLock = 7_236_411

/** A pooled server for many nodes: READ COMMITTED transactions, repeated when the server asks for it. */
export class PostgresDatabase implements Database {
  readonly engine = 'postgres'
  readonly #url: string
  readonly #pool: Pool
  readonly #readers: PipelinedReader
  readonly #group: PostgresGroupWriter
  readonly #observer: StorageObserver | undefined
  #waiting = 0

  static open(url: string, options: { observer?: StorageObserver } = {}): PostgresDatabase {
    return new PostgresDatabase(url, options.observer)
  }

  private constructor(url: string, observer: StorageObserver | undefined) {
    this.#url = url
    this.#observer = observer
    this.#pool = new Pool({ ...clientConfig(url), max: poolSize })
    // An idle connection that breaks is simply gone; the next use opens another.
    this.#pool.on('error', () => {})
    this.#readers = new PipelinedReader(url, observer)
    this.#group = new PostgresGroupWriter(url, observer, (work) => this.#alone(work))
  }

  get reader(): Queries {
    return this.#readers
  }

  transaction<T>(work: (queries: Queries) => Promise<T>, options?: TransactionOptions): Promise<T> {
    return options?.grouped === true ? this.#group.submit(work) : this.#alone(work)
  }

  async migrate(): Promise<void> {
    const client = new Client({
      ...clientConfig(this.#url),
      statement_timeout: 0,
      query_timeout: 0,
      lock_timeout: 0,
    })
    try {
      await client.connect()
      await client.query('select pg_advisory_lock($1)', [migrationLock])
      await client.query(
        `create table if not exists ${versionTable} (version integer not null primary key)`,
      )
      const { rows } = await client.query<{ version: string }>(
        `select coalesce(max(version), 0) as version from ${versionTable}`,
      )
      const current = Number(rows[0]?.version ?? 0)
      if (current > latestVersion) throw new NewerSchemaError(current)
      for (const migration of migrationsAfter(current)) {
        await client.query('begin')
        for (const sql of migration.statements(columnTypes.postgres)) await client.query(sql)
        await client.query(`insert into ${versionTable} (version) values ($1)`, [migration.version])
        await client.query('commit')
      }
    } catch (error) {
      throw translatePostgres(error)
    } finally {
      // Ending the session frees the lock, also after a failure.
      await client.end().catch(() => {})
    }
  }

  async check(): Promise<void> {
    try {
      await this.#pool.query('select 1')
    } catch (error) {
      throw translatePostgres(error)
    }
  }

  queueDepth(): number {
    return this.#waiting + this.#group.depth
  }

  async close(): Promise<void> {
    await this.#group.close()
    await this.#readers.close()
    await this.#pool.end()
  }

  async #alone<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    this.#waiting++
    try {
      for (let attempt = 1; ; attempt++) {
        try {
          return await this.#attempt(work)
        } catch (error) {
          if (!isRepeatable(error) || attempt === attemptsMax) throw translatePostgres(error)
          await sleep(backoffMs * 2 ** attempt * (0.5 + Math.random()))
        }
      }
    } finally {
      this.#waiting--
    }
  }

  async #attempt<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    const startedAt = performance.now()
    const client = await this.#pool.connect()
    let broken: Error | undefined
    try {
      await client.query('begin')
      const value = await work(new PostgresConnection(client as unknown as Client, this.#observer))
      await client.query('commit')
      this.#observer?.observeDatabase('commit', (performance.now() - startedAt) / 1000)
      return value
    } catch (error) {
      await client.query('rollback').catch((failure: Error) => {
        broken = failure
      })
      throw error
    } finally {
      client.release(broken)
    }
  }
}

/** Spreads reads over a few connections in pipeline mode, so that reads of the same moment share round trips. */
class PipelinedReader implements Queries {
  readonly #url: string
  readonly #observer: StorageObserver | undefined
  readonly #clients: (Promise<Client> | undefined)[] = new Array(readerCount).fill(undefined)
  #next = 0

  constructor(url: string, observer: StorageObserver | undefined) {
    this.#url = url
    this.#observer = observer
  }

  async all<P extends object, R>(statement: Statement<P, R>, parameters: P): Promise<R[]> {
    return (await this.#connection()).all(statement, parameters)
  }

  async first<P extends object, R>(
    statement: Statement<P, R>,
    parameters: P,
  ): Promise<R | undefined> {
    return (await this.#connection()).first(statement, parameters)
  }

  run(): Promise<number> {
    throw new Error('The reader does not write.')
  }

  async close(): Promise<void> {
    for (const client of this.#clients) await (await client?.catch(() => undefined))?.end()
  }

  async #connection(): Promise<PostgresConnection> {
    this.#next = (this.#next + 1) % readerCount
    const index = this.#next
    this.#clients[index] ??= this.#open(index)
    try {
      return new PostgresConnection(await this.#clients[index], this.#observer)
    } catch (error) {
      throw translatePostgres(error)
    }
  }

  async #open(index: number): Promise<Client> {
    const client = new Client({
      ...clientConfig(this.#url),
      pipeline: true,
      options: '-c default_transaction_read_only=on',
    })
    const forget = (): void => {
      this.#clients[index] = undefined
      client.end().catch(() => {})
    }
    client.on('error', forget)
    client.on('end', forget)
    try {
      await client.connect()
      return client
    } catch (error) {
      this.#clients[index] = undefined
      throw error
    }
  }
}
