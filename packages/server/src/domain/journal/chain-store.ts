import type { Queries } from '#storage/queries.ts'
import { type Builder, statement, type Value } from '#storage/statement.ts'
import type { RecordIndex, SealedRecord, UnsealedRecord } from './journal-record.ts'

const bulkRowCount = 20

const listQueued = statement((db, p: { tenantId: string; limit: number }) =>
  db
    .selectFrom('journal_queue')
    .select(['id', 'head', 'middle', 'tail'])
    .where('tenant_id', '=', p.tenantId)
    .orderBy('id')
    .limit(p.limit),
)

const findHead = statement((db, p: { tenantId: string }) =>
  db
    .selectFrom('journal_record')
    .select(['seq', 'hash'])
    .where('tenant_id', '=', p.tenantId)
    .where('seq', '>', 0)
    .orderBy('seq', 'desc')
    .limit(1),
)

type RowParameters = Record<string, Value>

/** Deletes a fixed number of records; `p` has a member `id_<row>` for each. */
function deleteQueued(rowCount: number) {
  return statement((db: Builder, p: RowParameters) =>
    db
      .deleteFrom('journal_queue')
      .where('tenant_id', '=', p.tenantId as string)
      .where(
        'id',
        'in',
        Array.from({ length: rowCount }, (_row, row) => p[`id_${row}`] as string),
      ),
  )
}

const removeRange = statement((db, p: { tenantId: string; fromSeq: number; toSeq: number }) =>
  db
    .deleteFrom('journal_record')
    .where('tenant_id', '=', p.tenantId)
    .where('seq', '>=', p.fromSeq)
    .where('seq', '<=', p.toSeq),
)

const insertPlaced = statement((db, p: ChainedRecord & { tenantId: string }) =>
  db.insertInto('journal_record').values({
    tenant_id: p.tenantId,
    seq: p.seq,
    id: p.id,
    action: p.action,
    outcome: p.outcome,
    surface: p.surface,
    actor_id: p.actorId,
    user_id: p.userId,
    target_type: p.targetType,
    target_id: p.targetId,
    at: p.atMs,
    body: p.body,
    hash: p.hash,
  }),
)

const deleteOne = deleteQueued(1)
const deleteBulk = deleteQueued(bulkRowCount)

/** Where a chain ends. */
export interface ChainHead {
  readonly seq: number
  readonly hash: string
}

export interface ChainedRecord extends SealedRecord, RecordIndex {
  readonly seq: number
  readonly id: string
}

/** Puts records into the chain; on engines with a queue, moves them there. */
export class ChainStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** The oldest waiting records. */
  async listQueued(tenantId: string, limit: number): Promise<UnsealedRecord[]> {
    const rows = await this.#queries.all(listQueued, { tenantId, limit })
    return rows.map(({ id, head, middle, tail }) => ({ tenantId, id, head, middle, tail }))
  }

  async findHead(tenantId: string): Promise<ChainHead | undefined> {
    return this.#queries.first(findHead, { tenantId })
  }

  /** Appends one record to the chain. */
  async insert(tenantId: string, record: ChainedRecord): Promise<void> {
    await this.#queries.run(insertPlaced, { ...record, tenantId })
  }

  /** Appends records to the chain and takes exactly these out of the queue. */
  async append(tenantId: string, records: readonly ChainedRecord[]): Promise<void> {
    const work: Promise<unknown>[] = records.map((record) => this.insert(tenantId, record))
    const bulkEnd = records.length - (records.length % bulkRowCount)
    for (let start = 0; start < bulkEnd; start += bulkRowCount) {
      const parameters = namesOf(tenantId, records.slice(start, start + bulkRowCount))
      work.push(this.#queries.run(deleteBulk, parameters))
    }
    for (const record of records.slice(bulkEnd)) {
      work.push(this.#queries.run(deleteOne, namesOf(tenantId, [record])))
    }
    await Promise.all(work)
  }

  /** Removes records for good. @returns how many there were. */
  async remove(tenantId: string, fromSeq: number, toSeq: number): Promise<number> {
    return this.#queries.run(removeRange, { tenantId, fromSeq, toSeq })
  }
}

function namesOf(tenantId: string, records: readonly ChainedRecord[]): RowParameters {
  return { tenantId, ...Object.fromEntries(records.map(({ id }, row) => [`id_${row}`, id])) }
}
