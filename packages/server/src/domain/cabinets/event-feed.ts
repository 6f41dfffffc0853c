import type { Clock } from '../clock.ts'
import type { Storage } from '../storage.ts'
import { callbackLifetimeMs, eventsMessage } from './callback-messages.ts'
import type { ReadingSubscription } from './subscription-store.ts'
import type { UploadHead } from './upload-store.ts'

const subscriptionsAtOnce = 200
const roundsMax = 10
/** Of the uploads behind the events of one message. */
const batchBytesMax = 4_194_304

/**
 * Reads for the audit subscriptions: when the time of one has come, the events behind the last one that was delivered are
 * handed to the delivery. One batch of a subscription is under way at a time, so a receiver that is away keeps nothing
 * piling up but the events themselves.
 */
export class EventFeed {
  readonly #storage: Storage
  readonly #clock: Clock

  constructor({ storage, clock }: { storage: Storage; clock: Clock }) {
    this.#storage = storage
    this.#clock = clock
  }

  /** Goes through the subscriptions whose time has come; to be called by a timer of one process every second. */
  async run(): Promise<void> {
    for (let round = 0; round < roundsMax; round++) {
      const nowMs = this.#clock()
      const { subscriptions } = this.#storage.read.cabinets
      const due = await subscriptions.listDue(nowMs, subscriptionsAtOnce)
      for (const subscription of due) await this.#read(subscription, nowMs)
      if (due.length < subscriptionsAtOnce) return
    }
  }

  async #read(subscription: ReadingSubscription, nowMs: number): Promise<void> {
    const { tenantId, id, endpointUrl, startAtMs, readIntervalSeconds, fetchLimit } = subscription
    const afterSeq = nowMs < startAtMs ? undefined : await this.#positionOf(subscription)
    const endSeq =
      afterSeq === undefined || subscription.batchEnd !== undefined
        ? undefined
        : await this.#endOfBatch(tenantId, afterSeq, fetchLimit)
    const nextReadAtMs = Math.max(nowMs + readIntervalSeconds * 1000, startAtMs)
    await this.#storage.transaction(async ({ cabinets, outbox }) => {
      const { subscriptions } = cabinets
      if (subscription.batchEnd !== undefined && isLost(subscription, nowMs)) {
        await subscriptions.giveUp(tenantId, id, subscription.batchEnd)
      }
      if (afterSeq === undefined || endSeq === undefined) {
        await subscriptions.postpone(tenantId, id, nextReadAtMs)
        return
      }
      const batch = { tenantId, id, position: afterSeq, batchEnd: endSeq, nowMs, nextReadAtMs }
      if (!(await subscriptions.begin(batch))) return
      const range = { subscriptionId: id, afterSeq, endSeq }
      await outbox.append(tenantId, eventsMessage(endpointUrl, range))
    })
  }

  /** Before the first batch: the events that came before the start are skipped. Undefined while there are none behind. */
  async #positionOf(subscription: ReadingSubscription): Promise<number | undefined> {
    const { tenantId, position, startAtMs } = subscription
    if (position !== undefined) return position
    const { uploads } = this.#storage.read.cabinets
    const first = await uploads.findFirstSince(tenantId, startAtMs)
    return first === undefined ? undefined : first - 1
  }

  /** The number of the last event that fits into one message; undefined when there is nothing new. */
  async #endOfBatch(
    tenantId: string,
    afterSeq: number,
    fetchLimit: number,
  ): Promise<number | undefined> {
    const { uploads } = this.#storage.read.cabinets
    const heads = await uploads.listBehind(tenantId, afterSeq, fetchLimit)
    let eventCount = 0
    let byteCount = 0
    let endSeq: number | undefined
    for (const head of heads) {
      byteCount += head.bodyBytes
      if (endSeq !== undefined && byteCount > batchBytesMax) break
      const room = fetchLimit - eventCount
      const newCount = countBehind(head, afterSeq)
      endSeq = head.lastSeq - Math.max(0, newCount - room)
      eventCount += Math.min(newCount, room)
      if (eventCount >= fetchLimit) break
    }
    return endSeq
  }
}

/** Long behind the end of its delivery: whoever should have settled it did not. It is read again. */
function isLost({ lastReadAtMs }: ReadingSubscription, nowMs: number): boolean {
  return lastReadAtMs !== null && nowMs > lastReadAtMs + 2 * callbackLifetimeMs
}

/** How many of an upload's events are behind a number. */
function countBehind({ firstSeq, lastSeq }: UploadHead, afterSeq: number): number {
  return lastSeq - Math.max(firstSeq - 1, afterSeq)
}
