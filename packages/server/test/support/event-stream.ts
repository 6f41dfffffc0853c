import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import type { Json } from './platform-api.ts'
import type { TestDevice } from './test-device.ts'

const path = '/device/v1/events'
const deadlineMs = 10_000

export interface StreamOptions {
  readonly lastEventId?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** One event as its lines say. */
export interface Received {
  /** Undefined: the line was not there. */
  readonly id: string | undefined
  readonly event: string | undefined
  readonly data: Json
}

/** An event stream as a device reads it. */
export class TestStream implements Disposable {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  /** Everything that came. */
  text = ''
  isEnded = false
  readonly #response: IncomingMessage
  readonly #waiting = new Set<() => void>()

  constructor(response: IncomingMessage) {
    this.#response = response
    this.status = response.statusCode ?? 0
    this.headers = response.headers
    response.setEncoding('utf8').on('data', (chunk: string) => {
      this.text += chunk
      this.#wake()
    })
    response.on('error', () => {})
    response.on('close', () => {
      this.isEnded = true
      this.#wake()
    })
  }

  get events(): Received[] {
    return this.text
      .split('\n\n')
      .slice(0, -1)
      .filter((block) => block.includes('data: '))
      .map((block) => {
        const lineOf = (name: string): string | undefined =>
          block
            .split('\n')
            .find((line) => line.startsWith(`${name}: `))
            ?.slice(name.length + 2)
        return {
          id: lineOf('id'),
          event: lineOf('event'),
          data: JSON.parse(lineOf('data') ?? ''),
        }
      })
  }

  get types(): (string | undefined)[] {
    return this.events.map(({ event }) => event)
  }

  get ids(): string[] {
    return this.events.map(({ data }) => data.id)
  }

  pause(): void {
    this.#response.pause()
  }

  /** @throws when it does not come in time. */
  async until(what: (stream: TestStream) => boolean): Promise<void> {
    const endsAt = Date.now() + deadlineMs
    while (!what(this)) {
      if (Date.now() > endsAt) throw new Error(`It did not come; so far:\n${this.text}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 100)
        this.#waiting.add(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
  }

  ended(): Promise<void> {
    return this.until(({ isEnded }) => isEnded)
  }

  [Symbol.dispose](): void {
    this.#response.destroy()
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }
}

/** Opens a stream with the device's token. @param origin where the server listens. */
export async function openTestStream(
  origin: string,
  device: TestDevice,
  { lastEventId, headers = {} }: StreamOptions = {},
): Promise<TestStream> {
  const sent = request(origin + path, {
    agent: false,
    headers: {
      accept: 'text/event-stream',
      authorization: `DPoP ${device.accessToken}`,
      dpop: device.proof('GET', path),
      ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
      ...headers,
    },
  })
  sent.end()
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  return new TestStream(response)
}
