import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import type { DeviceEvent } from './device-event-store.ts'
import type { DeviceSession } from './device-gate.ts'
import type { DeviceWakeups, WakeupListener } from './device-wakeups.ts'
import { EventReader, type EventSources, type FollowedSession, type News } from './event-reader.ts'

/** Whoever tells a device what comes. */
export interface EventFollower {
  /** In order; resolves when more may follow. */
  deliver(events: readonly DeviceEvent[]): Promise<void> | void
  /** Nothing has to be told; the device sees that the connection lives. */
  beat(): void
  /** Nothing follows. Called once. */
  end(): void
}

/** What becomes of a request for events: a stream, or a poll that may be held. */
type FollowKind = 'stream' | 'poll'

/** A device that is told of events until it is closed. */
export interface Following {
  /** What is told at once. */
  readonly replayed: News
  /** Where the device says it stands; empty: nowhere. */
  readonly positionId: string
  /** Tells the follower `first`, and then what has come since the replay and what comes from now on. */
  start(follower: EventFollower, first: readonly DeviceEvent[]): void
  /** The follower is gone; it is not told so. */
  close(): void
}

/** How often a silent stream shows that it lives, and its session is looked at. */
export const heartbeatMs = 20_000
/** Streams beat in turn, a few at a time. */
const slotCount = 100
/** A device's rows are read without a wake-up at every third beat; at every one while wake-ups may be lost. */
const beatsPerLook = 3
export const streamMsMax = 3_600_000
/** From the request to the first word. */
const openingMsMax = 60_000
/** The next one ends the oldest; counted in each process. */
const followingsPerUserAndDevice = 2
/** Of one process. */
const followingsMax = 25_000
const retryAfterSeconds = 5
/** Between two reports of failures. */
const failureMsMin = 10_000

/** Tells devices what happens, from the rows in the database; a wake-up only says when to look. */
export class EventFeed {
  readonly #sources: EventSources
  readonly #wakeups: DeviceWakeups
  readonly #clock: Clock
  readonly #hooks: FollowHooks
  readonly #slots: readonly Set<Follow>[] = Array.from({ length: slotCount }, () => new Set())
  #timer: NodeJS.Timeout | undefined
  #beatingSlot = 0
  #fillingSlot = 0
  #count = 0
  #isClosed = false
  #failedAtMs = Number.NEGATIVE_INFINITY
  /** Wake-ups of other processes may be lost until these beats are over. */
  #isDeaf = false

  constructor(
    dependencies: EventSources & {
      wakeups: DeviceWakeups
      feedFailed: (error: unknown) => void
    },
  ) {
    this.#sources = dependencies
    this.#wakeups = dependencies.wakeups
    this.#clock = dependencies.clock
    this.#hooks = {
      left: (follow) => this.#leave(follow),
      failed: (error) => {
        // What one stream meets, thousands meet.
        const nowMs = this.#clock()
        if (nowMs - this.#failedAtMs < failureMsMin) return
        this.#failedAtMs = nowMs
        dependencies.feedFailed(error)
      },
    }
  }

  /** Streams and held polls of this process. */
  get count(): number {
    return this.#count
  }

