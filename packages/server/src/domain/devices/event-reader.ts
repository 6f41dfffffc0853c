import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import type { Storage } from '../storage.ts'
import { firstUlidAt, ulidTimeMs } from '../ulid.ts'
import type { DeviceEvent } from './device-event-store.ts'
import type { DeviceGate, DeviceSession } from './device-gate.ts'
import { DeviceRefusal } from './device-refusal.ts'

/** Something that waits for a user on a device until it is fetched or decided. */
export interface WaitingItem {
  readonly id: string
  readonly kind: 'TRANSACTION' | 'MESSAGE'
  readonly createdAtMs: number
  readonly expiresAtMs: number | null
}

/** What is kept of a session for as long as it is told of events. */
export type FollowedSession = Pick<
  DeviceSession,
  'tenantId' | 'deviceId' | 'userId' | 'sessionEpoch' | 'linkEpoch'
>

/** Says what waits for the session's user on this device. */
export interface WaitingItems {
  list(session: FollowedSession): Promise<readonly WaitingItem[]>
  /** True for an item of the user, whatever has become of it. */
  isKnown(session: FollowedSession, id: string): Promise<boolean>
}

/** What events are read from. */
export interface EventSources {
  readonly storage: Storage
  readonly gate: DeviceGate
  readonly waiting: WaitingItems
  readonly clock: Clock
  /**
   * How much later than its id says an event may come to be seen: 0 where one writer makes ids and commits in one order;
   * elsewhere the longest transaction, and what clocks of processes may differ.
   */
  readonly lateMs: number
}

/** What a reader has found since the last time, in the order of ids. */
export interface News {
  readonly events: readonly DeviceEvent[]
  /** More is there to be read at once. */
  readonly hasMore: boolean
  /** The session is over; `events` has what ended it, if the device is to be told. */
  readonly isOver: boolean
}

/** Stored events that are read at once. */
const eventsAtOnceMax = 75
/** For how long events can be asked for again; `eventRetentionSeconds` of the contract. */
export const eventRetentionMs = 86_400_000
/** Repeated to be sure, not to be complete. */
const lateEventsMax = 25
/** Without a position an event counts as new if it comes to be seen after the start, whatever its id says. */
const startMarginMs = 60_000
/** There are thousands of readers with nothing told. */
const nothing: ReadonlySet<string> = new Set()
/** These tell of the session's own end; to a session that stands they are history. */
const endings: ReadonlySet<string> = new Set(['client.locked', 'client.disconnect'])

/**
 * What one session is told, each thing once: what waits, by the id of the approval, and stored events by their own ids. An
 * event that is seen late, behind others with greater ids, is told all the same.
 */
export class EventReader {
  readonly #sources: EventSources
  readonly session: FollowedSession
  /** Stored events up to here are not looked at any more. */
  #boundId = ''
  /** Of the events behind the bound, those that were told or passed over. */
  #seen = nothing
  /** Of what waits, that which was told. */
  #told = nothing
  #positionId = ''

  constructor(sources: EventSources, session: DeviceSession) {
    const { tenantId, deviceId, userId, sessionEpoch, linkEpoch } = session
    this.#sources = sources
    this.session = { tenantId, deviceId, userId, sessionEpoch, linkEpoch }
  }

  /** Where the device stood before this session; empty: nowhere. */
  get positionId(): string {
    return this.#positionId
  }

  /**
   * What waits, and the stored events after a position; without one, or with one that nobody knows, none of those.
   *
   * @throws DeviceRefusal when the session ends meanwhile; `not_linked` for a device without users.
   */
  async replay(lastEventId: string | undefined): Promise<News> {
    const { gate, clock, lateMs } = this.#sources
    const isPosition = lastEventId !== undefined && (await this.#isPosition(lastEventId))
    if (isPosition) {
      this.#positionId = lastEventId
      this.#boundId = lateMs === 0 ? lastEventId : before(lastEventId, lateMs)
    } else {
      this.#boundId = firstUlidAt(clock() - startMarginMs)
    }
    // Before what waits: of whatever ends in between, the end is told later.
    let stored = await this.#readStored(this.#positionId)
    while (!isPosition && stored.hasMore) stored = await this.#readStored('')
    const waiting = await this.#listWaiting()
    // If an ending among the stored events is this session's own, this says so.
    await gate.lookAgain(this.session)
    if (!isPosition) stored.events = []
    return this.#merge(waiting, stored)
  }

  /** What came since the last reading; after a throw, that is still to be read. */
  async read(): Promise<News> {
    const boundId = this.#boundId
    const seen = this.#seen
    try {
      return await this.#read()
    } catch (error) {
      this.#boundId = boundId
      this.#seen = seen
      throw error
    }
  }

  async #read(): Promise<News> {
    let isOver = await this.isOver()
    const waiting = isOver ? [] : await this.#listWaiting()
    let stored = await this.#readStored('')
    let ending = stored.events.findLast(({ type }) => endings.has(type))
    if (ending !== undefined && !isOver) isOver = await this.isOver()
    if (!isOver) return this.#merge(waiting, stored)
    // The ending was written in the transaction that ended the session: it is among what can be read by now.
    while (stored.hasMore) {
      stored = await this.#readStored('')
      ending = stored.events.findLast(({ type }) => endings.has(type)) ?? ending
    }
    return { events: ending === undefined ? [] : [ending], hasMore: false, isOver }
  }

