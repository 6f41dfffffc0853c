/**
 * The thread of `SqliteCheckpointer`: copies the log back now and then, and when it is told to. Plain JavaScript: the TypeScript compiler would take
 * more memory in this thread than everything else.
 */
import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'

const { path, intervalMs, longPages } = workerData
/**
 * A pass beside which somebody writes copies, but leaves the sync of the file to a later one. Of a few short ones, hardly
 * one is without a moment's rest.
 */
const passesMax = 5
let db
let checkpoint

/** @returns how long the log is, in pages, and how many of them are copied; undefined when it could not be read. */
function copyBack() {
  try {
    db ??= new DatabaseSync(path, { timeout: 0 })
    checkpoint ??= db.prepare('pragma wal_checkpoint(passive)')
    const { log, checkpointed } = checkpoint.get()
    return { log: Number(log), copied: Number(checkpointed) }
  } catch {
    // Busy, full or gone: nothing is lost, the log only grows, and the next second tries again.
    close()
    return undefined
  }
}

function close() {
  checkpoint = undefined
  db?.close()
  db = undefined
}

/** Of a long log, copies and syncs what it can before the writer is asked to wait for the rest. */
function copyMost() {
  let pages = copyBack()
  for (let pass = 2; pages !== undefined && pages.log > longPages && pass <= passesMax; pass++) {
    pages = copyBack()
  }
  return pages
}

const timer = setInterval(() => {
  const pages = copyMost()
  if (pages !== undefined) parentPort?.postMessage({ pages })
}, intervalMs)

parentPort?.on('message', (order) => {
  if (order === 'copy') {
    parentPort?.postMessage({ pages: copyBack(), isAnswer: true })
    return
  }
  clearInterval(timer)
  close()
  parentPort?.close()
})
