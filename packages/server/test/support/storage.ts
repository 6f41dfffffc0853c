import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MasterKey } from '#custody/master-key.ts'
import { systemRandomness } from '#custody/randomness.ts'
import { Storage } from '#domain/storage.ts'
import { createIdSource, type IdSource } from '#domain/ulid.ts'
import { openDatabase } from '#storage/database.ts'
import type { Engine } from '#storage/dialect.ts'
import type { Database, StorageObserver } from '#storage/queries.ts'
import { createTestDatabase } from './postgres.ts'

/** A clock that stands still until it is told. */
export interface TestClock {
  (): number
  advance(ms: number): void
  set(ms: number): void
}

/** 2026-11-21T10:00:00.000Z, the moment of the contracts' examples. */
export const testStartMs = Date.UTC(2026, 10, 21, 10)

export function createTestClock(startMs = testStartMs): TestClock {
  let nowMs = startMs
  return Object.assign(() => nowMs, {
    advance(ms: number) {
      nowMs += ms
    },
    set(ms: number) {
      nowMs = ms
    },
  })
}

export const testMasterKey = (): MasterKey => new MasterKey(Buffer.alloc(32, 7))

export interface TestStorage extends AsyncDisposable {
  readonly database: Database
  /** By which others look at the database. */
  readonly url: string
  readonly storage: Storage
  readonly clock: TestClock
  readonly nextId: IdSource
}

export interface TestStorageOptions {
  /** Default: SQLite. The database is one of its own, and gone at the end. */
  readonly engine?: Engine
  /** A database that is there already and stays; `engine` does not count then. */
  readonly url?: string
  readonly observer?: StorageObserver
  readonly clock?: TestClock
}

/** A migrated database: an SQLite file in a temporary folder, or a PostgreSQL database. */
export async function createTestStorage(options: TestStorageOptions = {}): Promise<TestStorage> {
  const isOwnPostgres = options.engine === 'postgres' && options.url === undefined
  const own = isOwnPostgres ? await createTestDatabase() : undefined
  const folder = mkdtempSync(join(tmpdir(), 'countersign-test-'))
  const clock = options.clock ?? createTestClock()
  const url = options.url ?? own?.url ?? `sqlite:${join(folder, 'test.db')}`
  const database = openDatabase(
    url,
    options.observer === undefined ? {} : { observer: options.observer },
  )
  await database.migrate()
  const nextId = createIdSource(clock, systemRandomness)
  return {
    database,
    url,
    clock,
    nextId,
    storage: new Storage(database, clock, nextId),
    async [Symbol.asyncDispose]() {
      await database.close()
      await own?.drop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
