import { statement } from '#storage/statement.ts'

/** Queues that one look at the outbox goes through. */
export const queuesAtOnce = 100

export const messageColumns = [
  'tenant_id',
  'target',
  'id',
  'kind',
  'order_key',
  'topic',
  'status',
  'due_at',
  'deadline_at',
  'claim',
  'tries',
  'attempts',
  'envelope',
  'payload',
  'created_at',
  'settled_at',
] as const

export interface Key {
  readonly tenantId: string
  readonly target: string
  readonly id: string
}

export const insert = statement(
  (
    db,
    p: Key & {
      kind: string
      queue: string
      orderKey: string
      topic: string
      envelope: string
      payload: Uint8Array
      nowMs: number
      deadlineMs: number
    },
  ) =>
    db.insertInto('outbox').values({
      tenant_id: p.tenantId,
      target: p.target,
      id: p.id,
      kind: p.kind,
      queue: p.queue,
      order_key: p.orderKey,
      topic: p.topic,
      status: 'WAITING',
      position: p.nowMs,
      due_at: p.nowMs,
      deadline_at: p.deadlineMs,
      claim: 0,
      tries: 0,
      attempts: '',
      envelope: p.envelope,
      payload: p.payload,
      created_at: p.nowMs,
    }),
)

const droppedAtOnce = 100

/** What nobody has claimed of an order key, without the newest of it. */
export const dropOldest = statement(
  (
    db,
    p: { tenantId: string; target: string; queue: string; orderKey: string; keptCount: number },
  ) =>
    db
      .deleteFrom('outbox')
      .where('tenant_id', '=', p.tenantId)
      .where('target', '=', p.target)
      .where('id', 'in', (eb) =>
        eb
          .selectFrom('outbox as o')
          .select('o.id')
          .where('o.status', '=', 'WAITING')
          .where('o.queue', '=', p.queue)
          .where('o.order_key', '=', p.orderKey)
          .where('o.claim', '=', 0)
          .orderBy('o.position', 'desc')
          .orderBy('o.id', 'desc')
          .limit(droppedAtOnce)
          .offset(p.keptCount),
      )
      .where('status', '=', 'WAITING')
      .where('claim', '=', 0),
)

/** From queue to queue by one seek each, however many messages wait in them; with the first message of each. */
export const listQueues = statement((db, p: { after: string }) =>
  db
    .withRecursive('q(queue, place)', (cte) =>
      cte
        .selectNoFrom((eb) => [
          eb
            .selectFrom('outbox')
            .select(({ fn }) => fn.min('queue').as('queue'))
            .where('status', '=', 'WAITING')
            .where('queue', '>', p.after)
            .as('queue'),
          eb.lit(1).as('place'),
        ])
        .unionAll(
          cte
            .selectFrom('q')
            .select((eb) => [
              eb
                .selectFrom('outbox')
                .select(({ fn }) => fn.min('outbox.queue').as('queue'))
                .where('outbox.status', '=', 'WAITING')
                .whereRef('outbox.queue', '>', 'q.queue')
                .as('queue'),
              eb('q.place', '+', 1).as('place'),
            ])
            .where('q.queue', 'is not', null)
            .where('q.place', '<', queuesAtOnce),
        ),
    )
    .selectFrom('q')
    .select((eb) => {
      const head = eb
        .selectFrom('outbox as o')
        .where('o.status', '=', 'WAITING')
        .whereRef('o.queue', '=', 'q.queue')
        .orderBy('o.order_key')
        .orderBy('o.position')
        .orderBy('o.id')
        .limit(1)
      return [
        'q.queue',
        head.select('o.due_at').as('due_at'),
        head.select('o.created_at').as('created_at'),
      ]
    })
    .where('q.queue', 'is not', null),
)

