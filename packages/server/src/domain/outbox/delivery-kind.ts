import type { Stores } from '../storage.ts'
import type { Attempt, OutboxMessage } from './outbox-message.ts'

/** An HTTP POST to the outside. */
export interface OutboundCall {
  readonly url: string
  /** `content-length`, `host`, `connection` and `user-agent` are added. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
  /** Connection, headers and body of the answer together; at most, and unless said otherwise, 15 seconds. */
  readonly timeoutMs?: number
}

/** What an answer was, for a receiver that does not say it by status codes of HTTP alone. */
export interface Performed {
  readonly attempt: Attempt
  /** `final`: asking again is in vain. */
  readonly verdict: 'taken' | 'again' | 'final'
  /** Whether the receiver itself works: what it says of one message is no reason to call it less. */
  readonly isReceiverWell: boolean
  /** Not to be asked before so many milliseconds have passed. */
  readonly retryAfterMs?: number
  /** What else changes, in the transaction that settles; it may run more than once. */
  readonly effect?: (stores: Stores) => Promise<void>
}

/** A call that its kind makes itself, over whatever the receiver speaks. */
export interface OwnCall {
  /** Ends soon after the signal does, and never throws. Undefined: broken off, nothing is known of its effect. */
  perform(signal: AbortSignal): Promise<Performed | undefined>
}

/**
 * What a kind makes of a message when it is due. `refused`: the address may not be called, which counts as an attempt.
 * `give-up`: nobody wants it any more, it ends as FAILED. `drop`: its receiver is gone, and so is the message.
 */
export type Preparation = OutboundCall | OwnCall | 'refused' | 'give-up' | 'drop'

/** How a series of attempts goes on. */
export interface RetrySchedule {
  /** Milliseconds to wait after so many failed attempts (from 1); undefined: that was the last one. */
  delayAfter(tries: number): number | undefined
}

/** What became of a message this time. `attempt` is absent when nothing was sent. */
export interface Settlement {
  readonly message: OutboxMessage
  readonly attempt: Attempt | undefined
  readonly effect?: Performed['effect']
  readonly outcome: 'delivered' | 'retried' | 'failed' | 'dropped'
}

/**
 * One way of telling somebody something. A feature that sends registers a kind where the core is composed
 * (`compose-core.ts`, `deliveryKinds`) and hands messages over by `stores.outbox.append(tenantId, message)` in the
 * transaction of their effect. From there on `delivery/` does the rest: it claims what is due, asks the kind for the
 * call, sends it, repeats it by the kind's schedule with a little jitter, and stops at the message's deadline.
 *
 * Every message is sent at least once, and again with the same id after a crash. With `isOrdered` the messages of one
 * target and order key go out strictly one after the other, over all processes: the next one waits until the one before
 * it is delivered or given up. Without, up to 64 of a target are under way at once.
 */
export interface DeliveryKind {
  /** Lower case letters and hyphens; in the database and in metrics. */
  readonly name: string
  readonly isOrdered: boolean
  readonly retry: RetrySchedule
  /** True: delivered messages stay as a log until the tenant's `webhookDeliveryDays` are over. FAILED ones always do. */
  readonly keepsDelivered: boolean
  /**
   * Called for every attempt, outside of any transaction: it may read, open secrets and sign, and should be quick. A
   * throw is reported and tried again later without counting as an attempt.
   */
  prepare(message: OutboxMessage, nowMs: number): Promise<Preparation>
  /** In the transaction that settles: what else changes with it. All settlements are of one target. */
  settled?(stores: Stores, settlements: readonly Settlement[], nowMs: number): Promise<void>
}

/** Fixed delays, then the end. */
export function fixedSchedule(delaysMs: readonly number[]): RetrySchedule {
  return { delayAfter: (tries) => delaysMs[tries - 1] }
}

/** Doubling delays without an end of their own: the message's deadline is the end. */
export function doublingSchedule(firstMs: number, maxMs: number): RetrySchedule {
  return { delayAfter: (tries) => Math.min(maxMs, firstMs * 2 ** Math.min(tries - 1, 30)) }
}

/** True for an answer that takes the message. */
export function isTaken({ statusCode, error }: Attempt): boolean {
  return error === null && statusCode !== null && statusCode >= 200 && statusCode < 300
}
