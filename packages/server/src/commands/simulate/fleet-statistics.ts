const samplesMax = 200_000

/** What a fleet of simulated cabinets did. */
export class FleetStatistics {
  readonly #counts = new Map<string, number>()
  readonly #milliseconds: number[] = []
  #sampleCount = 0

  count(name: string, by = 1): void {
    this.#counts.set(name, this.countOf(name) + by)
  }

  countOf(name: string): number {
    return this.#counts.get(name) ?? 0
  }

  /** How long a poll took. The last ones are kept. */
  time(milliseconds: number): void {
    this.#milliseconds[this.#sampleCount % samplesMax] = milliseconds
    this.#sampleCount++
  }

  /** @returns milliseconds with two decimals, undefined without any poll. */
  quantile(part: number): number | undefined {
    const sorted = this.#milliseconds.toSorted((one, other) => one - other)
    const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]
    return value === undefined ? undefined : Math.round(value * 100) / 100
  }

  document(seconds: number): object {
    return {
      seconds: Math.round(seconds * 10) / 10,
      ...Object.fromEntries([...this.#counts].sort(([one], [other]) => (one < other ? -1 : 1))),
      pollsPerSecond: Math.round(this.countOf('polls') / Math.max(seconds, 0.001)),
      pollMilliseconds: {
        p50: this.quantile(0.5),
        p95: this.quantile(0.95),
        p99: this.quantile(0.99),
      },
    }
  }

  /** One line for somebody who watches. */
  line(): string {
    const { polls, differences, checkouts, uploads, failures } = {
      polls: this.countOf('polls'),
      differences: this.countOf('differences'),
      checkouts: this.countOf('checkouts'),
      uploads: this.countOf('uploads'),
      failures: this.countOf('failures'),
    }
    const p99 = this.quantile(0.99) ?? 0
    return `${polls} polls (p99 ${p99} ms), ${differences} differences, ${checkouts} checkouts, ${uploads} uploads, ${failures} failures`
  }
}
