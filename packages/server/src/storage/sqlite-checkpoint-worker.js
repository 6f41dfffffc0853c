/**
 * The thread of `SqliteCheckpointer`; ends when it is told anything. Plain JavaScript: the TypeScript compiler would take
 * more memory in this thread than everything else.
 */
import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'

const { path, intervalMs } = workerData
let db
let checkpoint

function run() {
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

function close() {
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
