import type { Queries } from '#storage/queries.ts'
import { dynamicStatement, statement } from '#storage/statement.ts'
import type { SealedRecord } from './journal-record.ts'

/** What a query may ask for; all that are given must hold. */
export interface RecordFilter {
  /** Inclusive, epoch milliseconds. */
  readonly fromMs?: number
  /** Exclusive. */
  readonly toMs?: number
  /** Exact, or a whole noun: `user.*`. */
  readonly action?: string
  readonly outcome?: string
  readonly surface?: string
  readonly actorId?: string
  readonly userId?: string
  readonly targetType?: string
  readonly targetId?: string
  /** ULID of one record. */
  readonly id?: string
}

export interface PlacedRecord extends SealedRecord {
  readonly seq: number
}

export interface RecordRange {
  readonly fromSeq: number
  readonly toSeq: number
}

const columns = ['seq', 'body', 'hash'] as const

const findBySeq = statement((db, p: { tenantId: string; seq: number }) =>
  db
    .selectFrom('journal_record')
    .select(columns)
    .where('tenant_id', '=', p.tenantId)
    .where('seq', '=', p.seq),
)

const listRange = statement(
  (db, p: { tenantId: string; fromSeq: number; toSeq: number; limit: number }) =>
    db
      .selectFrom('journal_record')
      .select(columns)
      .where('tenant_id', '=', p.tenantId)
      .where('seq', '>=', p.fromSeq)
      .where('seq', '<=', p.toSeq)
      .orderBy('seq')
      .limit(p.limit),
)

const findFirst = statement((db, p: { tenantId: string }) =>
  db
    .selectFrom('journal_record')
    .select(columns)
    .where('tenant_id', '=', p.tenantId)
    .orderBy('seq')
    .limit(1),
)

const findLast = statement((db, p: { tenantId: string }) =>
  db
    .selectFrom('journal_record')
    .select(columns)
    .where('tenant_id', '=', p.tenantId)
    .orderBy('seq', 'desc')
    .limit(1),
)

const findSeqNearId = statement((db, p: { tenantId: string; id: string }) =>
  db
    .selectFrom('journal_record')
    .select('seq')
    .where('tenant_id', '=', p.tenantId)
    .where('id', '>=', p.id)
    .orderBy('id')
    .limit(1),
)

const findSeqOfId = statement((db, p: { tenantId: string; id: string }) =>
  db
    .selectFrom('journal_record')
    .select('seq')
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id),
)

interface UserPart {
  readonly tenantId: string
  readonly userId: string
  readonly fromSeq: number
  readonly toSeq: number
  readonly offset: number
}

const findUserSeqUpwards = statement((db, p: UserPart) =>
  db
    .selectFrom('journal_record')
    .select('seq')
    .where('tenant_id', '=', p.tenantId)
    .where('user_id', '=', p.userId)
    .where('seq', '>=', p.fromSeq)
    .where('seq', '<=', p.toSeq)
    .orderBy('seq')
    .limit(1)
    .offset(p.offset),
)

const findUserSeqDownwards = statement((db, p: UserPart) =>
  db
    .selectFrom('journal_record')
    .select('seq')
    .where('tenant_id', '=', p.tenantId)
    .where('user_id', '=', p.userId)
    .where('seq', '>=', p.fromSeq)
    .where('seq', '<=', p.toSeq)
    .orderBy('seq', 'desc')
    .limit(1)
    .offset(p.offset),
)

/** Reads the chain. Every method reads a bounded number of rows. */
export class JournalReaderStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  find(tenantId: string, seq: number): Promise<PlacedRecord | undefined> {
    return this.#queries.first(findBySeq, { tenantId, seq })
  }

  findFirst(tenantId: string): Promise<PlacedRecord | undefined> {
    return this.#queries.first(findFirst, { tenantId })
  }

  findLast(tenantId: string): Promise<PlacedRecord | undefined> {
    return this.#queries.first(findLast, { tenantId })
  }

  /** The next records of a range, in order of seq. */
  listRange(
    tenantId: string,
    { fromSeq, toSeq }: RecordRange,
    limit: number,
  ): Promise<PlacedRecord[]> {
    return this.#queries.all(listRange, { tenantId, fromSeq, toSeq, limit })
  }

  /** The seq of the first record, by id, that is not older; undefined when there is none. */
  async findSeqNearId(tenantId: string, id: string): Promise<number | undefined> {
    return (await this.#queries.first(findSeqNearId, { tenantId, id }))?.seq
  }

  async findSeqOfId(tenantId: string, id: string): Promise<number | undefined> {
    return (await this.#queries.first(findSeqOfId, { tenantId, id }))?.seq
  }

  /** The seq of a user's `count`-th record in a range, from the end that `order` begins at; undefined for fewer. */
  async findUserSeq(
    tenantId: string,
    userId: string,
    { fromSeq, toSeq }: RecordRange,
    order: 'asc' | 'desc',
    count: number,
  ): Promise<number | undefined> {
    const find = order === 'asc' ? findUserSeqUpwards : findUserSeqDownwards
    const part = { tenantId, userId, fromSeq, toSeq, offset: count - 1 }
    return (await this.#queries.first(find, part))?.seq
  }

  /**
   * The records of a range of seq for which the filter holds. The caller bounds the range, and so what is read: a
   * filter on the user is found by its index, any other is applied row by row.
   */
  search(
    tenantId: string,
    { fromSeq, toSeq }: RecordRange,
    filter: RecordFilter,
    order: 'asc' | 'desc',
    limit: number,
  ): Promise<PlacedRecord[]> {
    return this.#queries.all(
      dynamicStatement((db) => {
        let query = db
          .selectFrom('journal_record')
          .select(columns)
          .where('tenant_id', '=', tenantId)
          .where('seq', '>=', fromSeq)
          .where('seq', '<=', toSeq)
        if (filter.userId !== undefined) query = query.where('user_id', '=', filter.userId)
        if (filter.targetId !== undefined) query = query.where('target_id', '=', filter.targetId)
        if (filter.targetType !== undefined)
          query = query.where('target_type', '=', filter.targetType)
        if (filter.id !== undefined) query = query.where('id', '=', filter.id)
        if (filter.fromMs !== undefined) query = query.where('at', '>=', filter.fromMs)
        if (filter.toMs !== undefined) query = query.where('at', '<', filter.toMs)
        if (filter.outcome !== undefined) query = query.where('outcome', '=', filter.outcome)
        if (filter.surface !== undefined) query = query.where('surface', '=', filter.surface)
        if (filter.actorId !== undefined) query = query.where('actor_id', '=', filter.actorId)
        if (filter.action?.endsWith('.*')) {
          const noun = filter.action.slice(0, -1)
          // `noun.` up to the next character after the dot: a range, so that no pattern language is involved.
          query = query.where('action', '>=', noun).where('action', '<', `${noun.slice(0, -1)}/`)
        } else if (filter.action !== undefined) {
          query = query.where('action', '=', filter.action)
        }
        return query.orderBy('seq', order).limit(limit)
      }),
      {},
    )
  }
}
