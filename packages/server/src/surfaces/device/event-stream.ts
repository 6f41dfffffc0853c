import type { ServerResponse } from 'node:http'
import type { DeviceEvent } from '#domain/devices/device-event-store.ts'
import type { EventFollower, Following } from '#domain/devices/event-feed.ts'
import { toEvent } from './wire.ts'

const retryText = 'retry: 3000\n\n'
const heartbeatText = ': hb\n\n'
/** A device that takes nothing for so long is cut off; it reconnects and finds what it missed. */
const drainMsMax = 10_000
/** For an end that the device does not take. */
const endMsMax = 5_000

/** Tells the device what it is to be told, until either side ends it. */
export function openStream(response: ServerResponse, following: Following): void {
  const { events } = following.replayed
  const stream = new EventStream(response, following.positionId)
  // Once it is, but `once` would keep a function more of each of thousands.
  response.on('close', () => following.close())
  if (response.destroyed) {
    following.close()
    return
  }
  // By itself the head becomes one flat text; with the first words behind it, it stays the forty that it was made of.
  response.flushHeaders()
  response.write(retryText)
  following.start(stream, events)
}

/** The text of one event (WHATWG HTML, server-sent events); without an id it does not move the device's position. */
export function textOf(event: DeviceEvent, hasId: boolean): string {
  const id = hasId ? `id: ${event.id}\n` : ''
  return `${id}event: ${event.type}\ndata: ${JSON.stringify(toEvent(event))}\n\n`
}

/** One connection. It holds what the device has not taken of one page, never more. */
class EventStream implements EventFollower {
  readonly #response: ServerResponse
  #positionId: string

  constructor(response: ServerResponse, positionId: string) {
    this.#response = response
    this.#positionId = positionId
  }

  deliver(events: readonly DeviceEvent[]): Promise<void> | void {
    let text = ''
    for (const event of events) {
      const isAhead = event.id > this.#positionId
      if (isAhead) this.#positionId = event.id
      text += textOf(event, isAhead)
    }
    this.#response.write(text)
    if (this.#response.writableNeedDrain) return this.#drained()
  }

  beat(): void {
    // What is not taken yet shows at its end whether anybody is there.
    if (!this.#response.writableNeedDrain) this.#response.write(heartbeatText)
  }

  end(): void {
    const response = this.#response
    const timer = setTimeout(() => response.destroy(), endMsMax).unref()
    response.once('close', () => clearTimeout(timer))
    response.end()
  }

  #drained(): Promise<void> {
    const response = this.#response
    return new Promise((resolve) => {
      const timer = setTimeout(() => response.destroy(), drainMsMax).unref()
      const done = (): void => {
        clearTimeout(timer)
        response.off('drain', done)
        response.off('close', done)
        resolve()
      }
      response.once('drain', done)
      response.once('close', done)
    })
  }
}
