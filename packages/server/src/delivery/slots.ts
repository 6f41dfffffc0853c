import { readQueue } from '#domain/outbox/outbox-message.ts'

/** How much may be under way at once, in one process. */
export interface SlotLimits {
  /** To receivers that answer well. */
  readonly healthyMax: number
  /** To all others: they share these, so that no number of them delays the healthy ones. */
  readonly suspectMax: number
  /** To all together, those included that were healthy when they were called. */
  readonly totalMax: number
  /** To one receiver that answers well. It begins with a few and doubles with every success. */
  readonly perQueueMax: number
}

export const slotLimits: SlotLimits = {
  healthyMax: 192,
  suspectMax: 96,
  totalMax: 768,
  perQueueMax: 64,
}

/** The part of each bound that one tenant may use. */
const tenantShare = 2 / 3
const firstSlots = 4
/** A receiver that takes longer is not healthy, whatever it will answer. */
export const slowMs = 2_000
const pauseFirstMs = 100
const pauseMaxMs = 30_000
const rememberedMax = 10_000

interface Tally {
  healthy: number
  suspect: number
}

interface QueueState {
  readonly tenantId: string
  /** When each call that is under way began. */
  readonly begunAtMs: Set<{ readonly atMs: number }>
  limit: number
  isSuspect: boolean
  failuresInRow: number
  pausedUntilMs: number
}

/** A place taken; to be given back. */
export interface Slot {
  readonly queue: string
  readonly begun: { readonly atMs: number }
}

/**
 * Who may send now. A receiver that failed last, or is slow, is *suspect*: it gets one place at a time, after a pause that
 * doubles with every failure, out of a share that all suspects have together. What is dead or slow therefore never takes
 * the places of what is well.
 */
export class Slots {
  readonly #limits: SlotLimits
  readonly #queues = new Map<string, QueueState>()
  readonly #tenants = new Map<string, Tally>()
  readonly #all: Tally = { healthy: 0, suspect: 0 }

  constructor(limits: SlotLimits = slotLimits) {
    this.#limits = limits
  }

  /** Calls under way. */
  get underWay(): number {
    return this.#all.healthy + this.#all.suspect
  }

  /**
   * How many more calls this queue may begin. To have them claimed in fair numbers at once, a busy queue gets none until
   * half of its places are free.
   */
  free(queue: string, nowMs: number): number {
    const state = this.#queues.get(queue)
    const { tenantId } = state ?? readQueue(queue)
    if (state === undefined) return Math.min(firstSlots, this.#shared(tenantId, 'healthy'))
    this.#lookAtSpeed(state, nowMs)
    if (state.isSuspect) {
      const isPaused = nowMs < state.pausedUntilMs || state.begunAtMs.size > 0
      return isPaused ? 0 : Math.min(1, this.#shared(tenantId, 'suspect'))
    }
    const own = state.limit - state.begunAtMs.size
    if (state.begunAtMs.size > 0 && own < state.limit / 2) return 0
    return Math.max(0, Math.min(own, this.#shared(tenantId, 'healthy')))
  }

  /** What all receivers of a sort, and those of one tenant, leave free. */
  #shared(tenantId: string, sort: keyof Tally): number {
    const max = sort === 'healthy' ? this.#limits.healthyMax : this.#limits.suspectMax
    const ofTenant = this.#tenants.get(tenantId)?.[sort] ?? 0
    return Math.max(
      0,
      Math.min(
        max - this.#all[sort],
        this.#limits.totalMax - this.underWay,
        Math.floor(max * tenantShare) - ofTenant,
      ),
    )
  }

  /** Takes a place; the caller has asked whether there is one. */
  take(queue: string, nowMs: number): Slot {
    const state = this.#stateOf(queue)
    const begun = { atMs: nowMs }
    state.begunAtMs.add(begun)
    this.#count(state, 1)
    return { queue, begun }
  }

  /** Gives a place back. @param outcome undefined: nothing was learnt about the receiver. */
  giveBack({ queue, begun }: Slot, outcome: 'good' | 'bad' | undefined, nowMs: number): void {
    const state = this.#stateOf(queue)
    if (!state.begunAtMs.delete(begun)) return
    this.#count(state, -1)
    if (outcome === 'good' && nowMs - begun.atMs < slowMs) this.#praise(state)
    else if (outcome !== undefined) this.#blame(state, outcome, nowMs)
  }

  /** Notices slow receivers among those with calls under way, whether or not something new waits for them. */
  lookAround(nowMs: number): void {
    for (const state of this.#queues.values()) this.#lookAtSpeed(state, nowMs)
  }

  #lookAtSpeed(state: QueueState, nowMs: number): void {
    const [oldest] = state.begunAtMs
    if (oldest !== undefined && nowMs - oldest.atMs >= slowMs) this.#setSuspect(state, true)
  }

  #praise(state: QueueState): void {
    state.failuresInRow = 0
    state.pausedUntilMs = 0
    state.limit = Math.min(this.#limits.perQueueMax, state.limit * 2)
    this.#setSuspect(state, false)
  }

  #blame(state: QueueState, outcome: 'good' | 'bad', nowMs: number): void {
    state.limit = firstSlots
    this.#setSuspect(state, true)
    // A slow success is no reason to wait, only to be careful.
    if (outcome === 'good') return
    state.failuresInRow += 1
    const pauseMs = Math.min(pauseMaxMs, pauseFirstMs * 2 ** Math.min(state.failuresInRow - 1, 20))
    state.pausedUntilMs = nowMs + pauseMs
  }

  #setSuspect(state: QueueState, isSuspect: boolean): void {
    if (state.isSuspect === isSuspect) return
    const underWay = state.begunAtMs.size
    this.#count(state, -underWay)
    state.isSuspect = isSuspect
    this.#count(state, underWay)
  }

  #count(state: QueueState, change: number): void {
    const sort = state.isSuspect ? 'suspect' : 'healthy'
    const tally = this.#tenants.get(state.tenantId) ?? { healthy: 0, suspect: 0 }
    tally[sort] += change
    this.#all[sort] += change
    if (tally.healthy + tally.suspect === 0) this.#tenants.delete(state.tenantId)
    else this.#tenants.set(state.tenantId, tally)
  }

  #stateOf(queue: string): QueueState {
    const known = this.#queues.get(queue)
    if (known !== undefined) return known
    if (this.#queues.size >= rememberedMax) this.#forgetIdle()
    const state: QueueState = {
      tenantId: readQueue(queue).tenantId,
      begunAtMs: new Set(),
      limit: firstSlots,
      isSuspect: false,
      failuresInRow: 0,
      pausedUntilMs: 0,
    }
    this.#queues.set(queue, state)
    return state
  }

  #forgetIdle(): void {
    for (const [queue, { begunAtMs }] of this.#queues) {
      if (begunAtMs.size === 0) this.#queues.delete(queue)
    }
  }
}
