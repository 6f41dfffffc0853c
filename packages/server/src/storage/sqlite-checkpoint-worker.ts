/** The thread of `SqliteCheckpointer`; ends when it is told anything. */
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'

const { path, intervalMs } = workerData as { path: string; intervalMs: number }
let db: DatabaseSync | undefined
let checkpoint: StatementSync | undefined

function run(): void {
  try {
    db ??= new DatabaseSync(path, { timeout: 0 })
    checkpoint ??= db.prepare('pragma wal_checkpoint(passive)')
    const row = checkpoint.get()
    parentPort?.postMessage(Number(row?.log ?? 0))
  } catch {
    // Busy, full or gone: nothing is lost, the log only grows, and the next second tries again.
    close()
  }
}

function close(): void {
  checkpoint = undefined
  db?.close()
  db = undefined
}

const timer = setInterval(run, intervalMs)
parentPort?.once('message', () => {
  clearInterval(timer)
  close()
  parentPort?.close()
})
