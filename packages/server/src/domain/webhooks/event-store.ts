import type { JsonValue } from '@countersign/protocol/encoding/jcs.ts'
import type { Queries } from '#storage/queries.ts'
import { statement } from '#storage/statement.ts'
import type { Clock } from '../clock.ts'
import type { IdSource } from '../ulid.ts'
import type { EventType } from './event-type.ts'

/** Beyond it a delivery that was never tried is given up: its endpoint was dead for longer than any series of attempts. */
export const webhookLifetimeMs = 7 * 24 * 3_600_000

/** The type under which an endpoint that wants every event is subscribed. */
export const anyEvent = '*'

/** Members beside `tenantId`: the object in its native form, under its name. */
export interface EventData {
  readonly [name: string]: JsonValue
}

export interface WebhookEvent {
  readonly type: EventType
  /**
   * The object as the platform API answers it, under its name: `user`, `token`, `device`, `approval`, `list`,
   * `certificate`, `checkpoint`. A function is asked only when an endpoint wants the event.
   */
  readonly data: EventData | (() => Promise<EventData>)
}

interface Fan {
  readonly tenantId: string
  readonly type: string
  readonly id: string
  readonly payload: Uint8Array
  readonly nowMs: number
  readonly deadlineMs: number
}

/** One seek for a tenant without endpoints; else a row for each endpoint that wants the event. */
const fanOut = statement((db, p: Fan) =>
  db
    .insertInto('outbox')
    .columns([
      'tenant_id',
      'target',
      'id',
      'kind',
      'queue',
      'order_key',
      'topic',
      'status',
      'position',
      'due_at',
      'deadline_at',
      'claim',
      'tries',
      'attempts',
      'envelope',
      'payload',
      'created_at',
    ])
    .expression(
      db
        .selectFrom('webhook_subscription as s')
        .select((eb) => [
          's.tenant_id',
          's.endpoint_id',
          eb.val(p.id).as('id'),
          eb.val('webhook').as('kind'),
          's.queue',
          eb.val('').as('order_key'),
          eb.val(p.type).as('topic'),
          eb.val('WAITING').as('status'),
          eb.val(p.nowMs).as('position'),
          eb.val(p.nowMs).as('due_at'),
          eb.val(p.deadlineMs).as('deadline_at'),
          eb.val(0).as('claim'),
          eb.val(0).as('tries'),
          eb.val('').as('attempts'),
          eb.val('').as('envelope'),
          eb.val(p.payload).as('payload'),
          eb.val(p.nowMs).as('created_at'),
        ])
        .where('s.tenant_id', '=', p.tenantId)
        .where('s.event_type', 'in', [p.type, anyEvent]),
    ),
)

const findSubscription = statement((db, p: { tenantId: string; type: string }) =>
  db
    .selectFrom('webhook_subscription')
    .select('endpoint_id')
    .where('tenant_id', '=', p.tenantId)
    .where('event_type', 'in', [p.type, anyEvent])
    .limit(1),
)

/** Events for webhooks: the way in. What becomes of them is `delivery/`'s. */
export class EventStore {
  readonly #queries: Queries
  readonly #clock: Clock
  readonly #nextId: IdSource

  constructor(queries: Queries, clock: Clock, nextId: IdSource) {
    this.#queries = queries
    this.#clock = clock
    this.#nextId = nextId
  }

  /**
   * Reports an effect of the running transaction to the endpoints that want to hear of it: they are told if and only if
   * the effect is there. One statement, which finds nothing for a tenant without such endpoints.
   */
  async append(tenantId: string, { type, data }: WebhookEvent): Promise<void> {
    const isLazy = typeof data === 'function'
    if (isLazy && !(await this.#isWanted(tenantId, type))) return
    const nowMs = this.#clock()
    await this.#queries.run(fanOut, {
      tenantId,
      type,
      id: this.#nextId(),
      payload: writeEvent(tenantId, type, nowMs, isLazy ? await data() : data),
      nowMs,
      deadlineMs: nowMs + webhookLifetimeMs,
    })
  }

  async #isWanted(tenantId: string, type: EventType): Promise<boolean> {
    return (await this.#queries.first(findSubscription, { tenantId, type })) !== undefined
  }
}

/** The body of a webhook: `WebhookEvent` of the contract. */
export function writeEvent(
  tenantId: string,
  type: EventType,
  atMs: number,
  data: EventData,
): Uint8Array {
  const timestamp = new Date(atMs).toISOString()
  return Buffer.from(JSON.stringify({ type, timestamp, data: { ...data, tenantId } }))
}
