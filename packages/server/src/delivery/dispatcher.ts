import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock, Randomness } from '#domain/clock.ts'
import type { DeliveryKind, Performed, Preparation } from '#domain/outbox/delivery-kind.ts'
import { type OutboxMessage, readQueue } from '#domain/outbox/outbox-message.ts'
import { queuesAtOnce } from '#domain/outbox/outbox-statements-store.ts'
import type { WaitingQueue } from '#domain/outbox/outbox-store.ts'
import type { Storage } from '#domain/storage.ts'
import { Alarm } from './alarm.ts'
import { callMsMax, type OutboundHttp } from './outbound-http.ts'
import { type Outcome, outcomeOf, plainlyPerformed } from './outcome.ts'
import { backlogMax, Settler } from './settler.ts'
import { type Slot, Slots } from './slots.ts'

/** Twice the longest call: what is not settled by then is sent again by whoever finds it. */
const claimMs = 30_000
const idleMs = 200
const gatherMs = 1
const troubleMs = 1_000
/** Payloads in memory beyond which nothing more is claimed until some are gone. */
const bytesMax = 32 * 2 ** 20
/** Queues from which messages are claimed at the same time: on SQLite they share a commit. */
const claimsAtOnce = 8
/** What could not be prepared, because the database or a key was away, is tried again then. */
const unpreparedMs = 10_000
const stopMsMax = 3_000
/** Looking for work takes at most about this part of the time. */
const lookingShare = 0.1

export interface DeliveryObserver {
  /** An attempt was made, or a message given up. */
  messageSettled(kind: string, outcome: Outcome['outcome'], seconds: number | undefined): void
  /** @param work what failed; it is tried again. */
  deliveryFailed(work: string, error: unknown): void
}

/**
 * Takes what is due out of the outbox and sends it. Every process of the installation runs one: a claim is one
 * conditional statement with an end, so each message is with one of them at a time, and a process that dies leaves its
 * claims to the others. Queues are visited in turn, from one to the next by an index, however much waits in each.
 */
export class Dispatcher {
  readonly #storage: Storage
  readonly #http: OutboundHttp
  readonly #kinds: ReadonlyMap<string, DeliveryKind>
  readonly #clock: Clock
  readonly #randomness: Randomness
  readonly #observer: DeliveryObserver
  readonly #slots = new Slots()
  readonly #settler: Settler
  readonly #sending = new Set<Promise<void>>()
  /** Where the next look at the order keys of a queue begins. */
  readonly #orderKeys = new Map<string, string>()
  readonly #alarm = new Alarm()
  readonly #breakOff = new AbortController()
  #isStopping = false
  #bytesUnderWay = 0
  #cursor = ''
  #oldestOfSweep: number | undefined
  #oldest: number | undefined
  #loop: Promise<void> | undefined

