import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '#domain/clock.ts'
import { DomainError } from '#domain/errors.ts'
import type { DeliveryKind, Settlement } from '#domain/outbox/delivery-kind.ts'
import { queueOf } from '#domain/outbox/outbox-message.ts'
import type { Storage, Stores } from '#domain/storage.ts'
import type { Outcome } from './outcome.ts'

const batchMax = 100
const gatherMs = 4
const retryMs = 1_000
/** What waits to be written down; nothing new is claimed beyond it. */
export const backlogMax = 1_000

interface Entry {
  readonly kind: DeliveryKind
  readonly outcome: Outcome
}

/** Writes down what became of messages, many in one transaction. */
export class Settler {
  readonly #storage: Storage
  readonly #clock: Clock
  readonly #failed: (error: unknown) => void
  readonly #afterBatch: () => void
  #entries: Entry[] = []
  #running: Promise<void> | undefined
  #isClosing = false

  constructor(dependencies: {
    storage: Storage
    clock: Clock
    /** A batch could not be written; it is tried again. */
    failed: (error: unknown) => void
    afterBatch: () => void
  }) {
    this.#storage = dependencies.storage
    this.#clock = dependencies.clock
    this.#failed = dependencies.failed
    this.#afterBatch = dependencies.afterBatch
  }

  get backlog(): number {
    return this.#entries.length
  }

  add(kind: DeliveryKind, outcome: Outcome): void {
    this.#entries.push({ kind, outcome })
    this.#running ??= this.#run()
  }

  /** Resolves when everything is written, or was tried once more and could not be: claims end by themselves. */
  async close(): Promise<void> {
    this.#isClosing = true
    await this.#running
  }

  async #run(): Promise<void> {
    while (this.#entries.length > 0) {
      if (this.#entries.length < batchMax && !this.#isClosing) await sleep(gatherMs)
      const batch = this.#entries.slice(0, batchMax)
      try {
        await this.#write(batch)
      } catch (error) {
        this.#failed(error)
        if (isUnavailable(error)) {
          if (this.#isClosing) break
          await sleep(retryMs)
          // Whoever may claim the message by now sends it again; what is left of this attempt is nobody's.
          const nowMs = this.#clock()
          this.#entries = this.#entries.filter(({ outcome }) => outcome.message.dueAtMs > nowMs)
          continue
        }
        await this.#writeEach(batch)
      }
      this.#entries = this.#entries.slice(batch.length)
      this.#afterBatch()
    }
    this.#running = undefined
  }

  /** One that cannot be written, by a fault of its kind, does not hold up the others; its claim ends by itself. */
  async #writeEach(batch: readonly Entry[]): Promise<void> {
    for (const entry of batch) {
      await this.#write([entry]).catch((error: unknown) => this.#failed(error))
    }
  }

  #write(batch: readonly Entry[]): Promise<void> {
    const nowMs = this.#clock()
    // In one order on all nodes: two batches never wait for each other.
    const groups = Map.groupBy(batch, ({ outcome: { message } }) =>
      queueOf(message.tenantId, message.kind, message.target),
    )
    const sorted = [...groups].toSorted(([one], [other]) => (one < other ? -1 : 1))
    return this.#storage.transaction(async (stores) => {
      for (const [, entries] of sorted) {
        const written = await Promise.all(
          entries.map(async ({ kind, outcome }) => ({
            outcome,
            isOurs: await settle(stores, kind, outcome, nowMs),
          })),
        )
        const settlements: Settlement[] = written
          .filter(({ isOurs }) => isOurs)
          .map(({ outcome }) => outcome)
        if (settlements.length > 0) await entries[0]?.kind.settled?.(stores, settlements, nowMs)
      }
    })
  }
}

function isUnavailable(error: unknown): boolean {
  return error instanceof DomainError && error.code === 'unavailable'
}

function settle(
  { outbox }: Stores,
  kind: DeliveryKind,
  { message, outcome, tries, attempts, dueAtMs }: Outcome,
  nowMs: number,
): Promise<boolean> {
  switch (outcome) {
    case 'dropped':
      return outbox.removeClaimed(message)
    case 'retried': {
      const { isOrdered } = kind
      return outbox.postponeClaimed(message, { dueAtMs, tries, attempts, isOrdered })
    }
    case 'failed':
      return outbox.finishClaimed(message, { status: 'FAILED', tries, attempts, nowMs })
    case 'delivered':
      return kind.keepsDelivered
        ? outbox.finishClaimed(message, { status: 'DELIVERED', tries, attempts, nowMs })
        : outbox.removeClaimed(message)
  }
}