  /**
   * Follows what a session's user is to be told on its device. The device is listened for before the replay is read, so that
   * nothing falls between; a following that is never started ends by itself.
   *
   * @param lastEventId undefined: the device has no position.
   * @throws DeviceRefusal when the session is over; DomainError `unavailable` when too many follow, or the server stops.
   */
  async follow(
    session: DeviceSession,
    kind: FollowKind,
    lastEventId: string | undefined,
  ): Promise<Following> {
    if (this.#isClosed || this.#count >= followingsMax) {
      throw new DomainError('unavailable', 'No more event streams can be opened.', {
        retryAfterSeconds,
      })
    }
    const reader = new EventReader(this.#sources, session)
    const follow = new Follow(reader, kind, this.#clock(), this.#hooks)
    this.#join(follow)
    try {
      follow.replayed = await reader.replay(lastEventId)
    } catch (error) {
      follow.close()
      throw error
    }
    return follow
  }

  /** Other processes may have told something that did not arrive. @param isOver they are heard again from now on. */
  missed({ isOver }: { isOver: boolean }): void {
    this.#isDeaf = !isOver
    if (!isOver) return
    for (const slot of this.#slots) for (const follow of slot) follow.lookAtNextBeat()
  }

  /** Ends all followings and takes no more. */
  close(): void {
    this.#isClosed = true
    clearInterval(this.#timer)
    for (const slot of this.#slots) for (const follow of slot) follow.end()
  }

  /** One turn of a slot; the timer calls it, `heartbeatMs` for all slots. */
  beat(): void {
    const slot = this.#slots[this.#beatingSlot] as Set<Follow>
    this.#beatingSlot = (this.#beatingSlot + 1) % slotCount
    const nowMs = this.#clock()
    for (const follow of slot) {
      const msMax = follow.isStarted ? streamMsMax : openingMsMax
      if (follow.startedAtMs <= nowMs - msMax) follow.end()
      else follow.beat(this.#isDeaf)
    }
  }

  #join(follow: Follow): void {
    const { tenantId, deviceId } = follow.session
    const siblings = this.#wakeups
      .listenersOf(tenantId, deviceId)
      .filter((other) => other instanceof Follow && other.isSiblingOf(follow))
    this.#wakeups.listen(tenantId, deviceId, follow)
    const slot = this.#slots[this.#fillingSlot] as Set<Follow>
    this.#fillingSlot = (this.#fillingSlot + 1) % slotCount
    slot.add(follow)
    follow.slot = slot
    this.#count += 1
    this.#timer ??= setInterval(() => this.beat(), heartbeatMs / slotCount).unref()
    const [oldest] = siblings
    if (siblings.length >= followingsPerUserAndDevice && oldest instanceof Follow) oldest.end()
  }

  #leave(follow: Follow): void {
    const { tenantId, deviceId } = follow.session
    this.#wakeups.unlisten(tenantId, deviceId, follow)
    follow.slot?.delete(follow)
    this.#count -= 1
    if (this.#count > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

const nothingNew: News = { events: [], hasMore: false, isOver: false }

/** What a following tells its feed; the same for all. */
interface FollowHooks {
  failed(error: unknown): void
  left(follow: Follow): void
}

/**
 * One stream or held poll. There are thousands: it has no timer, no promise and no function of its own while nothing
 * happens.
 */
class Follow implements Following, WakeupListener {
  readonly startedAtMs: number
  replayed: News = nothingNew
  slot: Set<Follow> | undefined
  readonly #reader: EventReader
  readonly #kind: FollowKind
  readonly #hooks: FollowHooks
  #follower: EventFollower | undefined
  #isClosed = false
  #isReading = false
  /** Something may have come that no reading has seen. */
  #isDue = false
  #beatsToLook = beatsPerLook

  constructor(reader: EventReader, kind: FollowKind, startedAtMs: number, hooks: FollowHooks) {
    this.#reader = reader
    this.#kind = kind
    this.startedAtMs = startedAtMs
    this.#hooks = hooks
  }

  /** True for the same kind for the same user, of those for one device. */
  isSiblingOf(other: Follow): boolean {
    return this.#kind === other.#kind && this.session.userId === other.session.userId
  }

  get session(): FollowedSession {
    return this.#reader.session
  }

  get positionId(): string {
    return this.#reader.positionId
  }

  get isStarted(): boolean {
    return this.#follower !== undefined
  }

  start(follower: EventFollower, first: readonly DeviceEvent[]): void {
    if (this.#isClosed) {
      follower.end()
      return
    }
    this.#follower = follower
    if (this.replayed.hasMore) this.#isDue = true
    // Kept no longer than needed.
    this.replayed = nothingNew
    if (first.length > 0) this.#run(async () => follower.deliver(first))
    else if (this.#isDue) this.look()
  }

  /** Something came for the device. */
  look(): void {
    this.#isDue = true
    if (this.#follower !== undefined && !this.#isReading) this.#run(async () => {})
  }

  lookAtNextBeat(): void {
    this.#beatsToLook = 1
  }

  /** @param isDeaf wake-ups may be lost: look at once. */
  beat(isDeaf: boolean): void {
    if (this.#follower === undefined) return
    this.#follower.beat()
    this.#beatsToLook -= 1
    if (isDeaf || this.#beatsToLook <= 0) {
      this.#beatsToLook = beatsPerLook
      this.look()
    } else if (!this.#isReading) {
      this.#run(async () => {
        if (await this.#reader.isOver()) this.#isDue = true
      })
    }
  }

  end(): void {
    if (this.#isClosed) return
    const follower = this.#follower
    this.close()
    follower?.end()
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#follower = undefined
    this.#hooks.left(this)
  }

  /** Does something, then reads for as long as there may be more. Never twice at a time. */
  #run(first: () => Promise<void>): void {
    this.#isReading = true
    this.#read(first).catch((error: unknown) => {
      // The database does not answer: the next beat looks again.
      this.lookAtNextBeat()
      if (!this.#isClosed) this.#hooks.failed(error)
    })
  }

  async #read(first: () => Promise<void>): Promise<void> {
    try {
      await first()
      while (this.#isDue && !this.#isClosed) {
        this.#isDue = false
        const { events, hasMore, isOver } = await this.#reader.read()
        if (events.length > 0) await this.#follower?.deliver(events)
        if (isOver) this.end()
        if (hasMore) this.#isDue = true
      }
    } finally {
      this.#isReading = false
    }
  }
}
