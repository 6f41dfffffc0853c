import type { Clock } from '../clock.ts'
import type { Storage } from '../storage.ts'
import { firstUlidAt } from '../ulid.ts'
import { webhookKindName } from '../webhooks/webhook-endpoint.ts'

const dayMs = 86_400_000

/** Removes what was delivered or given up, once the tenant does not keep it any longer. What waits stays. */
export class OutboxRetention {
  readonly #storage: Storage
  readonly #clock: Clock

  constructor(dependencies: { storage: Storage; clock: Clock }) {
    this.#storage = dependencies.storage
    this.#clock = dependencies.clock
  }

  /** @param days how long a message is kept, counted from its creation. */
  async apply(tenantId: string, days: number): Promise<void> {
    const { outbox, webhookEndpoints } = this.#storage.read
    const beforeId = firstUlidAt(this.#clock() - days * dayMs)
    let next = await outbox.findNextTarget(tenantId, '')
    while (next !== undefined) {
      const { target, kind } = next
      const isOrphaned =
        kind === webhookKindName && (await webhookEndpoints.find(tenantId, target)) === undefined
      if (isOrphaned) await this.#removeAll(tenantId, target)
      else await this.#removeOver(tenantId, target, beforeId)
      next = await outbox.findNextTarget(tenantId, target)
    }
  }

  async #removeOver(tenantId: string, target: string, beforeId: string): Promise<void> {
    let afterId: string | undefined = ''
    while (afterId !== undefined) {
      const from: string = afterId
      afterId = await this.#storage.transaction(({ outbox }) =>
        outbox.removeOver(tenantId, target, { afterId: from, beforeId }),
      )
    }
  }

  /** The log of an endpoint that was deleted while it was too long to be removed at once. */
  async #removeAll(tenantId: string, target: string): Promise<void> {
    let removedCount: number
    do {
      removedCount = await this.#storage.transaction(({ outbox }) =>
        outbox.removeOfTarget(tenantId, target),
      )
    } while (removedCount > 0)
  }
}
