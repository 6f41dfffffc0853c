import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { TestProject } from 'vitest/node'

declare module 'vitest' {
  interface ProvidedContext {
    /** A PostgreSQL server on which tests may make databases of their own. */
    readonly postgresUrl: string
  }
}

/**
 * Vitest's global set-up of the server's tests: one PostgreSQL server for the whole run, or the one that
 * COUNTERSIGN_TEST_POSTGRES_URL names. Without either the run fails; no test is skipped.
 */
export async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const givenUrl = process.env.COUNTERSIGN_TEST_POSTGRES_URL
  if (givenUrl) {
    // Programs that tests start inherit the environment, and refuse a COUNTERSIGN_ name that they do not know.
    delete process.env.COUNTERSIGN_TEST_POSTGRES_URL
    project.provide('postgresUrl', givenUrl)
    return undefined
  }

  const supervisor = spawn(
    process.execPath,
    [fileURLToPath(new URL('./postgres-supervisor.ts', import.meta.url))],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  const ended = once(supervisor, 'close')
  const firstLine = createInterface({ input: supervisor.stdout })[Symbol.asyncIterator]().next()
  const line = await firstLine
  if (line.done) throw new Error('The tests have no PostgreSQL server; the reason stands above.')
  const { url } = JSON.parse(line.value) as { url: string }
  project.provide('postgresUrl', url)

  return async () => {
    supervisor.stdin.end()
    await ended
  }
}
