import { parseJson } from '@countersign/protocol/encoding/json.ts'
import { encodeUtf8 } from '@countersign/protocol/encoding/utf8.ts'
import { Answer } from './answer.ts'
import type { DeviceApprovals } from './approvals.ts'
import { pause } from './certificates.ts'
import { DeviceError } from './device-error.ts'
import type { DeviceMemory } from './device-memory.ts'
import { EventStreamParser } from './event-stream.ts'
import type { DeviceLogin } from './login.ts'
import { changeFrom, type PropertyChange } from './property.ts'
import { problemOf } from './server-link.ts'

/** Something that happened for the user on this device. Delivery is at least once; the same id is told once. */
export interface DeviceEvent {
  readonly id: string
  readonly type: string
  /** Of approvals and messages. */
  readonly approvalId: string | undefined
  /** Why an approval was cancelled or the client disconnected. */
  readonly reason: string | undefined
  /** Of `property.changed`: what to hand to `properties.follow`. */
  readonly property: PropertyChange | undefined
}

/** How events come: as a stream, by asking for events, or by asking for what waits. */
export type EventMode = 'stream' | 'poll' | 'list'

export interface EventOptions {
  readonly signal: AbortSignal
  /** Where to begin; what the server does not have falls through to the next. Default `stream`. */
  readonly mode?: EventMode
  /** Told of every failure that is followed by another try. */
  readonly onRetry?: (error: unknown, waitMs: number) => void
  /** From 0 to 1, for jitter. */
  readonly random?: () => number
}

/** The server's heartbeat is 20 s. */
const silenceMaxMs = 60_000
const retryFirstMs = 1_000
const retryMaxMs = 60_000
/** Less than a call may take. */
const pollWaitSeconds = 15
/** By asking what waits: how long between two questions. */
const listEveryMs = 3_000
const rememberedMax = 1_000
const ulidPattern = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/
const nextModes: Readonly<Record<EventMode, EventMode | undefined>> = {
  stream: 'poll',
  poll: 'list',
  list: undefined,
}
/** After these there is nothing to wait for until somebody acts. */
const finalAdvices: ReadonlySet<string> = new Set(['erase', 'distrust', 'give_up'])

/** Events of one user on this device, for as long as somebody listens. */
export class DeviceEvents {
  readonly #memory: DeviceMemory
  readonly #login: DeviceLogin
  readonly #approvals: DeviceApprovals
  readonly #userId: string
  readonly #known = new Set<string>()

  constructor(
    memory: DeviceMemory,
    login: DeviceLogin,
    approvals: DeviceApprovals,
    userId: string,
  ) {
    this.#memory = memory
    this.#login = login
    this.#approvals = approvals
    this.#userId = userId
  }

  /**
   * Yields events until the signal is aborted, over all interruptions: after a failure it waits, each time up to twice as
   * long, and tries again. An event counts as handled when the next one is asked for.
   *
   * @throws DeviceError after which nothing can come: the device is unknown, or the server is not to be trusted.
   */
  async *listen(options: EventOptions): AsyncGenerator<DeviceEvent, void, void> {
    const { signal, onRetry, random = Math.random } = options
    let mode = options.mode ?? 'stream'
    let failures = 0
    while (!signal.aborted) {
      try {
        for await (const found of this.#open(mode, signal)) {
          failures = 0
          if (found === 'alive' || this.#known.has(found.id)) continue
          yield found
          await this.#handled(found, mode)
        }
      } catch (error) {
        if (signal.aborted) return
        const next = isMissing(error) ? nextModes[mode] : undefined
        if (next !== undefined) {
          mode = next
          continue
        }
        if (error instanceof DeviceError && finalAdvices.has(error.advice)) throw error
        failures++
        const waitMs = waitOf(error, failures, random)
        onRetry?.(error, waitMs)
        await pause(waitMs, signal).catch(() => {})
        continue
      }
      // A stream that ended in order: others end at the same time.
      if (mode === 'stream') {
        await pause(random() * retryFirstMs * 3, signal).catch(() => {})
      }
    }
  }

  #open(mode: EventMode, signal: AbortSignal): AsyncGenerator<DeviceEvent | 'alive', void, void> {
    if (mode === 'stream') return this.#stream(signal)
    return mode === 'poll' ? this.#poll(signal) : this.#list(signal)
  }

