import type { Queries } from '#storage/queries.ts'
import { dynamicStatement, nothing, statement } from '#storage/statement.ts'
import type { Factor } from '../devices/device.ts'
import type { Approval, ApprovalKind, ApprovalStatus, FailureReason } from './approval.ts'
import { ApprovalDeliveryStore } from './approval-delivery-store.ts'
import { firstNumberOf, numbersTried } from './approval-number.ts'
import { asApproval, asRow, insert } from './approval-row-store.ts'
import { EvidenceStore } from './evidence-store.ts'
import { OpenApprovalStore } from './open-approval-store.ts'

/** Conditions on a list; all of them together. */
export interface ApprovalFilter {
  readonly userId?: string | undefined
  readonly status?: ApprovalStatus | undefined
  readonly kind?: ApprovalKind | undefined
  readonly reference?: string | undefined
  readonly fromMs?: number | undefined
  readonly toMs?: number | undefined
  /** Only those that this principal made. */
  readonly createdBy?: string | undefined
}

/** How an approval ends. */
export interface Ending {
  readonly status: 'APPROVED' | 'REJECTED' | 'EXPIRED' | 'CANCELLED'
  readonly deviceId: string | null
  readonly factor: Factor | null
  readonly failureReason: FailureReason | null
  readonly failureMessage: string | null
  readonly eraseAtMs: number
  readonly nowMs: number
}

/** What the first retrieval changes; the last two are a message's, which ends with it. */
export interface FirstRetrieval {
  readonly nowMs: number
  readonly expiresAtMs: number | null
  readonly completedAtMs: number | null
  readonly eraseAtMs: number | null
}

/** The longest time for which a message can be fetched. */
const messageLifeMaxMs = 30 * 24 * 3_600_000

interface Key {
  readonly tenantId: string
  readonly id: string
}

const takeReference = statement(
  (db, p: { tenantId: string; reference: string; approvalId: string }) =>
    db
      .insertInto('approval_reference')
      .values({ tenant_id: p.tenantId, reference: p.reference, approval_id: p.approvalId })
      .onConflict((used) => used.doNothing()),
)

const find = statement((db, p: Key) =>
  db.selectFrom('approval').selectAll().where('tenant_id', '=', p.tenantId).where('id', '=', p.id),
)

const findByReference = statement((db, p: { tenantId: string; reference: string }) =>
  db
    .selectFrom('approval_reference as used')
    .crossJoin('approval')
    .selectAll('approval')
    .where('used.tenant_id', '=', p.tenantId)
    .where('used.reference', '=', p.reference)
    .where('approval.tenant_id', '=', p.tenantId)
    .whereRef('approval.id', '=', 'used.approval_id'),
)

/** Open ones, and messages that others have read but this device has not. */
const listWaiting = statement(
  (
    db,
    p: {
      tenantId: string
      userId: string
      deviceId: string
      afterId: string
      sinceMs: number
      limit: number
    },
  ) =>
    db
      .selectFrom('approval')
      .selectAll()
      .where('tenant_id', '=', p.tenantId)
      .where('user_id', '=', p.userId)
      .where('completed_at', 'is', null)
      .where('id', '>', p.afterId)
      .unionAll(
        db
          .selectFrom('approval')
          .selectAll()
          .where('tenant_id', '=', p.tenantId)
          .where('user_id', '=', p.userId)
          .where('kind', '=', 'MESSAGE')
          .where('status', '=', 'RETRIEVED')
          .where('created_at', '>', p.sinceMs)
          .where('id', '>', p.afterId)
          .where(({ not, exists, selectFrom }) =>
            not(
              exists(
                selectFrom('approval_delivery as shown')
                  .select('shown.device_id')
                  .where('shown.tenant_id', '=', p.tenantId)
                  .whereRef('shown.approval_id', '=', 'approval.id')
                  .where('shown.device_id', '=', p.deviceId),
              ),
            ),
          ),
      )
      .orderBy('id')
      .limit(p.limit),
)

const retrieveFirst = statement((db, p: Key & FirstRetrieval) =>
  db
    .updateTable('approval')
    .set({
      status: 'RETRIEVED',
      retrieved_at: p.nowMs,
      expires_at: p.expiresAtMs,
      completed_at: p.completedAtMs,
      erase_at: p.eraseAtMs,
    })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id)
    .where('status', '=', 'PENDING')
    .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', p.nowMs)])),
)

const keepText = statement((db, p: Key & { text: string }) =>
  db
    .updateTable('approval')
    .set({ text: p.text })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id)
    .where('text', 'is', null),
)

