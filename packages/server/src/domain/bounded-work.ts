/**
 * Work that takes turns: so much of it is under way at once, some more waits in its order, the rest is refused. What is under
 * way continues piece by piece when something it waited for is there; the fewer there are, the shorter the event loop is held.
 */
export class BoundedWork {
  readonly #atOnceMax: number
  readonly #waitingMax: number
  readonly #waiting: (() => void)[] = []
  #atOnce = 0

  constructor(bounds: { readonly atOnceMax: number; readonly waitingMax: number }) {
    this.#atOnceMax = bounds.atOnceMax
    this.#waitingMax = bounds.waitingMax
  }

  /** @returns undefined when too much waits already; the work was not begun then. */
  run<T>(work: () => Promise<T>): Promise<T> | undefined {
    if (this.#atOnce < this.#atOnceMax) {
      this.#atOnce++
      return this.#finish(work)
    }
    if (this.#waiting.length >= this.#waitingMax) return undefined
    return new Promise<void>((resolve) => this.#waiting.push(resolve)).then(() =>
      this.#finish(work),
    )
  }

  async #finish<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#atOnce--
      else next()
    }
  }
}
