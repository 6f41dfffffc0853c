import { pollEvents as poll } from '#domain/devices/event-poll.ts'
import { RequestRefused } from '#http/failure.ts'
import { isAcceptable } from '#http/media-type.ts'
import type { Endpoint } from './endpoint.ts'
import { openStream } from './event-stream.ts'
import { toEvent } from './wire.ts'

const mediaType = 'text/event-stream'

/** What waits, and what happens, as it happens. */
export const streamEvents: Endpoint<'streamEvents'> = async ({
  core,
  caller,
  headers,
  request,
}) => {
  if (!isAcceptable(request.headers.accept, [mediaType])) {
    throw new RequestRefused({ kind: 'not_acceptable' })
  }
  const following = await core.eventFeed.follow(caller, 'stream', headers['Last-Event-ID'])
  return {
    status: 200,
    headers: { 'cache-control': 'no-store, no-transform' },
    body: (response) => openStream(response, following),
  }
}

/** The same for whoever cannot hold a stream. */
export const pollEvents: Endpoint<'pollEvents'> = async ({ core, caller, query, request }) => {
  const { after, waitSeconds = 0 } = query
  const gone = new AbortController()
  const { socket } = request.raw
  const abort = (): void => gone.abort()
  socket.once('close', abort)
  try {
    const asked = { afterId: after, waitMs: waitSeconds * 1000, signal: gone.signal }
    const { events, hasMore } = await poll(core.eventFeed, caller, asked)
    return { status: 200, body: { events: events.map(toEvent), more: hasMore } }
  } finally {
    socket.off('close', abort)
  }
}
