import type { Queries } from '#storage/queries.ts'
import { dynamicStatement, statement } from '#storage/statement.ts'

export type CheckpointReason = 'SCHEDULED' | 'REQUESTED' | 'RETENTION'

/** A signed statement about a chain: record `seq` exists with this `hash`. */
export interface Checkpoint {
  readonly id: string
  readonly seq: number
  readonly hash: string
  /** Oldest record still kept. */
  readonly firstSeq: number
  readonly atMs: number
  readonly reason: CheckpointReason
  readonly previous: string | null
  readonly jws: string
}

const columns = ['id', 'seq', 'hash', 'first_seq', 'at', 'reason', 'previous', 'jws'] as const

const insert = statement(
  (
    db,
    p: {
      tenantId: string
      id: string
      seq: number
      hash: string
      firstSeq: number
      atMs: number
      reason: string
      previous: string | null
      jws: string
    },
  ) =>
    db
      .insertInto('journal_checkpoint')
      .values({
        tenant_id: p.tenantId,
        id: p.id,
        seq: p.seq,
        hash: p.hash,
        first_seq: p.firstSeq,
        at: p.atMs,
        reason: p.reason,
        previous: p.previous,
        jws: p.jws,
      })
      .onConflict((conflict) => conflict.columns(['tenant_id', 'seq', 'reason']).doNothing()),
)

const findLatest = statement((db, p: { tenantId: string }) =>
  db
    .selectFrom('journal_checkpoint')
    .select(columns)
    .where('tenant_id', '=', p.tenantId)
    .orderBy('id', 'desc')
    .limit(1),
)

const listAtSeq = statement((db, p: { tenantId: string; seq: number }) =>
  db
    .selectFrom('journal_checkpoint')
    .select(columns)
    .where('tenant_id', '=', p.tenantId)
    .where('seq', '=', p.seq),
)

const listInRange = statement(
  (db, p: { tenantId: string; fromSeq: number; toSeq: number; limit: number }) =>
    db
      .selectFrom('journal_checkpoint')
      .select(columns)
      .where('tenant_id', '=', p.tenantId)
      .where('seq', '>=', p.fromSeq)
      .where('seq', '<=', p.toSeq)
      .orderBy('seq')
      .limit(p.limit),
)

interface CheckpointRow {
  readonly id: string
  readonly seq: number
  readonly hash: string
  readonly first_seq: number
  readonly at: number
  readonly reason: string
  readonly previous: string | null
  readonly jws: string
}

/** Checkpoints of the chains. */
export class CheckpointStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** False when one for the same record and reason exists. */
  async insert(tenantId: string, checkpoint: Checkpoint): Promise<boolean> {
    return (await this.#queries.run(insert, { ...checkpoint, tenantId })) === 1
  }

  async findLatest(tenantId: string): Promise<Checkpoint | undefined> {
    const row = await this.#queries.first(findLatest, { tenantId })
    return row === undefined ? undefined : toCheckpoint(row)
  }

  async findAtSeq(tenantId: string, seq: number): Promise<Checkpoint | undefined> {
    const [row] = await this.#queries.all(listAtSeq, { tenantId, seq })
    return row === undefined ? undefined : toCheckpoint(row)
  }

  /** In order of seq. */
  async listInRange(
    tenantId: string,
    fromSeq: number,
    toSeq: number,
    limit: number,
  ): Promise<Checkpoint[]> {
    return (await this.#queries.all(listInRange, { tenantId, fromSeq, toSeq, limit })).map(
      toCheckpoint,
    )
  }

  /** In order of creation, behind `afterId`. */
  async listAfter(
    tenantId: string,
    afterId: string | undefined,
    limit: number,
  ): Promise<Checkpoint[]> {
    const rows = await this.#queries.all(
      dynamicStatement((db) => {
        const query = db
          .selectFrom('journal_checkpoint')
          .select(columns)
          .where('tenant_id', '=', tenantId)
        return (afterId === undefined ? query : query.where('id', '>', afterId))
          .orderBy('id')
          .limit(limit)
      }),
      {},
    )
    return rows.map(toCheckpoint)
  }
}

function toCheckpoint(row: CheckpointRow): Checkpoint {
  return {
    id: row.id,
    seq: row.seq,
    hash: row.hash,
    firstSeq: row.first_seq,
    atMs: row.at,
    reason: row.reason as CheckpointReason,
    previous: row.previous,
    jws: row.jws,
  }
}
