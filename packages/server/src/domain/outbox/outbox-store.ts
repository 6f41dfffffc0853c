import type { Queries } from '#storage/queries.ts'
import { dynamicStatement } from '#storage/statement.ts'
import type { Clock } from '../clock.ts'
import type { IdSource } from '../ulid.ts'
import {
  type Attempt,
  type MessageKey,
  type MessageStatus,
  type NewMessage,
  type OutboxMessage,
  queueOf,
  readAttempts,
  readQueue,
} from './outbox-message.ts'
import * as statements from './outbox-statements-store.ts'

const postponeOrdered = statements.postponeClaimed(true)
const postponeUnordered = statements.postponeClaimed(false)

/** Messages that a filtered page of a log looks at. */
export const logLookMax = 2_000
const removedAtOnceMax = 500
const countedMax = 10_000

/** A queue in which something waits, with the first message of it. */
export interface WaitingQueue {
  readonly queue: string
  readonly dueAtMs: number
  readonly createdAtMs: number
}

export interface ClaimRequest {
  readonly queue: string
  readonly nowMs: number
  /** Whoever claims and dies leaves the message to others from then on. */
  readonly untilMs: number
}

export interface LogFilter {
  readonly status?: MessageStatus | undefined
  readonly topic?: string | undefined
}

/** Part of a log, newest first. */
export interface LogPart {
  readonly messages: readonly OutboxMessage[]
  /** Where to go on when the part is not full; undefined: nothing older is there. */
  readonly lookedDownTo: string | undefined
}

/** What is to be sent. Features append; claiming and settling is `delivery/`'s. */
export class OutboxStore {
  readonly #queries: Queries
  readonly #clock: Clock
  readonly #nextId: IdSource

  constructor(queries: Queries, clock: Clock, nextId: IdSource) {
    this.#queries = queries
    this.#clock = clock
    this.#nextId = nextId
  }

  /**
   * Has something sent because of an effect of the running transaction: once it is committed, and not otherwise. See
   * `DeliveryKind`.
   *
   * @returns the message's id, the same on every attempt.
   */
  async append(tenantId: string, message: NewMessage): Promise<string> {
    const { kind, target, orderKey = '', topic, envelope = '', payload, lifetimeMs } = message
    const id = this.#nextId()
    const nowMs = this.#clock()
    const queue = queueOf(tenantId, kind, target)
    const deadlineMs = nowMs + lifetimeMs
    const row = { tenantId, target, id, kind, queue, orderKey, topic, envelope, payload }
    await this.#queries.run(statements.insert, { ...row, nowMs, deadlineMs })
    return id
  }

  /**
   * Ends what waits for a target and order key without a trace, but for the newest and for what was tried already: for
   * news of which a receiver that is away needs no more than the last.
   */
  async dropOldest(
    tenantId: string,
    { kind, target, orderKey = '' }: Pick<NewMessage, 'kind' | 'target' | 'orderKey'>,
    keptCount: number,
  ): Promise<void> {
    const queue = queueOf(tenantId, kind, target)
    await this.#queries.run(statements.dropOldest, { tenantId, target, queue, orderKey, keptCount })
  }

  /** The next queues, in order of their text, over all tenants; fewer than `queuesAtOnce` are the last ones. */
  async listQueues(after: string): Promise<WaitingQueue[]> {
    const rows = await this.#queries.all(statements.listQueues, { after })
    return rows.map(({ queue, due_at: dueAtMs, created_at: createdAtMs }) => ({
      queue: queue ?? '',
      dueAtMs: dueAtMs ?? 0,
      createdAtMs: createdAtMs ?? 0,
    }))
  }

  /** The next order keys of a queue, from the first one or behind `after`, each with the moment at which its first message is due. */
  async listOrderKeys(
    queue: string,
    after: string | undefined,
  ): Promise<{ readonly orderKey: string; readonly dueAtMs: number }[]> {
    // No key has this character behind `after`, so this is the least text that comes next.
    const from = after === undefined ? '' : `${after}\u0001`
    const rows = await this.#queries.all(statements.listOrderKeys, { queue, from })
    return rows.map(({ order_key: orderKey, due_at: dueAtMs }) => ({
      orderKey: orderKey ?? '',
      dueAtMs: dueAtMs ?? 0,
    }))
  }

  /** Takes the next messages of an unordered queue: those that are due, oldest first. */
  async claimNext(request: ClaimRequest, limit: number): Promise<OutboxMessage[]> {
    const { tenantId, target } = readQueue(request.queue)
    const claim = { ...request, tenantId, target, limit }
    const rows = await this.#queries.all(statements.claimNext, claim)
    return rows.map(toMessage).toSorted((one, other) => (one.id < other.id ? -1 : 1))
  }

  /** Takes the first message of an order key if it is due. */
  async claimFirst(request: ClaimRequest, orderKey: string): Promise<OutboxMessage | undefined> {
    const { tenantId, target } = readQueue(request.queue)
    const claim = { ...request, tenantId, target, orderKey }
    const row = await this.#queries.first(statements.claimFirst, claim)
    return row && toMessage(row)
  }

