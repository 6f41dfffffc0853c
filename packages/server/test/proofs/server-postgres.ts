import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { TestDatabase } from '../support/postgres.ts'

/** Runs `work` on the empty database of a PostgreSQL server that lives no longer than it. */
export async function withPostgres<T>(work: (database: TestDatabase) => Promise<T>): Promise<T> {
  const program = fileURLToPath(new URL('../support/postgres-supervisor.ts', import.meta.url))
  const supervisor = spawn(process.execPath, [program], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(supervisor, 'close')
  try {
    const line = await createInterface({ input: supervisor.stdout })[Symbol.asyncIterator]().next()
    if (line.done) throw new Error('There is no PostgreSQL server; the reason stands above.')
    const { url } = JSON.parse(line.value) as { url: string }
    return await work({ url, drop: async () => {} })
  } finally {
    supervisor.stdin.end()
    await ended
  }
}
