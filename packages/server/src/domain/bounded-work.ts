import { DomainError } from './errors.ts'

/**
 * Work that takes turns: so much of it is under way at once, some more waits in its order, the rest is refused. What is under
 * way continues piece by piece when something it waited for is there; the fewer there are, the shorter the event loop is held.
 */
export class BoundedWork {
  readonly #atOnceMax: number
  readonly #waitingMax: number
  readonly #refusal: string
  readonly #waiting: (() => void)[] = []
  #atOnce = 0

  /** @param bounds.refusal what is said to whoever comes when too much waits. */
  constructor(bounds: {
    readonly atOnceMax: number
    readonly waitingMax: number
    readonly refusal: string
  }) {
    this.#atOnceMax = bounds.atOnceMax
    this.#waitingMax = bounds.waitingMax
    this.#refusal = bounds.refusal
  }

  /** @throws DomainError `too_many_requests` when too much waits already; the work was not begun then. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#atOnce < this.#atOnceMax) {
      this.#atOnce++
    } else {
      if (this.#waiting.length >= this.#waitingMax) {
        throw new DomainError('too_many_requests', this.#refusal, { retryAfterSeconds: 1 })
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#atOnce--
      else next()
    }
  }
}
