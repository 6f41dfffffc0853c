import type { Queries } from '#storage/queries.ts'
import type { CabinetSubscriptionTable } from '#storage/schema/cabinets.ts'
import { statement } from '#storage/statement.ts'
import type { AuditSubscription, SubscriptionStatus } from './audit-subscription.ts'

/** A subscription with where its reading stands. */
export interface ReadingSubscription extends AuditSubscription {
  /** The last event that was delivered; undefined until the reading begins. */
  readonly position: number | undefined
  /** The last event of the batch that is under way; undefined: none is. */
  readonly batchEnd: number | undefined
}

const insert = statement((db, row: CabinetSubscriptionTable) =>
  db.insertInto('cabinet_subscription').values({
    tenant_id: row.tenant_id,
    id: row.id,
    endpoint_url: row.endpoint_url,
    fetch_limit: row.fetch_limit,
    read_interval: row.read_interval,
    status: row.status,
    start_at: row.start_at,
    next_read_at: row.next_read_at,
    created_at: row.created_at,
    updated_at: row.updated_at,
  }),
)

const find = statement((db, p: { tenantId: string }) =>
  db.selectFrom('cabinet_subscription').selectAll().where('tenant_id', '=', p.tenantId),
)

const remove = statement((db, p: { tenantId: string; id: number }) =>
  db.deleteFrom('cabinet_subscription').where('tenant_id', '=', p.tenantId).where('id', '=', p.id),
)

const setStatus = statement(
  (db, p: { tenantId: string; id: number; status: string; nowMs: number }) =>
    db
      .updateTable('cabinet_subscription')
      .set({ status: p.status, next_read_at: p.nowMs, updated_at: p.nowMs })
      .where('tenant_id', '=', p.tenantId)
      .where('id', '=', p.id)
      .where('status', '<>', p.status),
)

const listDue = statement((db, p: { nowMs: number; limit: number }) =>
  db
    .selectFrom('cabinet_subscription')
    .selectAll()
    .where('status', '=', 'ACTIVE')
    .where('next_read_at', '<=', p.nowMs)
    .orderBy('next_read_at')
    .limit(p.limit),
)

const postpone = statement((db, p: { tenantId: string; id: number; nextReadAtMs: number }) =>
  db
    .updateTable('cabinet_subscription')
    .set({ next_read_at: p.nextReadAtMs })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id),
)

interface Begin {
  readonly tenantId: string
  readonly id: number
  readonly position: number
  readonly batchEnd: number
  readonly nowMs: number
  readonly nextReadAtMs: number
}

/** One batch at a time is under way: whoever begins it. */
const begin = statement((db, p: Begin) =>
  db
    .updateTable('cabinet_subscription')
    .set({
      position: p.position,
      batch_end: p.batchEnd,
      last_read_at: p.nowMs,
      next_read_at: p.nextReadAtMs,
    })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id)
    .where('status', '=', 'ACTIVE')
    .where('batch_end', 'is', null)
    .where((eb) => eb.or([eb('position', 'is', null), eb('position', '=', p.position)])),
)

const finish = statement((db, p: { tenantId: string; id: number; batchEnd: number }) =>
  db
    .updateTable('cabinet_subscription')
    .set({ position: p.batchEnd, batch_end: null })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id)
    .where('batch_end', '=', p.batchEnd),
)

const giveUp = statement((db, p: { tenantId: string; id: number; batchEnd: number }) =>
  db
    .updateTable('cabinet_subscription')
    .set({ batch_end: null })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id)
    .where('batch_end', '=', p.batchEnd),
)

/** Audit subscriptions and how far each was read. */
export class SubscriptionStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** @throws StorageError `taken` when the tenant has one. */
  async insert(subscription: AuditSubscription): Promise<void> {
    await this.#queries.run(insert, {
      tenant_id: subscription.tenantId,
      id: subscription.id,
      endpoint_url: subscription.endpointUrl,
      fetch_limit: subscription.fetchLimit,
      read_interval: subscription.readIntervalSeconds,
      status: subscription.status,
      start_at: subscription.startAtMs,
      position: null,
      next_read_at: subscription.createdAtMs,
      last_read_at: null,
      batch_end: null,
      created_at: subscription.createdAtMs,
      updated_at: subscription.updatedAtMs,
    })
  }

  async find(tenantId: string): Promise<ReadingSubscription | undefined> {
    const row = await this.#queries.first(find, { tenantId })
    return row && asSubscription(row)
  }

  /** False when it was gone. */
  async remove(tenantId: string, id: number): Promise<boolean> {
    return (await this.#queries.run(remove, { tenantId, id })) === 1
  }

  /** False when it has this status. */
  async setStatus(
    tenantId: string,
    id: number,
    status: SubscriptionStatus,
    nowMs: number,
  ): Promise<boolean> {
    return (await this.#queries.run(setStatus, { tenantId, id, status, nowMs })) === 1
  }

  /** Over all tenants: those whose time to be read has come, the longest waiting first. */
  async listDue(nowMs: number, limit: number): Promise<ReadingSubscription[]> {
    return (await this.#queries.all(listDue, { nowMs, limit })).map(asSubscription)
  }

  async postpone(tenantId: string, id: number, nextReadAtMs: number): Promise<void> {
    await this.#queries.run(postpone, { tenantId, id, nextReadAtMs })
  }

  /** False when a batch is under way, or when it was paused, read or removed meanwhile. */
  async begin(batch: Begin): Promise<boolean> {
    return (await this.#queries.run(begin, batch)) === 1
  }

  /** The batch was delivered: the reading goes on behind it. */
  async finish(tenantId: string, id: number, batchEnd: number): Promise<void> {
    await this.#queries.run(finish, { tenantId, id, batchEnd })
  }

  /** The batch was not delivered: it is read again. */
  async giveUp(tenantId: string, id: number, batchEnd: number): Promise<void> {
    await this.#queries.run(giveUp, { tenantId, id, batchEnd })
  }
}

function asSubscription(row: CabinetSubscriptionTable): ReadingSubscription {
  return {
    tenantId: row.tenant_id,
    id: row.id,
    endpointUrl: row.endpoint_url,
    startAtMs: row.start_at,
    fetchLimit: row.fetch_limit,
    readIntervalSeconds: row.read_interval,
    status: row.status as SubscriptionStatus,
    lastReadAtMs: row.last_read_at,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
    position: row.position ?? undefined,
    batchEnd: row.batch_end ?? undefined,
  }
}
