import { Agent, type IncomingHttpHeaders, request } from 'node:http'
import { buffer } from 'node:stream/consumers'

export interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly bytes: Buffer
  readonly text: string
  /** The parsed body. @throws where there is none. */
  json<T = Record<string, unknown>>(): T
}

export interface Call {
  readonly method?: string
  readonly path: string
  /** A service account's secret. */
  readonly secret?: string
  /** Objects are sent as JSON, texts and bytes as they are. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string | string[]>>
  readonly timeoutMs?: number
}

/** Speaks HTTP over connections of its own, so that as many requests race as it has connections. */
export class HttpClient implements Disposable {
  readonly #agent: Agent
  readonly #url: () => string

  /** @param url asked at every call: a server that was started again has another port. */
  constructor(url: string | (() => string), connections = 32) {
    this.#url = typeof url === 'string' ? () => url : url
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections })
  }

  /** @throws when no answer came: the connection was refused, broken or too slow. */
  async call({ path, secret, body, headers, timeoutMs = 30_000, ...more }: Call): Promise<Reply> {
    const payload = payloadOf(body)
    const method = more.method ?? (payload === undefined ? 'GET' : 'POST')
    const { hostname, port } = new URL(this.#url())
    return new Promise<Reply>((resolve, reject) => {
      const outgoing = request(
        {
          agent: this.#agent,
          hostname,
          port,
          method,
          path,
          timeout: timeoutMs,
          headers: {
            ...(secret === undefined ? {} : { authorization: `Bearer ${secret}` }),
            ...(payload === undefined
              ? {}
              : { 'content-type': 'application/json', 'content-length': String(payload.length) }),
            ...headers,
          },
        },
        (incoming) => {
          buffer(incoming).then((bytes) => {
            const text = bytes.toString('utf8')
            const { statusCode: status = 0, headers: received } = incoming
            resolve({ status, headers: received, bytes, text, json: () => JSON.parse(text) })
          }, reject)
        },
      )
      outgoing.on('timeout', () => outgoing.destroy(new Error(`No answer in ${timeoutMs} ms.`)))
      outgoing.on('error', reject)
      outgoing.end(payload)
    })
  }

  [Symbol.dispose](): void {
    this.#agent.destroy()
  }
}

function payloadOf(body: unknown): Buffer | undefined {
  if (body === undefined || body instanceof Buffer) return body
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
}

/** True when the server gave no answer, or said that it cannot decide: what was asked for may or may not have happened. */
export function isUnanswered(reply: Reply | undefined): boolean {
  return reply === undefined || reply.status === 503
}