/** The same from order key to order key of one queue. */
export const listOrderKeys = statement((db, p: { queue: string; from: string }) =>
  db
    .withRecursive('k(order_key, place)', (cte) =>
      cte
        .selectNoFrom((eb) => [
          eb
            .selectFrom('outbox')
            .select(({ fn }) => fn.min('order_key').as('order_key'))
            .where('status', '=', 'WAITING')
            .where('queue', '=', p.queue)
            .where('order_key', '>=', p.from)
            .as('order_key'),
          eb.lit(1).as('place'),
        ])
        .unionAll(
          cte
            .selectFrom('k')
            .select((eb) => [
              eb
                .selectFrom('outbox')
                .select(({ fn }) => fn.min('outbox.order_key').as('order_key'))
                .where('outbox.status', '=', 'WAITING')
                .where('outbox.queue', '=', p.queue)
                .whereRef('outbox.order_key', '>', 'k.order_key')
                .as('order_key'),
              eb('k.place', '+', 1).as('place'),
            ])
            .where('k.order_key', 'is not', null)
            .where('k.place', '<', queuesAtOnce),
        ),
    )
    .selectFrom('k')
    .select((eb) => [
      'k.order_key',
      eb
        .selectFrom('outbox as o')
        .select('o.due_at')
        .where('o.status', '=', 'WAITING')
        .where('o.queue', '=', p.queue)
        .whereRef('o.order_key', '=', 'k.order_key')
        .orderBy('o.position')
        .orderBy('o.id')
        .limit(1)
        .as('due_at'),
    ])
    .where('k.order_key', 'is not', null),
)

interface Claim {
  readonly tenantId: string
  readonly target: string
  readonly queue: string
  readonly nowMs: number
  readonly untilMs: number
}

/** The next messages of an unordered queue. Whoever comes second finds them claimed: they are not due any more. */
export const claimNext = statement((db, p: Claim & { limit: number }) =>
  db
    .updateTable('outbox')
    .set((eb) => ({ due_at: p.untilMs, position: p.untilMs, claim: eb('claim', '+', 1) }))
    .where('tenant_id', '=', p.tenantId)
    .where('target', '=', p.target)
    .where('id', 'in', (eb) =>
      eb
        .selectFrom('outbox as o')
        .select('o.id')
        .where('o.status', '=', 'WAITING')
        .where('o.queue', '=', p.queue)
        .where('o.order_key', '=', '')
        .where('o.position', '<=', p.nowMs)
        .orderBy('o.position')
        .orderBy('o.id')
        .limit(p.limit),
    )
    .where('status', '=', 'WAITING')
    .where('queue', '=', p.queue)
    .where('due_at', '<=', p.nowMs)
    .returning(messageColumns),
)

/**
 * The first message of an order key, unless it is under way or waits for its next attempt: then nothing moves. Once
 * claimed it stays the first until it is over, whatever is committed late.
 */
export const claimFirst = statement((db, p: Claim & { orderKey: string }) =>
  db
    .updateTable('outbox')
    .set((eb) => ({ due_at: p.untilMs, position: 0, claim: eb('claim', '+', 1) }))
    .where('tenant_id', '=', p.tenantId)
    .where('target', '=', p.target)
    .where('id', 'in', (eb) =>
      eb
        .selectFrom('outbox as o')
        .select('o.id')
        .where('o.status', '=', 'WAITING')
        .where('o.queue', '=', p.queue)
        .where('o.order_key', '=', p.orderKey)
        .orderBy('o.position')
        .orderBy('o.id')
        .limit(1),
    )
    .where('status', '=', 'WAITING')
    .where('queue', '=', p.queue)
    .where('due_at', '<=', p.nowMs)
    .returning(messageColumns),
)

/** A claimed message is over and leaves. */
export const removeClaimed = statement((db, p: Key & { claim: number }) =>
  db
    .deleteFrom('outbox')
    .where('tenant_id', '=', p.tenantId)
    .where('target', '=', p.target)
    .where('id', '=', p.id)
    .where('status', '=', 'WAITING')
    .where('claim', '=', p.claim),
)

/** A claimed message is over and stays as a log. */
export const finishClaimed = statement(
  (
    db,
    p: Key & { claim: number; status: string; tries: number; attempts: string; nowMs: number },
  ) =>
    db
      .updateTable('outbox')
      .set({ status: p.status, tries: p.tries, attempts: p.attempts, settled_at: p.nowMs })
      .where('tenant_id', '=', p.tenantId)
      .where('target', '=', p.target)
      .where('id', '=', p.id)
      .where('status', '=', 'WAITING')
      .where('claim', '=', p.claim),
)

