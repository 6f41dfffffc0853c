import type { Queries } from '#storage/queries.ts'
import { type Builder, dynamicStatement, statement } from '#storage/statement.ts'
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

/** The part of a range from the end that `order` begins at, up to and with `last`; all of it without. */
export function upTo(
  { fromSeq, toSeq }: RecordRange,
  order: 'asc' | 'desc',
  last: number | undefined,
): RecordRange {
  if (last === undefined) return { fromSeq, toSeq }
  return order === 'asc'
    ? { fromSeq, toSeq: Math.min(toSeq, last) }
    : { fromSeq: Math.max(fromSeq, last), toSeq }
}

/** The seq of the `count`-th record of a range without gaps. */
export function nthSeq(
  { fromSeq, toSeq }: RecordRange,
  order: 'asc' | 'desc',
  count: number,
): number {
  return order === 'asc' ? fromSeq + count - 1 : toSeq - count + 1
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

  /** The records of a range of seq for which the filter holds. The caller bounds the range, and so what is read. */
  search(
    tenantId: string,
    { fromSeq, toSeq }: RecordRange,
    filter: RecordFilter,
    order: 'asc' | 'desc',
    limit: number,
  ): Promise<PlacedRecord[]> {
    return this.#queries.all(
      dynamicStatement((db) =>
        matching(
          fromRecords(db)
            .where('r.tenant_id', '=', tenantId)
            .where('r.seq', '>=', fromSeq)
            .where('r.seq', '<=', toSeq),
          filter,
        )
          .orderBy('r.seq', order)
          .limit(limit),
      ),
      {},
    )
  }
}

function fromRecords(db: Builder) {
  return db.selectFrom('journal_record as r').select(['r.seq', 'r.body', 'r.hash'])
}

type RecordQuery = ReturnType<typeof fromRecords>

/** Adds what a filter asks for; a filter on time or place in the chain bounds nothing by itself. */
export function matching(start: RecordQuery, filter: RecordFilter): RecordQuery {
  let query = start
  if (filter.userId !== undefined) query = query.where('r.user_id', '=', filter.userId)
  if (filter.targetId !== undefined) query = query.where('r.target_id', '=', filter.targetId)
  if (filter.targetType !== undefined) query = query.where('r.target_type', '=', filter.targetType)
  if (filter.id !== undefined) query = query.where('r.id', '=', filter.id)
  if (filter.fromMs !== undefined) query = query.where('r.at', '>=', filter.fromMs)
  if (filter.toMs !== undefined) query = query.where('r.at', '<', filter.toMs)
  if (filter.outcome !== undefined) query = query.where('r.outcome', '=', filter.outcome)
  if (filter.surface !== undefined) query = query.where('r.surface', '=', filter.surface)
  if (filter.actorId !== undefined) query = query.where('r.actor_id', '=', filter.actorId)
  if (filter.action?.endsWith('.*')) {
    const noun = filter.action.slice(0, -1)
    // `noun.` up to the next character after the dot: a range, so that no pattern language is involved.
    return query.where('r.action', '>=', noun).where('r.action', '<', `${noun.slice(0, -1)}/`)
  }
  return filter.action === undefined ? query : query.where('r.action', '=', filter.action)
}
