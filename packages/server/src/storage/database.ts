import { PostgresDatabase } from './postgres.ts'
import type { Database, StorageObserver } from './queries.ts'
import { SqliteDatabase } from './sqlite.ts'

export interface DatabaseOptions {
  readonly observer?: StorageObserver
  /** False for commands that work beside a running server. */
  readonly exclusive?: boolean
}

/**
 * Opens `sqlite:<path>` or `postgres://...`; the schema is brought up to date by `migrate`.
 *
 * @throws DatabaseInUseError when another server has the SQLite file.
 */
export function openDatabase(url: string, options: DatabaseOptions = {}): Database {
  if (url.startsWith('sqlite:')) return SqliteDatabase.open(url.slice('sqlite:'.length), options)
  return PostgresDatabase.open(url, options)
}
