import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Engine } from '#storage/dialect.ts'
import { PostgresDatabase, type PostgresOptions } from '#storage/postgres.ts'
import type { Database } from '#storage/queries.ts'
import { SqliteDatabase, type SqliteOptions } from '#storage/sqlite.ts'
import { createTestDatabase } from '../support/postgres.ts'

export const engines: readonly Engine[] = ['sqlite', 'postgres']

/** What a test may change; each engine takes what it knows. */
export interface TestDatabaseOptions {
  readonly observer?: NonNullable<SqliteOptions['observer']>
  readonly limits?: NonNullable<SqliteOptions['limits']> & NonNullable<PostgresOptions['limits']>
  readonly exclusive?: boolean
}

/** A place for one database of either engine, which can be opened several times. */
export interface DatabasePlace extends AsyncDisposable {
  readonly engine: Engine
  readonly url: string
  /** The SQLite file. */
  readonly path: string
  /** Closed with the place, unless it was closed before. */
  open(options?: TestDatabaseOptions): Database
}

/** An empty place: an SQLite file in a folder of its own, or a new database on the tests' server. */
export async function createPlace(engine: Engine): Promise<DatabasePlace> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-storage-'))
  const path = join(folder, 'test.db')
  const postgres = engine === 'postgres' ? await createTestDatabase() : undefined
  const url = postgres?.url ?? `sqlite:${path}`
  const opened: Database[] = []
  return {
    engine,
    url,
    path,
    open(options = {}) {
      const database =
        engine === 'sqlite'
          ? SqliteDatabase.open(path, options)
          : PostgresDatabase.open(url, options)
      opened.push(database)
      return database
    },
    async [Symbol.asyncDispose]() {
      for (const database of opened) await database.close()
      await postgres?.drop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
