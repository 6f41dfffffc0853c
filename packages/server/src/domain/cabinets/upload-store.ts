import type { Queries } from '#storage/queries.ts'
import type { CabinetUploadTable } from '#storage/schema/cabinets.ts'
import { statement } from '#storage/statement.ts'
import type { AuditUpload } from './audit-upload.ts'

/** An upload without its body. */
export interface UploadHead {
  readonly firstSeq: number
  readonly lastSeq: number
  readonly bodyBytes: number
}

interface Seen {
  readonly tenantId: string
  readonly serial: string
  readonly bodyHash: string
  readonly nowMs: number
  readonly expiresAtMs: number
}

/** One statement decides: it changes a row for whoever brings the body first within its time. */
const markSeen = statement((db, p: Seen) =>
  db
    .insertInto('cabinet_upload_seen')
    .values({
      tenant_id: p.tenantId,
      serial: p.serial,
      body_hash: p.bodyHash,
      expires_at: p.expiresAtMs,
    })
    .onConflict((conflict) =>
      conflict
        .columns(['tenant_id', 'serial', 'body_hash'])
        .doUpdateSet({ expires_at: p.expiresAtMs })
        .where('cabinet_upload_seen.expires_at', '<=', p.nowMs),
    ),
)

const removeSeen = statement((db, p: { nowMs: number; limit: number }) =>
  db
    .deleteFrom('cabinet_upload_seen')
    .where(({ eb, refTuple, selectFrom }) =>
      eb(
        refTuple('tenant_id', 'serial', 'body_hash'),
        'in',
        selectFrom('cabinet_upload_seen')
          .select(['tenant_id', 'serial', 'body_hash'])
          .where('expires_at', '<=', p.nowMs)
          .orderBy('expires_at')
          .limit(p.limit)
          .$asTuple('tenant_id', 'serial', 'body_hash'),
      ),
    ),
)

const insert = statement((db, row: CabinetUploadTable) =>
  db.insertInto('cabinet_upload').values({
    tenant_id: row.tenant_id,
    last_seq: row.last_seq,
    first_seq: row.first_seq,
    id: row.id,
    cabinet_id: row.cabinet_id,
    serial: row.serial,
    content_type: row.content_type,
    event_count: row.event_count,
    header_ip: row.header_ip,
    body_hash: row.body_hash,
    received_at: row.received_at,
    body_bytes: row.body_bytes,
    body: row.body,
  }),
)

const findById = statement((db, p: { tenantId: string; id: string }) =>
  db
    .selectFrom('cabinet_upload')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id),
)

const listBehind = statement((db, p: { tenantId: string; seq: number; limit: number }) =>
  db
    .selectFrom('cabinet_upload')
    .select(['first_seq', 'last_seq', 'body_bytes'])
    .where('tenant_id', '=', p.tenantId)
    .where('last_seq', '>', p.seq)
    .orderBy('last_seq')
    .limit(p.limit),
)

const findNext = statement((db, p: { tenantId: string; seq: number }) =>
  db
    .selectFrom('cabinet_upload')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('last_seq', '>', p.seq)
    .orderBy('last_seq')
    .limit(1),
)

const findFirstSince = statement((db, p: { tenantId: string; sinceMs: number }) =>
  db
    .selectFrom('cabinet_upload')
    .select('first_seq')
    .where('tenant_id', '=', p.tenantId)
    .where('received_at', '>=', p.sinceMs)
    .orderBy('received_at')
    .limit(1),
)

const removeBefore = statement((db, p: { tenantId: string; beforeMs: number; limit: number }) =>
  db
    .deleteFrom('cabinet_upload')
    .where('tenant_id', '=', p.tenantId)
    .where('last_seq', 'in', (eb) =>
      eb
        .selectFrom('cabinet_upload')
        .select('last_seq')
        .where('tenant_id', '=', p.tenantId)
        .where('received_at', '<', p.beforeMs)
        .orderBy('received_at')
        .limit(p.limit),
    ),
)

/** Audit records that came in, and which bodies came lately. */
export class UploadStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** True for the first one that brings this body; again when the time of the last one is over. */
  async markSeen(seen: Seen): Promise<boolean> {
    return (await this.#queries.run(markSeen, seen)) === 1
  }

  /** @returns how many marks were removed. */
  async removeSeen(nowMs: number, limit: number): Promise<number> {
    return this.#queries.run(removeSeen, { nowMs, limit })
  }

  async insert(upload: AuditUpload): Promise<void> {
    await this.#queries.run(insert, {
      tenant_id: upload.tenantId,
      last_seq: upload.lastSeq,
      first_seq: upload.firstSeq,
      id: upload.id,
      cabinet_id: upload.cabinetId,
      serial: upload.serial,
      content_type: upload.contentType,
      event_count: upload.eventCount,
      header_ip: upload.headerAddress,
      body_hash: upload.bodyHash,
      received_at: upload.receivedAtMs,
      body_bytes: upload.body.length,
      body: upload.body,
    })
  }

  async find(tenantId: string, id: string): Promise<AuditUpload | undefined> {
    const row = await this.#queries.first(findById, { tenantId, id })
    return row && asUpload(row)
  }

  /** The uploads with events behind a number, in order. */
  async listBehind(tenantId: string, seq: number, limit: number): Promise<UploadHead[]> {
    const rows = await this.#queries.all(listBehind, { tenantId, seq, limit })
    return rows.map((row) => ({
      firstSeq: row.first_seq,
      lastSeq: row.last_seq,
      bodyBytes: row.body_bytes,
    }))
  }

  /** The first upload with an event behind a number. */
  async findNext(tenantId: string, seq: number): Promise<AuditUpload | undefined> {
    const row = await this.#queries.first(findNext, { tenantId, seq })
    return row && asUpload(row)
  }

  /** The number of the first event that came at this moment or later; undefined when none did. */
  async findFirstSince(tenantId: string, sinceMs: number): Promise<number | undefined> {
    return (await this.#queries.first(findFirstSince, { tenantId, sinceMs }))?.first_seq
  }

  /** @returns how many were removed. */
  async removeBefore(tenantId: string, beforeMs: number, limit: number): Promise<number> {
    return this.#queries.run(removeBefore, { tenantId, beforeMs, limit })
  }
}

function asUpload(row: CabinetUploadTable): AuditUpload {
  return {
    tenantId: row.tenant_id,
    id: row.id,
    firstSeq: row.first_seq,
    lastSeq: row.last_seq,
    cabinetId: row.cabinet_id,
    serial: row.serial,
    contentType: row.content_type,
    eventCount: row.event_count,
    headerAddress: row.header_ip,
    bodyHash: row.body_hash,
    receivedAtMs: row.received_at,
    body: row.body,
  }
}
