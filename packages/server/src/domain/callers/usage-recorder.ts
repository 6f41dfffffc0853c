import type { Storage } from '../storage.ts'
import type { Credential } from './credential-store.ts'

const accuracyMs = 60_000
const accountsMax = 10_000

interface Use {
  readonly homeId: string
  readonly accountId: string
  readonly atMs: number
}

/** Notes when accounts were last used, accurate to a minute, without a write per request. */
export class UsageRecorder {
  readonly #storage: Storage
  #waiting = new Map<string, Use>()

  constructor({ storage }: { storage: Storage }) {
    this.#storage = storage
  }

  /** Remembers a use until the next flush, unless the stored moment is recent enough. */
  note({ homeId, accountId, lastUsedAtMs }: Credential, atMs: number): void {
    if (lastUsedAtMs !== null && atMs < lastUsedAtMs + accuracyMs) return
    if (this.#waiting.has(accountId) || this.#waiting.size >= accountsMax) return
    this.#waiting.set(accountId, { homeId, accountId, atMs })
  }

  /** Stores what was noted; to be called by a timer every second or so, and before the process ends. */
  async flush(): Promise<void> {
    if (this.#waiting.size === 0) return
    const uses = this.#waiting
    this.#waiting = new Map()
    // In one order everywhere, so that two processes never wait for each other.
    const inOrder = [...uses.values()].sort((one, other) =>
      one.accountId < other.accountId ? -1 : 1,
    )
    try {
      await this.#storage.transaction(async ({ serviceAccounts }) => {
        for (const { homeId, accountId, atMs } of inOrder) {
          await serviceAccounts.touch(homeId, accountId, atMs)
        }
      })
    } catch (error) {
      for (const use of inOrder) this.#waiting.set(use.accountId, use)
      throw error
    }
  }
}
