import { Worker } from 'node:worker_threads'

const intervalMs = 1_000

/**
 * Copies the write-ahead log back into the database file from a thread of its own, once a second, so that the writer
 * seldom has to. `onCheckpoint` hears how long the log is, in pages.
 */
export class SqliteCheckpointer {
  readonly #worker: Worker

  constructor(path: string, onCheckpoint: (logPageCount: number, copiedPageCount: number) => void) {
    this.#worker = new Worker(program, { eval: true, workerData: { path, intervalMs } })
    this.#worker.unref()
    this.#worker.on('message', (message: { log: number; copied: number }) => {
      onCheckpoint(message.log, message.copied)
    })
    // A checkpoint that fails is tried again by the next one; the log only grows meanwhile.
    this.#worker.on('error', () => onCheckpoint(0, 0))
  }

  async close(): Promise<void> {
    await this.#worker.terminate()
  }
}

const program = `
const { parentPort, workerData } = require('node:worker_threads')
const { DatabaseSync } = require('node:sqlite')
const db = new DatabaseSync(workerData.path, { timeout: 0 })
const checkpoint = db.prepare('pragma wal_checkpoint(passive)')
setInterval(() => {
  try {
    const row = checkpoint.get()
    parentPort.postMessage({ log: row.log, copied: row.checkpointed })
  } catch {}
}, workerData.intervalMs)
`