const end = statement(
  (
    db,
    p: Key & {
      status: string
      deviceId: string | null
      factor: string | null
      failureReason: string | null
      failureMessage: string | null
      eraseAtMs: number
      nowMs: number
    },
  ) =>
    db
      .updateTable('approval')
      .set({
        status: p.status,
        completed_at: p.nowMs,
        expires_at: null,
        erase_at: p.eraseAtMs,
        device_id: p.deviceId,
        decided_factor: p.factor,
        failure_reason: p.failureReason,
        failure_message: p.failureMessage,
      })
      .where('tenant_id', '=', p.tenantId)
      .where('id', '=', p.id)
      .where('completed_at', 'is', null)
      .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', p.nowMs)]))
      .returningAll(),
)

const expire = statement((db, p: Key & { eraseAtMs: number; nowMs: number }) =>
  db
    .updateTable('approval')
    .set((eb) => ({
      failure_reason: eb
        .case()
        .when('status', '=', 'PENDING')
        .then('RETRIEVAL_TIMEOUT')
        .else('DECISION_TIMEOUT')
        .end(),
      completed_at: eb.ref('expires_at'),
      status: 'EXPIRED',
      expires_at: null,
      erase_at: p.eraseAtMs,
    }))
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id)
    .where('completed_at', 'is', null)
    .where('expires_at', '<=', p.nowMs)
    .returningAll(),
)

/** Of all tenants: a deadline is everybody's own. */
const listDue = statement((db, p: { nowMs: number; limit: number }) =>
  db
    .selectFrom('approval')
    .selectAll()
    .where('expires_at', 'is not', null)
    .where('completed_at', 'is', null)
    .where('expires_at', '<=', p.nowMs)
    .orderBy('expires_at')
    .limit(p.limit),
)

const setEraseAt = statement((db, p: Key & { eraseAtMs: number }) =>
  db
    .updateTable('approval')
    .set({ erase_at: p.eraseAtMs })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id),
)

const listErasable = statement((db, p: { nowMs: number; limit: number }) =>
  db
    .selectFrom('approval')
    .select(['tenant_id', 'id'])
    .where('erase_at', 'is not', null)
    .where('erase_at', '<=', p.nowMs)
    .orderBy('erase_at')
    .limit(p.limit),
)

const erase = statement((db, p: Key) =>
  db.deleteFrom('approval').where('tenant_id', '=', p.tenantId).where('id', '=', p.id),
)

const eraseEvidence = statement((db, p: Key) =>
  db
    .deleteFrom('approval_evidence')
    .where('tenant_id', '=', p.tenantId)
    .where('approval_id', '=', p.id),
)

const eraseDeliveries = statement((db, p: Key) =>
  db
    .deleteFrom('approval_delivery')
    .where('tenant_id', '=', p.tenantId)
    .where('approval_id', '=', p.id),
)

