const quickMs = 3
const slowMs = 10
const sizeMax = 2_000

/** How many rows one statement looks at: what one turn of the event loop can spare, as the turns before have shown. */
export class SearchPace {
  #size: number

  /** @param size of the first statement, before anything is known. */
  constructor(size: number) {
    this.#size = Math.min(size, sizeMax)
  }

  get size(): number {
    return this.#size
  }

  /** After each statement. */
  took(ms: number): void {
    if (ms > slowMs) this.#size = Math.max(1, Math.floor(this.#size / 2))
    else if (ms < quickMs) this.#size = Math.min(sizeMax, this.#size * 2)
  }
}
