import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'

/** More than any list that a server sends. */
const answerBytesMax = 64 * 1024 * 1024

export interface LinkOptions {
  /** Origin of the server. */
  readonly origin: string
  /** Connections of all cabinets together. */
  readonly socketsMax: number
  readonly timeoutMs: number
  /** 0 to 1: the part of calls that the network loses, half of them on the way there, half on the way back. */
  readonly loss: number
  readonly random: () => number
}

export interface LinkAnswer {
  readonly status: number
  /** Undefined for an empty body. */
  readonly body: unknown
  readonly milliseconds: number
}

export interface LinkCall {
  readonly method: 'GET' | 'POST'
  /** A path of the origin, or a URL. */
  readonly target: string
  readonly query?: Readonly<Record<string, string>>
  readonly body?: { readonly bytes: Uint8Array; readonly contentType: string }
  readonly headers?: Readonly<Record<string, string>>
}

/** The network between cabinets and their server: real HTTP over a bounded number of connections, as bad as one likes. */
export class CabinetLink {
  readonly #options: LinkOptions
  readonly #http: HttpAgent
  readonly #https: HttpsAgent

  constructor(options: LinkOptions) {
    this.#options = options
    const agent = {
      keepAlive: true,
      maxSockets: options.socketsMax,
      maxTotalSockets: options.socketsMax,
    }
    this.#http = new HttpAgent(agent)
    this.#https = new HttpsAgent(agent)
  }

  /** @throws Error when no whole answer comes in time. */
  async call({ method, target, query = {}, body, headers = {} }: LinkCall): Promise<LinkAnswer> {
    const { origin, timeoutMs, loss, random } = this.#options
    const url = new URL(target, origin)
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
    const luck = random()
    if (luck < loss / 2) throw new Error('lost on the way there')
    const startedAt = performance.now()
    const answer = await this.#send(url, timeoutMs, {
      method,
      headers: {
        ...headers,
        ...(body === undefined
          ? {}
          : { 'content-type': body.contentType, 'content-length': String(body.bytes.length) }),
      },
      bytes: body?.bytes,
    })
    if (luck < loss) throw new Error('lost on the way back')
    return { ...answer, milliseconds: performance.now() - startedAt }
  }

  close(): void {
    this.#http.destroy()
    this.#https.destroy()
  }

  #send(
    url: URL,
    timeoutMs: number,
    {
      method,
      headers,
      bytes,
    }: { method: string; headers: Record<string, string>; bytes: Uint8Array | undefined },
  ): Promise<Omit<LinkAnswer, 'milliseconds'>> {
    return new Promise((resolve, reject) => {
      const isSecure = url.protocol === 'https:'
      const options = { method, headers, agent: isSecure ? this.#https : this.#http }
      const request = isSecure ? requestHttps(url, options) : requestHttp(url, options)
      const timer = setTimeout(() => request.destroy(new Error('no answer in time')), timeoutMs)
      request.once('close', () => clearTimeout(timer))
      request.once('error', reject)
      request.once('response', (response) => {
        readAnswer(response).then(resolve, (error: unknown) => {
          request.destroy()
          reject(error instanceof Error ? error : new Error(String(error)))
        })
      })
      request.end(bytes)
    })
  }
}

async function readAnswer(response: IncomingMessage): Promise<Omit<LinkAnswer, 'milliseconds'>> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > answerBytesMax) throw new Error('the answer is too long')
    chunks.push(chunk)
  }
  const text = Buffer.concat(chunks).toString('utf8')
  return { status: response.statusCode ?? 0, body: text === '' ? undefined : JSON.parse(text) }
}