  constructor(dependencies: {
    storage: Storage
    http: OutboundHttp
    kinds: readonly DeliveryKind[]
    clock: Clock
    randomness: Randomness
    observer: DeliveryObserver
  }) {
    this.#storage = dependencies.storage
    this.#http = dependencies.http
    this.#kinds = new Map(dependencies.kinds.map((kind) => [kind.name, kind]))
    this.#clock = dependencies.clock
    this.#randomness = dependencies.randomness
    this.#observer = dependencies.observer
    this.#settler = new Settler({
      storage: this.#storage,
      clock: this.#clock,
      failed: (error) => this.#observer.deliveryFailed('settling', error),
      afterBatch: () => this.#alarm.ring(),
    })
  }

  start(): void {
    this.#loop ??= this.#run()
  }

  /**
   * Claims nothing more, gives what is under way three seconds, breaks off the rest and writes down what became of it.
   * What was broken off is sent again when its claim ends.
   */
  async stop(): Promise<void> {
    this.#isStopping = true
    this.#alarm.ring()
    await this.#loop
    const ended = Promise.allSettled(this.#sending)
    await Promise.race([ended, sleep(stopMsMax, undefined, { ref: false })])
    this.#breakOff.abort()
    this.#http.close()
    await Promise.allSettled(this.#sending)
    await this.#settler.close()
  }

  /** When the longest waiting of the messages that are next in their queues was written; of the last whole sweep. */
  get oldestWaitingAtMs(): number | undefined {
    return this.#oldest
  }

  async #run(): Promise<void> {
    while (!this.#isStopping) {
      try {
        await this.#look()
      } catch (error) {
        this.#observer.deliveryFailed('claiming', error)
        await sleep(troubleMs)
      }
    }
  }

  /** One look at the next queues, and a rest that fits what was found. */
  async #look(): Promise<void> {
    const startedAt = performance.now()
    const found = await this.#visit(await this.#storage.read.outbox.listQueues(this.#cursor))
    // A moment in which more calls end, so that claims stay few and large.
    if (found === 'claimed') await sleep(gatherMs)
    else if (found === 'end') await this.#alarm.wait(idleMs).then(() => sleep(gatherMs))
    else await sleep((performance.now() - startedAt) / lookingShare)
  }

  /** @returns what was found: something to claim; nothing, but there are more queues; nothing up to the last one. */
  async #visit(queues: readonly WaitingQueue[]): Promise<'claimed' | 'more' | 'end'> {
    const nowMs = this.#clock()
    this.#slots.lookAround(nowMs)
    const isEnd = queues.length < queuesAtOnce
    this.#noteOldest(queues, isEnd)
    this.#cursor = isEnd ? '' : (queues.at(-1)?.queue ?? '')
    if (this.#settler.backlog >= backlogMax || this.#bytesUnderWay >= bytesMax) return 'end'
    let claimedCount = 0
    const due = queues.filter(({ queue, dueAtMs }) => this.#mayBeDue(queue, dueAtMs, nowMs))
    for (let start = 0; start < due.length && !this.#isStopping; start += claimsAtOnce) {
      const some = due.slice(start, start + claimsAtOnce)
      const counts = await Promise.all(some.map(({ queue }) => this.#claim(queue, nowMs)))
      claimedCount += counts.reduce((sum, count) => sum + count, 0)
    }
    if (claimedCount > 0) return 'claimed'
    return isEnd ? 'end' : 'more'
  }

  /** Of an ordered queue the first order key alone is seen: others may be due. */
  #mayBeDue(queue: string, dueAtMs: number, nowMs: number): boolean {
    const kind = this.#kinds.get(readQueue(queue).kind)
    if (kind === undefined) return false
    return (kind.isOrdered || dueAtMs <= nowMs) && this.#slots.free(queue, nowMs) > 0
  }

  #noteOldest(queues: readonly WaitingQueue[], isEnd: boolean): void {
    for (const { createdAtMs } of queues) {
      this.#oldestOfSweep = Math.min(this.#oldestOfSweep ?? createdAtMs, createdAtMs)
    }
    if (!isEnd) return
    this.#oldest = this.#oldestOfSweep
    this.#oldestOfSweep = undefined
  }

  /** Takes the places first, so that claims that run side by side never take more than there are. */
  async #claim(queue: string, nowMs: number): Promise<number> {
    const kind = this.#kinds.get(readQueue(queue).kind)
    if (kind === undefined) return 0
    const free = this.#slots.free(queue, nowMs)
    const slots = Array.from({ length: free }, () => this.#slots.take(queue, nowMs))
    let messages: readonly OutboxMessage[] = []
    try {
      messages = await this.#claimMessages(kind, queue, { nowMs, free })
    } finally {
      for (const slot of slots.splice(messages.length)) {
        this.#slots.giveBack(slot, undefined, nowMs)
      }
    }
    for (const [index, slot] of slots.entries()) {
      const message = messages[index]
      if (message === undefined) continue
      const sending = this.#send(kind, message, slot)
      this.#sending.add(sending)
      void sending.finally(() => this.#sending.delete(sending))
    }
    return messages.length
  }

  #claimMessages(
    kind: DeliveryKind,
    queue: string,
    { nowMs, free }: { nowMs: number; free: number },
  ): Promise<OutboxMessage[]> {
    const request = { queue, nowMs, untilMs: nowMs + claimMs }
    if (free === 0) return Promise.resolve([])
    return kind.isOrdered
      ? this.#claimOrdered(request, free)
      : this.#storage.transaction(({ outbox }) => outbox.claimNext(request, free))
  }

  /** The first messages of some order keys, beginning behind those of the last time. */
  async #claimOrdered(
    request: { queue: string; nowMs: number; untilMs: number },
    free: number,
  ): Promise<OutboxMessage[]> {
    const { queue, nowMs } = request
    const after = this.#orderKeys.get(queue)
    const { outbox } = this.#storage.read
    const keys = await outbox.listOrderKeys(queue, after)
    const due = keys.filter(({ dueAtMs }) => dueAtMs <= nowMs).slice(0, free)
    const last =
      due.length === free ? due.at(-1) : keys.length < queuesAtOnce ? undefined : keys.at(-1)
    if (last === undefined) this.#orderKeys.delete(queue)
    else this.#orderKeys.set(queue, last.orderKey)
    if (due.length === 0) return []
    return this.#storage.transaction(async (stores) => {
      const claimed: OutboxMessage[] = []
      for (const { orderKey } of due) {
        const message = await stores.outbox.claimFirst(request, orderKey)
        if (message !== undefined) claimed.push(message)
      }
      return claimed
    })
  }

  async #send(kind: DeliveryKind, message: OutboxMessage, slot: Slot): Promise<void> {
    this.#bytesUnderWay += message.payload.length
    const outcome = await this.#attempt(kind, message)
    this.#bytesUnderWay -= message.payload.length
    const nowMs = this.#clock()
    this.#slots.giveBack(slot, verdictOn(outcome), nowMs)
    if (outcome !== undefined) {
      this.#settler.add(kind, outcome)
      const seconds = outcome.attempt && outcome.attempt.durationMs / 1000
      this.#observer.messageSettled(kind.name, outcome.outcome, seconds)
    }
    this.#alarm.ring()
  }

  /** @returns undefined when the message was not sent, or nothing is known of it: its claim ends by itself. */
  async #attempt(kind: DeliveryKind, message: OutboxMessage): Promise<Outcome | undefined> {
    const nowMs = this.#clock()
    const unsent = { message, attempt: undefined, attempts: message.attempts, tries: message.tries }
    if (nowMs >= message.deadlineMs) return { ...unsent, outcome: 'failed', dueAtMs: 0 }
    try {
      const call = await kind.prepare(message, nowMs)
      if (call === 'drop') return { ...unsent, outcome: 'dropped', dueAtMs: 0 }
      if (call === 'give-up') return { ...unsent, outcome: 'failed', dueAtMs: 0 }
      const performed = await this.#perform(call, nowMs)
      if (performed === undefined) return undefined
      const chance = (this.#randomness(1)[0] ?? 0) / 256
      return outcomeOf(kind, message, performed, { nowMs: this.#clock(), chance })
    } catch (error) {
      this.#observer.deliveryFailed(`preparing ${kind.name}`, error)
      return { ...unsent, outcome: 'retried', dueAtMs: this.#clock() + unpreparedMs }
    }
  }

  async #perform(
    call: Exclude<Preparation, 'drop' | 'give-up'>,
    atMs: number,
  ): Promise<Performed | undefined> {
    if (call === 'refused') {
      const error = 'ADDRESS_REFUSED'
      return plainlyPerformed({ atMs, statusCode: null, error, durationMs: 0 })
    }
    if ('perform' in call) {
      return call.perform(AbortSignal.any([this.#breakOff.signal, AbortSignal.timeout(callMsMax)]))
    }
    const attempt = await this.#http.send(call)
    return attempt && plainlyPerformed(attempt)
  }
}

/** What an outcome says about the receiver. */
function verdictOn({ isReceiverWell }: Partial<Outcome> = {}): 'good' | 'bad' | undefined {
  if (isReceiverWell === undefined) return undefined
  return isReceiverWell ? 'good' : 'bad'
}
