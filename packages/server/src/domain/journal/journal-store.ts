import type { Queries } from '#storage/queries.ts'
import { statement } from '#storage/statement.ts'
import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import type { IdSource } from '../ulid.ts'
import type { CommitChain } from './commit-chain-store.ts'
import { indexEntry, type JournalEntry, writeRecord } from './journal-record.ts'

const insertQueued = statement(
  (db, p: { tenantId: string; id: string; head: string; middle: string; tail: string }) =>
    db.insertInto('journal_queue').values({
      tenant_id: p.tenantId,
      id: p.id,
      head: p.head,
      middle: p.middle,
      tail: p.tail,
    }),
)

const firstQueuedTenant = statement((db, p: { after: string }) =>
  db
    .selectFrom('journal_queue')
    .select('tenant_id')
    .where('tenant_id', '>', p.after)
    .orderBy('tenant_id')
    .limit(1),
)

const queuedAtMost = 10_000

const listQueuedIds = statement((db, p: { limit: number }) =>
  db.selectFrom('journal_queue').select('id').limit(p.limit),
)

/** The journal's way in. Reading it is `journal-reader`'s, chaining it the sealer's. */
export class JournalStore {
  readonly #queries: Queries
  readonly #clock: Clock
  readonly #nextId: IdSource
  readonly #commitChain: CommitChain

  constructor(queries: Queries, clock: Clock, nextId: IdSource, commitChain: CommitChain) {
    this.#queries = queries
    this.#clock = clock
    this.#nextId = nextId
    this.#commitChain = commitChain
  }

  /**
   * Records in the running transaction: the record exists if and only if its effect does. Its place in the chain it gets
   * with the commit, or from the sealer within a second.
   *
   * @returns the record's id.
   */
  async append(caller: Caller, tenantId: string, entry: JournalEntry): Promise<string> {
    const atMs = this.#clock()
    const record = writeRecord(caller, tenantId, entry, { id: this.#nextId(), atMs })
    if (this.#queries.leaveForCommit === undefined) await this.#queries.run(insertQueued, record)
    else {
      const index = indexEntry(caller, entry, atMs)
      this.#queries.leaveForCommit(this.#commitChain.write, { record, index })
    }
    return record.id
  }

  /** The next tenant, in order of id, that has records waiting; undefined when there is none behind `after`. */
  async nextWaitingTenant(after: string): Promise<string | undefined> {
    return (await this.#queries.first(firstQueuedTenant, { after }))?.tenant_id
  }

  /** How many records wait for the sealer, over all tenants; counted up to 10,000. */
  async countWaiting(): Promise<number> {
    return (await this.#queries.all(listQueuedIds, { limit: queuedAtMost })).length
  }
}
