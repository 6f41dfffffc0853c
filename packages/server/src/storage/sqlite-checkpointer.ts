import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'

const defaultProgram = new URL('./sqlite-checkpoint-worker.js', import.meta.url)
const closeMsMax = 1_000
const copyMsMax = 1_000
/** The thread runs one statement a second. */
const heapLimits = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 16, stackSizeMb: 1 }

interface Pages {
  /** How long the log is. */
  readonly log: number
  readonly copied: number
}

interface Told {
  /** Undefined when it did not work. */
  readonly pages: Pages | undefined
  /** True for what `copyAll` asked for. */
  readonly isAnswer?: boolean
}

/**
 * Copies the write-ahead log back into the database file from a thread of its own, so that the writer seldom has to. A
 * thread that dies is replaced.
 */
export class SqliteCheckpointer {
  readonly #path: string
  readonly #intervalMs: number
  readonly #longPages: number
  readonly #onLong: () => void
  readonly #program: URL
  #worker: Worker | undefined
  #restart: NodeJS.Timeout | undefined
  #answered: (told: Told) => void = () => {}
  #closed = false

  /**
   * @param longPages above this the log should begin anew.
   * @param onLong hears that it should, or that there is no thread which would know.
   */
  constructor(
    path: string,
    { intervalMs, longPages }: { readonly intervalMs: number; readonly longPages: number },
    onLong: () => void,
    { program = defaultProgram }: { readonly program?: URL } = {},
  ) {
    this.#program = program
    this.#path = path
    this.#intervalMs = intervalMs
    this.#longPages = longPages
    this.#onLong = onLong
    this.#start()
  }

  /**
   * Copies what the log has now, while nobody writes: the next transaction then begins the log anew.
   *
   * @returns false when that did not work, or took too long.
   */
  async copyAll(): Promise<boolean> {
    const worker = this.#worker
    if (worker === undefined) return false
    const told = await new Promise<Told>((resolve) => {
      const late = setTimeout(() => resolve({ pages: undefined }), copyMsMax)
      this.#answered = (answer) => {
        clearTimeout(late)
        resolve(answer)
      }
      worker.postMessage('copy')
    })
    return told.pages !== undefined && told.pages.copied >= told.pages.log
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#restart)
    const worker = this.#worker
    if (worker === undefined) return
    // Whoever waits for this must see its end, even if nothing else keeps the process alive.
    worker.ref()
    const ended = new Promise((resolve) => worker.once('exit', resolve))
    worker.postMessage('close')
    await Promise.race([ended, sleep(closeMsMax, undefined, { ref: false })])
    await worker.terminate()
  }

  #start(): void {
    const worker = new Worker(this.#program, {
      workerData: { path: this.#path, intervalMs: this.#intervalMs, longPages: this.#longPages },
      resourceLimits: heapLimits,
    })
    this.#worker = worker
    worker.on('message', (told: Told) => {
      if (told.isAnswer === true) this.#answered(told)
      else if (told.pages !== undefined && told.pages.log > this.#longPages) this.#onLong()
    })
    // Its end follows, and is where it is replaced.
    worker.on('error', () => {})
    worker.on('exit', () => this.#replace())
    worker.unref()
  }

  #replace(): void {
    this.#worker = undefined
    this.#answered({ pages: undefined })
    if (this.#closed) return
    this.#onLong()
    this.#restart = setTimeout(() => this.#start(), this.#intervalMs)
    this.#restart.unref()
  }
}
