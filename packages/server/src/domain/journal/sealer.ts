import { setTimeout as sleep } from 'node:timers/promises'
import { chainStart } from '@countersign/protocol/journal/chain.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import { type Storage, takenKey } from '../storage.ts'
import type { ChainedRecord, ChainHead } from './chain-store.ts'
import { type RecordIndex, sealRecord, type UnsealedRecord } from './journal-record.ts'

const leaseName = 'journal-sealer'
const leaseMs = 10_000
const intervalMs = 200
/** One unit of work: small enough not to hold up requests behind it. */
const batchRecordsMax = 100

/** Called after records were sealed; the checkpoints hang on it. */
export type AfterSealing = (tenantId: string, head: ChainHead) => Promise<void>

export interface SealerObserver {
  /** A run failed; the next one tries again. */
  sealingFailed(error: unknown): void
}

/**
 * Gives committed records their place in their tenant's chain: sequence number, previous hash, hash. Runs behind the
 * writers, so that nobody queues for a chain's head; a lease lets one process at a time do it, and the chain's key makes
 * a second one fail rather than fork.
 */
export class Sealer {
  readonly #storage: Storage
  readonly #clock: Clock
  readonly #holder: string
  readonly #afterSealing: AfterSealing
  readonly #observer: SealerObserver
  #stopped = false
  #loop: Promise<void> | undefined

  constructor(dependencies: {
    storage: Storage
    clock: Clock
    /** Names this process; no two share it. */
    holder: string
    afterSealing: AfterSealing
    observer: SealerObserver
  }) {
    this.#storage = dependencies.storage
    this.#clock = dependencies.clock
    this.#holder = dependencies.holder
    this.#afterSealing = dependencies.afterSealing
    this.#observer = dependencies.observer
  }

  start(): void {
    this.#loop ??= this.#run()
  }

  /** Ends after the batch that is running; what waits stays in the queue. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#loop
    await this.#storage
      .transaction(({ leases }) => leases.release(leaseName, this.#holder))
      .catch(() => {})
  }

  /** Seals everything that waits now, for all tenants, and lets checkpoints follow what was chained with its commit. */
  async sealAll(): Promise<void> {
    let tenantId = await this.#storage.read.journal.nextWaitingTenant('')
    while (tenantId !== undefined && !this.#stopped) {
      await this.#trySeal(tenantId)
      tenantId = await this.#storage.read.journal.nextWaitingTenant(tenantId)
    }
    for (const grown of this.#storage.commitChain.grown) {
      if (!this.#stopped) await this.#trySeal(grown)
    }
  }

  /** One tenant's trouble is not another's. */
  async #trySeal(tenantId: string): Promise<void> {
    try {
      await this.sealTenant(tenantId)
    } catch (error) {
      this.#observer.sealingFailed(error)
    }
  }

  /**
   * Seals what waits for one tenant.
   *
   * @returns the head of its chain; undefined while it has no records.
   */
  async sealTenant(tenantId: string): Promise<ChainHead | undefined> {
    const { commitChain } = this.#storage
    let hasGrown = commitChain.take(tenantId)
    try {
      for (;;) {
        const { head, sealedCount } = await this.#sealBatch(tenantId)
        const isNew = hasGrown || sealedCount > 0
        if (isNew && head !== undefined) await this.#afterSealing(tenantId, head)
        hasGrown = false
        if (sealedCount < batchRecordsMax) return head
      }
    } catch (error) {
      if (hasGrown) commitChain.giveBack(tenantId)
      throw error
    }
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      try {
        if (await this.#holdLease()) await this.sealAll()
      } catch (error) {
        this.#observer.sealingFailed(error)
      }
      await sleep(intervalMs, undefined, { ref: false })
    }
  }

  #holdLease(): Promise<boolean> {
    const nowMs = this.#clock()
    return this.#storage.transaction(({ leases }) =>
      leases.hold({ name: leaseName, holder: this.#holder, nowMs, untilMs: nowMs + leaseMs }),
    )
  }

  async #sealBatch(
    tenantId: string,
  ): Promise<{ head: ChainHead | undefined; sealedCount: number }> {
    try {
      return await this.#storage.transaction(
        async ({ chain }) => {
          const head = await chain.findHead(tenantId)
          const queued = await chain.listQueued(tenantId, batchRecordsMax)
          if (queued.length === 0) return { head, sealedCount: 0 }
          const records = chainRecords(queued, head)
          await chain.append(tenantId, records)
          const last = records.at(-1)
          return { head: last ?? head, sealedCount: records.length }
        },
        { grouped: true },
      )
    } catch (error) {
      // Another process was sealing too: its records are the chain, ours go behind them next time.
      if (takenKey(error) === undefined) throw error
      throw new DomainError('unavailable', 'The journal is being sealed elsewhere.', {
        cause: error,
        retryAfterSeconds: 1,
      })
    }
  }
}

function chainRecords(
  queued: readonly UnsealedRecord[],
  head: ChainHead | undefined,
): ChainedRecord[] {
  let { seq, hash } = head ?? { seq: 0, hash: chainStart }
  return queued.map((record) => {
    seq += 1
    const sealed = sealRecord(record, hash, seq)
    hash = sealed.hash
    return { ...sealed, ...indexOf(record), seq, id: record.id }
  })
}

interface RecordText {
  readonly action: string
  readonly actor: { readonly id: string | null }
  readonly at: string
  readonly outcome: string
  readonly surface: string
  readonly target: { readonly id: string; readonly type: string } | null
  readonly userId: string | null
}

/** The text is our own, written by `writeRecord`. */
function indexOf({ head, middle, tail }: UnsealedRecord): RecordIndex {
  const record = JSON.parse(head + middle + tail) as RecordText
  return {
    action: record.action,
    outcome: record.outcome,
    surface: record.surface,
    actorId: record.actor.id,
    userId: record.userId,
    targetType: record.target?.type ?? null,
    targetId: record.target?.id ?? null,
    atMs: Date.parse(record.at),
  }
}