  async *#stream(signal: AbortSignal): AsyncGenerator<DeviceEvent | 'alive', void, void> {
    const silence = new AbortController()
    const timer = new Silence(() => silence.abort(new DeviceError('unreachable', 'Silence.')))
    try {
      const body = await this.#connect(AbortSignal.any([signal, silence.signal]))
      const parser = new EventStreamParser()
      for await (const bytes of body) {
        timer.restart()
        for (const part of parser.read(bytes)) {
          if (part.type === 'event') yield eventOf(parseJson(encodeUtf8(part.data)))
        }
        yield 'alive'
      }
    } catch (error) {
      throw silence.signal.aborted && !signal.aborted ? silence.signal.reason : error
    } finally {
      timer.stop()
    }
  }

  async #connect(signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    const { link, deviceKey: key } = this.#memory
    const { lastEventId } = this.#memory.user(this.#userId)
    const position = lastEventId === undefined ? {} : { 'last-event-id': lastEventId }
    for (let withNonce = false; ; withNonce = true) {
      const { accessToken: token } = this.#login.session ?? (await this.#login.login())
      const response = await link.send(
        {
          method: 'GET',
          path: '/device/v1/events',
          headers: { accept: 'text/event-stream', ...position },
          key,
          token,
        },
        { withNonce, signal },
      )
      const type = response.headers.get('content-type') ?? ''
      if (response.ok && response.body !== null && type.startsWith('text/event-stream')) {
        return response.body
      }
      const error = await refusalOf(response)
      if (error.code === 'token_invalid') this.#login.forget()
      if (withNonce || !['use_dpop_nonce', 'token_invalid'].includes(error.code)) throw error
    }
  }

  async *#poll(signal: AbortSignal): AsyncGenerator<DeviceEvent | 'alive', void, void> {
    while (!signal.aborted) {
      const { lastEventId } = this.#memory.user(this.#userId)
      const startedAt = performance.now()
      const { body } = await this.#login.call({
        method: 'GET',
        path: '/device/v1/events/poll',
        query: {
          ...(lastEventId === undefined ? {} : { after: lastEventId }),
          // Later questions are held by the server; what waits already comes at once.
          waitSeconds: String(this.#known.size === 0 ? 0 : pollWaitSeconds),
        },
      })
      const page = new Answer(body)
      let isNew = false
      for (const event of page.objects('events').map(eventFrom)) {
        isNew ||= !this.#known.has(event.id)
        yield event
      }
      yield 'alive'
      // What is pending is told again and again; a server that does not hold the question is not to be flooded.
      const wasHeld = performance.now() - startedAt > listEveryMs
      if (!isNew && !wasHeld) await pause(listEveryMs, signal)
    }
  }

  async *#list(signal: AbortSignal): AsyncGenerator<DeviceEvent | 'alive', void, void> {
    while (!signal.aborted) {
      const waiting = await this.#approvals.list()
      for (const { approvalId, kind } of waiting) {
        const type = kind === 'MESSAGE' ? 'message.available' : 'approval.available'
        yield { id: approvalId, type, approvalId, reason: undefined, property: undefined }
      }
      yield 'alive'
      await pause(listEveryMs, signal)
    }
  }

  async #handled({ id }: DeviceEvent, mode: EventMode): Promise<void> {
    this.#known.add(id)
    const [oldest] = this.#known
    if (this.#known.size > rememberedMax && oldest !== undefined) this.#known.delete(oldest)
    // The position never moves back: what is pending is replayed whatever its age.
    const { lastEventId = '' } = this.#memory.user(this.#userId)
    if (mode === 'list' || id <= lastEventId) return
    await this.#memory.changeUser(this.#userId, (user) => ({ ...user, lastEventId: id }))
  }
}

/** Calls when nothing was heard for too long. */
class Silence {
  readonly #call: () => void
  #timer: ReturnType<typeof setTimeout>

  constructor(call: () => void) {
    this.#call = call
    this.#timer = setTimeout(call, silenceMaxMs)
  }

  restart(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(this.#call, silenceMaxMs)
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}

function eventOf(value: unknown): DeviceEvent {
  return eventFrom(new Answer(value))
}

function eventFrom(answer: Answer): DeviceEvent {
  const data = answer.object('data')
  const type = answer.text('type', /^[a-z][a-z.]{0,63}$/)
  return {
    id: answer.text('id', ulidPattern),
    type,
    approvalId: data.optionalText('approvalId', ulidPattern),
    reason: data.optionalText('reason'),
    property: type === 'property.changed' ? changeFrom(data) : undefined,
  }
}

async function refusalOf(response: Response): Promise<DeviceError> {
  const { status, headers } = response
  const isJson = (headers.get('content-type') ?? '').includes('json')
  let body: unknown
  try {
    body = isJson ? parseJson(new Uint8Array(await response.arrayBuffer())) : undefined
  } catch {
    // Then the status says it.
  }
  if (body === undefined) await response.body?.cancel().catch(() => {})
  return problemOf({ status, headers, body })
}

/** Whether the server has no such operation: then another way is taken. */
function isMissing(error: unknown): boolean {
  return error instanceof DeviceError && [404, 405, 406, 501].includes(error.status ?? 0)
}

/** What the server asks for, else a random part of twice as long as before. */
function waitOf(error: unknown, failures: number, random: () => number): number {
  const asked = error instanceof DeviceError ? error.facts.retryAfterSeconds : undefined
  const most = Math.min(retryFirstMs * 2 ** Math.min(failures, 16), retryMaxMs)
  const jitter = most * (0.5 + random() / 2)
  return asked === undefined ? jitter : Math.min(asked * 1000, 600_000) + random() * retryFirstMs
}
