import type { DeviceEvent } from './device-event-store.ts'
import type { DeviceSession } from './device-gate.ts'
import type { EventFeed } from './event-feed.ts'

/** How a device asks without a stream. */
export interface EventPoll {
  /** The last event it handled. */
  readonly afterId?: string | undefined
  /** How long the answer may be held while there is nothing new; 0: not at all. */
  readonly waitMs: number
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal
}

export interface EventBatch {
  /** Oldest first. */
  readonly events: readonly DeviceEvent[]
  readonly hasMore: boolean
}

/** `maxItems` of the contract. */
const eventsPerPageMax = 200

/**
 * Answers with what waits and what came after the device's position. It is held while there is nothing that the device has
 * not been told: what waits is in every answer, but what lies before the position does not end the wait.
 *
 * @throws as `EventFeed.follow`.
 */
export async function pollEvents(
  feed: EventFeed,
  session: DeviceSession,
  { afterId, waitMs, signal }: EventPoll,
): Promise<EventBatch> {
  const following = await feed.follow(session, 'poll', afterId)
  let timer: NodeJS.Timeout | undefined
  try {
    const { replayed, positionId } = following
    const isNew = replayed.hasMore || replayed.events.some(({ id }) => id > positionId)
    if (isNew || waitMs === 0) return pageOf(replayed.events, replayed.hasMore)
    const come = await new Promise<readonly DeviceEvent[]>((resolve) => {
      const stop = (): void => resolve([])
      timer = setTimeout(stop, waitMs)
      if (signal.aborted) stop()
      else signal.addEventListener('abort', stop, { once: true })
      following.start({ deliver: resolve, beat() {}, end: stop }, [])
    })
    return pageOf([...replayed.events, ...come], false)
  } finally {
    clearTimeout(timer)
    following.close()
  }
}

function pageOf(events: readonly DeviceEvent[], hasMore: boolean): EventBatch {
  const sorted = [...events].sort((one, other) => (one.id < other.id ? -1 : 1))
  const page = sorted.slice(0, eventsPerPageMax)
  return { events: page, hasMore: hasMore || page.length < sorted.length }
}
