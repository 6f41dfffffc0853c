import { openDatabase } from '#storage/database.ts'
import { latestVersion } from '#storage/migrations/list.ts'
import { configuredDatabase, type DatabaseReference, readSettings } from './settings.ts'
import type { Terminal } from './terminal.ts'

/** Brings the configured database up to date. A server does the same when it starts. */
export async function migrate(terminal: Terminal): Promise<void> {
  const target = configuredDatabase(readSettings())
  await migrateDatabase(target)
  terminal.result({ database: target.name, schemaVersion: latestVersion }, [
    `${target.name} is at schema version ${latestVersion}.`,
  ])
}

async function migrateDatabase({ url }: DatabaseReference): Promise<void> {
  const database = openDatabase(url)
  try {
    await database.migrate()
  } finally {
    await database.close()
  }
}