/** Approvals. What a deadline has done to one is the reader's to see: `approvalAt`. */
export class ApprovalStore {
  readonly deliveries: ApprovalDeliveryStore
  readonly evidence: EvidenceStore
  /** What users are still asked, and the numbers of approvals. */
  readonly open: OpenApprovalStore
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
    this.deliveries = new ApprovalDeliveryStore(queries)
    this.evidence = new EvidenceStore(queries)
    this.open = new OpenApprovalStore(queries)
  }

  /** Its reference must have been taken before. It gets the next free number at or above that of its moment. */
  async insert(approval: Approval): Promise<void> {
    const row = asRow(approval)
    const first = firstNumberOf(approval)
    for (let number = first; number < first + numbersTried; number++) {
      if ((await this.#queries.run(insert, { ...row, number })) === 1) return
    }
    throw new Error('The id of a new approval is taken, or every number near its moment.')
  }

  /** @returns false for one that was used before, in whatever state: the primary key decides, for ever. */
  async takeReference(tenantId: string, reference: string, approvalId: string): Promise<boolean> {
    return (await this.#queries.run(takeReference, { tenantId, reference, approvalId })) === 1
  }

  async find(tenantId: string, id: string): Promise<Approval | undefined> {
    const row = await this.#queries.first(find, { tenantId, id })
    return row && asApproval(row)
  }

  async findByReference(tenantId: string, reference: string): Promise<Approval | undefined> {
    const row = await this.#queries.first(findByReference, { tenantId, reference })
    return row && asApproval(row)
  }

  /** What may wait for a user on a device, oldest first, behind an id: deadlines and conditions are the reader's to see. */
  async listWaiting(
    tenantId: string,
    at: { userId: string; deviceId: string; afterId: string; nowMs: number },
    limit: number,
  ): Promise<Approval[]> {
    const { userId, deviceId, afterId, nowMs } = at
    const sinceMs = nowMs - messageLifeMaxMs
    const rows = await this.#queries.all(listWaiting, {
      tenantId,
      userId,
      deviceId,
      afterId,
      sinceMs,
      limit,
    })
    return rows.map(asApproval)
  }

  /** Newest first. A status counts as it is at `nowMs`. */
  async list(
    tenantId: string,
    filter: ApprovalFilter & { beforeId?: string | undefined; limit: number; nowMs: number },
  ): Promise<Approval[]> {
    const { userId, status, kind, reference, fromMs, toMs, createdBy, beforeId, nowMs } = filter
    const list = dynamicStatement((db) => {
      let rows = db.selectFrom('approval').selectAll().where('tenant_id', '=', tenantId)
      if (userId !== undefined) rows = rows.where('user_id', '=', userId)
      if (kind !== undefined) rows = rows.where('kind', '=', kind)
      if (reference !== undefined) rows = rows.where('reference', '=', reference)
      if (fromMs !== undefined) rows = rows.where('created_at', '>=', fromMs)
      if (toMs !== undefined) rows = rows.where('created_at', '<', toMs)
      if (createdBy !== undefined) rows = rows.where('created_by', '=', createdBy)
      if (beforeId !== undefined) rows = rows.where('id', '<', beforeId)
      if (status === 'EXPIRED') {
        rows = rows.where((eb) =>
          eb.or([
            eb('status', '=', 'EXPIRED'),
            eb.and([eb('completed_at', 'is', null), eb('expires_at', '<=', nowMs)]),
          ]),
        )
      } else if (status !== undefined) {
        rows = rows
          .where('status', '=', status)
          .where((eb) =>
            eb.or([
              eb('completed_at', 'is not', null),
              eb('expires_at', 'is', null),
              eb('expires_at', '>', nowMs),
            ]),
          )
      }
      return rows.orderBy('id', 'desc').limit(filter.limit)
    })
    return (await this.#queries.all(list, nothing)).map(asApproval)
  }

  /** True for the first device only, while the approval waits. One statement, so that nobody else is the first. */
  async retrieveFirst({ tenantId, id }: Approval, at: FirstRetrieval): Promise<boolean> {
    return (await this.#queries.run(retrieveFirst, { tenantId, id, ...at })) === 1
  }

  /** What a template was first delivered as. */
  async keepText({ tenantId, id }: Approval, text: string): Promise<void> {
    await this.#queries.run(keepText, { tenantId, id, text })
  }

  /**
   * The approval as it ended, for the one decision that it ever gets; undefined for any other. One statement, so that nobody
   * else makes another.
   */
  async end({ tenantId, id }: Approval, ending: Ending): Promise<Approval | undefined> {
    const row = await this.#queries.first(end, { tenantId, id, ...ending })
    return row && asApproval(row)
  }

  /** The approval as it ended, for whoever first sees that a deadline has passed. */
  async expire(
    { tenantId, id }: Approval,
    eraseAtMs: number,
    nowMs: number,
  ): Promise<Approval | undefined> {
    const row = await this.#queries.first(expire, { tenantId, id, eraseAtMs, nowMs })
    return row && asApproval(row)
  }

  /** Open ones whose deadline has passed, of all tenants. */
  async listDue(nowMs: number, limit: number): Promise<Approval[]> {
    return (await this.#queries.all(listDue, { nowMs, limit })).map(asApproval)
  }

  async setEraseAt({ tenantId, id }: Approval, eraseAtMs: number): Promise<void> {
    await this.#queries.run(setEraseAt, { tenantId, id, eraseAtMs })
  }

  /** Those whose retention time is over, of all tenants. */
  async listErasable(nowMs: number, limit: number): Promise<{ tenantId: string; id: string }[]> {
    const rows = await this.#queries.all(listErasable, { nowMs, limit })
    return rows.map(({ tenant_id, id }) => ({ tenantId: tenant_id, id }))
  }

  /** With what devices were shown, and the evidence. Its reference stays taken. */
  async erase(tenantId: string, id: string): Promise<void> {
    await this.#queries.run(eraseEvidence, { tenantId, id })
    await this.#queries.run(eraseDeliveries, { tenantId, id })
    await this.#queries.run(erase, { tenantId, id })
  }
}
