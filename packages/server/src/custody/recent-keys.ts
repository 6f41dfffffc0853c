import type { KeyObject } from 'node:crypto'

/** At most twice as many are kept; one takes 2 KiB. */
const recentMax = 1_000

/**
 * Public keys as they were imported, which costs as much as checking a signature: those that were used lately. When there are
 * too many, all grow old together, and go at the next time unless they were used in between.
 */
export class RecentKeys {
  #recent = new Map<string, KeyObject>()
  #old = new Map<string, KeyObject>()

  get size(): number {
    return this.#recent.size + this.#old.size
  }

  /** @param load is asked for a key that is not kept; undefined: there is none. */
  get(name: string, load: () => KeyObject | undefined): KeyObject | undefined {
    const recent = this.#recent.get(name)
    if (recent !== undefined) return recent
    const key = this.#old.get(name) ?? load()
    if (key === undefined) return undefined
    if (this.#recent.size >= recentMax) {
      this.#old = this.#recent
      this.#recent = new Map()
    }
    this.#recent.set(name, key)
    return key
  }
}