/** A claimed message waits again; in ordered kinds at the head of its key. */
export const postponeClaimed = (isOrdered: boolean) =>
  statement((db, p: Key & { claim: number; dueAtMs: number; tries: number; attempts: string }) =>
    db
      .updateTable('outbox')
      .set({
        due_at: p.dueAtMs,
        tries: p.tries,
        attempts: p.attempts,
        ...(isOrdered ? {} : { position: p.dueAtMs }),
      })
      .where('tenant_id', '=', p.tenantId)
      .where('target', '=', p.target)
      .where('id', '=', p.id)
      .where('status', '=', 'WAITING')
      .where('claim', '=', p.claim),
  )

/** A new series of attempts for what is over; whoever comes second finds it waiting. */
export const restart = statement((db, p: Key & { nowMs: number; deadlineMs: number }) =>
  db
    .updateTable('outbox')
    .set((eb) => ({
      status: 'WAITING',
      position: p.nowMs,
      due_at: p.nowMs,
      deadline_at: p.deadlineMs,
      claim: eb('claim', '+', 1),
      tries: 0,
      settled_at: null,
    }))
    .where('tenant_id', '=', p.tenantId)
    .where('target', '=', p.target)
    .where('id', '=', p.id)
    .where('status', '<>', 'WAITING'),
)

export const find = statement((db, p: Key) =>
  db
    .selectFrom('outbox')
    .select(messageColumns)
    .where('tenant_id', '=', p.tenantId)
    .where('target', '=', p.target)
    .where('id', '=', p.id),
)

/** The id so many messages back, over the key alone. */
export const findIdBack = statement(
  (db, p: { tenantId: string; target: string; beforeId: string; offset: number }) =>
    db
      .selectFrom('outbox')
      .select('id')
      .where('tenant_id', '=', p.tenantId)
      .where('target', '=', p.target)
      .where('id', '<', p.beforeId)
      .orderBy('id', 'desc')
      .limit(1)
      .offset(p.offset),
)

export const removeOfTarget = statement(
  (db, p: { tenantId: string; target: string; limit: number }) =>
    db
      .deleteFrom('outbox')
      .where('tenant_id', '=', p.tenantId)
      .where('target', '=', p.target)
      .where('id', 'in', (eb) =>
        eb
          .selectFrom('outbox as o')
          .select('o.id')
          .where('o.tenant_id', '=', p.tenantId)
          .where('o.target', '=', p.target)
          .orderBy('o.id')
          .limit(p.limit),
      ),
)

/** The id so many messages on, over the key alone. */
export const findIdAhead = statement(
  (
    db,
    p: { tenantId: string; target: string; afterId: string; beforeId: string; offset: number },
  ) =>
    db
      .selectFrom('outbox')
      .select('id')
      .where('tenant_id', '=', p.tenantId)
      .where('target', '=', p.target)
      .where('id', '>', p.afterId)
      .where('id', '<', p.beforeId)
      .orderBy('id')
      .limit(1)
      .offset(p.offset),
)

/** What is over in a range of ids, up to and including the last. */
export const removeOver = statement(
  (db, p: { tenantId: string; target: string; afterId: string; toId: string }) =>
    db
      .deleteFrom('outbox')
      .where('tenant_id', '=', p.tenantId)
      .where('target', '=', p.target)
      .where('id', '>', p.afterId)
      .where('id', '<=', p.toId)
      .where('status', '<>', 'WAITING'),
)

export const findNextTarget = statement((db, p: { tenantId: string; after: string }) =>
  db
    .selectFrom('outbox')
    .select(['target', 'kind'])
    .where('tenant_id', '=', p.tenantId)
    .where('target', '>', p.after)
    .orderBy('target')
    .limit(1),
)

export const listWaiting = statement((db, p: { limit: number }) =>
  db.selectFrom('outbox').select('queue').where('status', '=', 'WAITING').limit(p.limit),
)