  /** Ends a claimed message without a trace. False when it is no longer this claim's. */
  async removeClaimed({ tenantId, target, id, claim }: OutboxMessage): Promise<boolean> {
    const key = { tenantId, target, id, claim }
    return (await this.#queries.run(statements.removeClaimed, key)) === 1
  }

  /** Ends a claimed message and keeps it. False when it is no longer this claim's. */
  async finishClaimed(
    { tenantId, target, id, claim }: OutboxMessage,
    end: {
      status: 'DELIVERED' | 'FAILED'
      tries: number
      attempts: readonly Attempt[]
      nowMs: number
    },
  ): Promise<boolean> {
    const attempts = JSON.stringify(end.attempts)
    const change = { tenantId, target, id, claim, ...end, attempts }
    return (await this.#queries.run(statements.finishClaimed, change)) === 1
  }

  /** Has a claimed message tried again later. False when it is no longer this claim's. */
  async postponeClaimed(
    { tenantId, target, id, claim }: OutboxMessage,
    next: { dueAtMs: number; tries: number; attempts: readonly Attempt[]; isOrdered: boolean },
  ): Promise<boolean> {
    const { dueAtMs, tries, isOrdered } = next
    const attempts = JSON.stringify(next.attempts)
    const change = { tenantId, target, id, claim, dueAtMs, tries, attempts }
    const postpone = isOrdered ? postponeOrdered : postponeUnordered
    return (await this.#queries.run(postpone, change)) === 1
  }

  /** Begins a new series of attempts for a message that is over. False when it waits, or is not there. */
  async restart(key: MessageKey, { deadlineMs }: { deadlineMs: number }): Promise<boolean> {
    const { tenantId, target, id } = key
    const change = { tenantId, target, id, nowMs: this.#clock(), deadlineMs }
    return (await this.#queries.run(statements.restart, change)) === 1
  }

  async find({ tenantId, target, id }: MessageKey): Promise<OutboxMessage | undefined> {
    const row = await this.#queries.first(statements.find, { tenantId, target, id })
    return row && toMessage(row)
  }

  /** The log of a target, newest first. Looks at 2,000 messages at most, whatever the filter. */
  async listLog(
    { tenantId, target }: { tenantId: string; target: string },
    filter: LogFilter,
    { beforeId, limit }: { beforeId: string; limit: number },
  ): Promise<LogPart> {
    const range = { tenantId, target, beforeId, offset: logLookMax - 1 }
    const lowest = await this.#queries.first(statements.findIdBack, range)
    const rows = await this.#queries.all(
      dynamicStatement((db) => {
        let query = db
          .selectFrom('outbox')
          .select(statements.messageColumns)
          .where('tenant_id', '=', tenantId)
          .where('target', '=', target)
          .where('id', '<', beforeId)
        if (lowest !== undefined) query = query.where('id', '>=', lowest.id)
        if (filter.status !== undefined) query = query.where('status', '=', filter.status)
        if (filter.topic !== undefined) query = query.where('topic', '=', filter.topic)
        return query.orderBy('id', 'desc').limit(limit)
      }),
      {},
    )
    return { messages: rows.map(toMessage), lookedDownTo: lowest?.id }
  }

  /** Removes some messages of a target, in whatever state. @returns how many; fewer than 500: none is left. */
  removeOfTarget(tenantId: string, target: string): Promise<number> {
    const limit = removedAtOnceMax
    return this.#queries.run(statements.removeOfTarget, { tenantId, target, limit })
  }

  /**
   * Removes what is over and older than `beforeId` among the next messages behind `afterId`.
   *
   * @returns where to go on; undefined when everything older was looked at.
   */
  async removeOver(
    tenantId: string,
    target: string,
    { afterId, beforeId }: { afterId: string; beforeId: string },
  ): Promise<string | undefined> {
    const range = { tenantId, target, afterId, beforeId, offset: removedAtOnceMax - 1 }
    const end = await this.#queries.first(statements.findIdAhead, range)
    const part = { tenantId, target, afterId, toId: end?.id ?? beforeId }
    await this.#queries.run(statements.removeOver, part)
    return end?.id
  }

  /** The next target that has messages in whatever state, in order of its text. */
  findNextTarget(
    tenantId: string,
    after: string,
  ): Promise<{ readonly target: string; readonly kind: string } | undefined> {
    return this.#queries.first(statements.findNextTarget, { tenantId, after })
  }

  /** How many messages wait, over all tenants; counted up to 10,000. */
  async countWaiting(): Promise<number> {
    return (await this.#queries.all(statements.listWaiting, { limit: countedMax })).length
  }
}

interface MessageRow {
  readonly tenant_id: string
  readonly target: string
  readonly id: string
  readonly kind: string
  readonly order_key: string
  readonly topic: string
  readonly status: string
  readonly due_at: number
  readonly deadline_at: number
  readonly claim: number
  readonly tries: number
  readonly attempts: string
  readonly envelope: string
  readonly payload: Uint8Array
  readonly created_at: number
  readonly settled_at: number | null
}

function toMessage(row: MessageRow): OutboxMessage {
  return {
    tenantId: row.tenant_id,
    target: row.target,
    id: row.id,
    kind: row.kind,
    orderKey: row.order_key,
    topic: row.topic,
    status: row.status as MessageStatus,
    dueAtMs: row.due_at,
    deadlineMs: row.deadline_at,
    claim: row.claim,
    tries: row.tries,
    attempts: readAttempts(row.attempts),
    envelope: row.envelope,
    payload: row.payload,
    createdAtMs: row.created_at,
    settledAtMs: row.settled_at,
  }
}
