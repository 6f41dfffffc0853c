/**
 * Runs one throw-away PostgreSQL server for a test run, as a process of its own: it makes the data folder, starts the
 * server, prints one line `{"url": ...}` and lives until its standard input ends. That happens when the test run ends,
 * however it ends (finished, interrupted, killed), so no server and no folder is ever left behind.
 */
import { PostgresServer } from './postgres-server.ts'

async function main(): Promise<void> {
  // Interrupts reach the whole process group; the end of the test run is what counts, and standard input tells it.
  process.on('SIGINT', () => {}).on('SIGTERM', () => {})
  const runEnded = new Promise((resolve) => {
    process.stdin.on('end', resolve).on('error', resolve).resume()
  })

  await using server = await PostgresServer.create()
  process.stdout.write(`${JSON.stringify({ url: server.url })}\n`)
  await runEnded
}

await main()