  /** Looks at the session alone. */
  async isOver(): Promise<boolean> {
    try {
      await this.#sources.gate.lookAgain(this.session)
      return false
    } catch (error) {
      if (error instanceof DeviceRefusal) return true
      throw error
    }
  }

  /** Known as an event of this device or as something this user was asked, and not too old. */
  async #isPosition(id: string): Promise<boolean> {
    const { storage, clock, waiting } = this.#sources
    if (ulidTimeMs(id) < clock() - eventRetentionMs) return false
    const { tenantId, deviceId } = this.session
    return (
      (await storage.read.deviceEvents.exists({ tenantId, deviceId }, id)) ||
      waiting.isKnown(this.session, id)
    )
  }

  #merge(waiting: readonly WaitingItem[], { events, hasMore }: Stored): News {
    // What waits behind events that are still to be read would move the device's position past them.
    const lastId = hasMore ? events.at(-1)?.id : undefined
    const due = waiting.filter(({ id }) => lastId === undefined || id < lastId)
    const fresh = due.filter(({ id }) => !this.#told.has(id))
    const stillTold = waiting.filter(({ id }) => this.#told.has(id))
    const toldIds = [...stillTold, ...fresh].map(({ id }) => id)
    this.#told = toldIds.length === 0 ? nothing : new Set(toldIds)
    const told = [
      ...fresh.map((item) => availability(item, this.session)),
      ...events.filter(({ type }) => !endings.has(type)),
    ]
    told.sort((one, other) => (one.id < other.id ? -1 : 1))
    return { events: told, hasMore, isOver: false }
  }

  /** A device that is deleted at this moment has nothing that waits. */
  async #listWaiting(): Promise<readonly WaitingItem[]> {
    try {
      return await this.#sources.waiting.list(this.session)
    } catch (error) {
      if (error instanceof DomainError && error.code === 'device_not_found') return []
      throw error
    }
  }

  /**
   * Stored events for this user that were not given before.
   *
   * @param positionId up to here events were given in an earlier session, and are repeated if they may have come late.
   */
  async #readStored(positionId: string): Promise<Stored> {
    const { storage, lateMs } = this.#sources
    const { tenantId, deviceId, userId } = this.session
    const late: DeviceEvent[] = []
    const fresh: DeviceEvent[] = []
    const seen = new Set(this.#seen)
    let lastId = this.#boundId
    let hasMore = true
    while (hasMore && fresh.length === 0) {
      const place = { tenantId, deviceId }
      const page = await storage.read.deviceEvents.listAfter(place, lastId, eventsAtOnceMax)
      hasMore = page.length === eventsAtOnceMax
      for (const event of page) {
        lastId = event.id
        if (seen.has(event.id)) continue
        seen.add(event.id)
        if (event.userId !== null && event.userId !== userId) continue
        if (event.id > positionId) fresh.push(event)
        else if (late.length < lateEventsMax) late.push(event)
      }
    }
    const boundId = lateMs === 0 ? lastId : before(lastId, lateMs)
    if (boundId > this.#boundId) this.#boundId = boundId
    const behind = [...seen].filter((id) => id > this.#boundId)
    this.#seen = behind.length === 0 ? nothing : new Set(behind)
    return { events: [...late, ...fresh], hasMore }
  }
}

interface Stored {
  events: readonly DeviceEvent[]
  readonly hasMore: boolean
}

function before(id: string, ms: number): string {
  return firstUlidAt(ulidTimeMs(id) - ms)
}

/** Told under the id of what is available, so that it is the same event whenever it is told. */
function availability(item: WaitingItem, { userId }: FollowedSession): DeviceEvent {
  const { id, kind, createdAtMs, expiresAtMs } = item
  return {
    id,
    userId,
    type: kind === 'MESSAGE' ? 'message.available' : 'approval.available',
    data: {
      approvalId: id,
      ...(expiresAtMs === null ? {} : { expiresAt: new Date(expiresAtMs).toISOString() }),
    },
    createdAtMs,
  }
}
