import { existsSync } from 'node:fs'
import { Client } from 'pg'
import type { Engine } from './dialect.ts'
import { latestVersion, versionTable } from './migrations/list.ts'
import {
  clientConfig,
  PostgresConnection,
  sendDirectly,
  translatePostgres,
} from './postgres-connection.ts'
import { type Queries, StorageError } from './queries.ts'
import { SqliteConnection, translateSqlite } from './sqlite-connection.ts'

/** A database as it was at one moment, whoever writes to it meanwhile. */
export interface Snapshot extends AsyncDisposable {
  readonly engine: Engine
  readonly queries: Queries
  /** 0 for a database without our tables. */
  readonly schemaVersion: number
  /** Connections of servers and other commands; undefined when the engine does not tell. */
  readonly otherConnectionCount: number | undefined
}

/** The database is of another release than this program. */
export class SchemaVersionError extends Error {
  override readonly name = 'SchemaVersionError'
  constructor(version: number) {
    super(
      version > latestVersion
        ? `The database is at schema version ${version}; this program knows up to ${latestVersion}.`
        : `The database is at schema version ${version}, behind this program's ${latestVersion}; bring it up to date with "countersign migrate".`,
    )
  }
}

/**
 * Opens a consistent view that only reads: on SQLite a read transaction beside the server's connections, on PostgreSQL
 * REPEATABLE READ. Nothing is locked; what is written meanwhile is kept apart until the view is closed.
 *
 * @throws StorageError `unavailable` when there is no such database.
 */
export function openSnapshot(url: string): Promise<Snapshot> {
  return url.startsWith('sqlite:')
    ? openSqliteSnapshot(url.slice('sqlite:'.length))
    : openPostgresSnapshot(url)
}

/** @throws SchemaVersionError unless the database has exactly this program's tables. */
export function requireCurrentSchema({ schemaVersion }: Snapshot): void {
  if (schemaVersion !== latestVersion) throw new SchemaVersionError(schemaVersion)
}

async function openSqliteSnapshot(path: string): Promise<Snapshot> {
  if (!existsSync(path)) {
    throw new StorageError('unavailable', `There is no database file ${path}.`, '')
  }
  try {
    const connection = new SqliteConnection(path, { readOnly: true })
    // The moment is the one of the first read.
    connection.exec('begin')
    const isOurs = connection.value(
      `select count(*) from sqlite_schema where name = '${versionTable}'`,
    )
    return {
      engine: 'sqlite',
      queries: connection,
      schemaVersion:
        isOurs === 1 ? Number(connection.value(`select max(version) from ${versionTable}`)) : 0,
      otherConnectionCount: undefined,
      async [Symbol.asyncDispose]() {
        connection.close()
      },
    }
  } catch (error) {
    throw translateSqlite(error)
  }
}

async function openPostgresSnapshot(url: string): Promise<Snapshot> {
  const client = new Client({
    ...clientConfig(url),
    application_name: 'countersign command',
    // Whoever reads the rows may be slow, such as a disk that takes a backup.
    statement_timeout: 0,
    query_timeout: 0,
    idle_in_transaction_session_timeout: 0,
  })
  // Without a listener a lost connection would end the process; the statement that runs fails by itself.
  client.on('error', () => {})
  try {
    await client.connect()
    const connections = await client.query<{ count: number }>(
      `select count(*) as count from pg_stat_activity
       where datname = current_database() and application_name = 'countersign'`,
    )
    await client.query('begin transaction isolation level repeatable read, read only')
    const known = await client.query<{ name: string | null }>(
      `select to_regclass('${versionTable}') as name`,
    )
    const version = known.rows[0]?.name
      ? await client.query<{ version: string }>(
          `select max(version) as version from ${versionTable}`,
        )
      : undefined
    return {
      engine: 'postgres',
      queries: new PostgresConnection(sendDirectly(client), undefined),
      schemaVersion: Number(version?.rows[0]?.version ?? 0),
      otherConnectionCount: connections.rows[0]?.count ?? 0,
      async [Symbol.asyncDispose]() {
        await client.end()
      },
    }
  } catch (error) {
    await client.end().catch(() => {})
    throw translatePostgres(error)
  }
}
