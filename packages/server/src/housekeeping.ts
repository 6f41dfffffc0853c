import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '#domain/clock.ts'
import type { Storage } from '#domain/storage.ts'

/** Something to be done now and then by one process of the installation. */
export interface Job {
  readonly name: string
  readonly everyMs: number
  readonly run: () => Promise<unknown>
}

const tickMs = 1_000
/** A job that takes longer loses its lease and may be begun elsewhere too: each can be repeated. */
const leaseMs = 60_000

/** Runs jobs one after another, each under a lease, and reports those that fail; the next time they are tried again. */
export class Housekeeping {
  readonly #storage: Storage
  readonly #clock: Clock
  readonly #holder: string
  readonly #jobs: readonly Job[]
  readonly #jobFailed: (job: string, error: unknown) => void
  readonly #stopping = new AbortController()
  #loop: Promise<void> | undefined

  constructor(dependencies: {
    storage: Storage
    clock: Clock
    holder: string
    jobs: readonly Job[]
    jobFailed: (job: string, error: unknown) => void
  }) {
    this.#storage = dependencies.storage
    this.#clock = dependencies.clock
    this.#holder = dependencies.holder
    this.#jobs = dependencies.jobs
    this.#jobFailed = dependencies.jobFailed
  }

  start(): void {
    this.#loop ??= this.#run()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#loop
  }

  async #run(): Promise<void> {
    const lastRunAt = new Map<string, number>()
    while (!this.#stopping.signal.aborted) {
      for (const job of this.#jobs) {
        const nowMs = this.#clock()
        if (nowMs - (lastRunAt.get(job.name) ?? 0) < job.everyMs) continue
        lastRunAt.set(job.name, nowMs)
        await this.#runJob(job)
      }
      await sleep(tickMs, undefined, { ref: false, signal: this.#stopping.signal }).catch(() => {})
    }
  }

  async #runJob({ name, run }: Job): Promise<void> {
    try {
      const nowMs = this.#clock()
      const mine = await this.#storage.transaction(({ leases }) =>
        leases.hold({ name, holder: this.#holder, nowMs, untilMs: nowMs + leaseMs }),
      )
      if (mine) await run()
    } catch (error) {
      if (!this.#stopping.signal.aborted) this.#jobFailed(name, error)
    }
  }
}
