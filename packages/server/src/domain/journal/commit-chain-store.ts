import { chainStart } from '@countersign/protocol/journal/chain.ts'
import type { CommitEnd } from '#storage/queries.ts'
import { type ChainHead, ChainStore } from './chain-store.ts'
import { type RecordIndex, sealRecord, type UnsealedRecord } from './journal-record.ts'

/** A record on its way into the chain, with what its columns will say. */
export interface WrittenRecord {
  readonly record: UnsealedRecord
  readonly index: RecordIndex
}

/**
 * Chains the records of a commit at its end, where the engine has one writer: the head that is read there is the last,
 * so nobody ever waits for it, and no queue is needed. Remembers which chains grew, for whoever signs checkpoints.
 */
export class CommitChain {
  readonly #grown = new Set<string>()

  /** One function for all commits: what is left for it is written together. */
  readonly write: CommitEnd<WrittenRecord> = async (queries, written) => {
    const chain = new ChainStore(queries)
    const heads = new Map<string, ChainHead>()
    for (const { record, index } of written) {
      const { tenantId, id } = record
      const { seq, hash } = heads.get(tenantId) ??
        (await chain.findHead(tenantId)) ?? { seq: 0, hash: chainStart }
      const placed = { ...sealRecord(record, hash, seq + 1), seq: seq + 1 }
      await chain.insert(tenantId, { ...placed, ...index, id })
      heads.set(tenantId, placed)
      this.#grown.add(tenantId)
    }
  }

  /** Tenants whose chains may have grown since each was last taken. */
  get grown(): readonly string[] {
    return [...this.#grown]
  }

  /** True once for a chain that may have grown. */
  take(tenantId: string): boolean {
    return this.#grown.delete(tenantId)
  }

  /** Whoever took a chain could not do what it came for. */
  giveBack(tenantId: string): void {
    this.#grown.add(tenantId)
  }
}
