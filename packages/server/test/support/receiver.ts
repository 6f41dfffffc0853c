import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What a receiver got. */
export interface Received {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  readonly atMs: number
}

/** How it answers: a status, or whatever it likes to do with the connection. */
export type Answering =
  | number
  | ((received: Received, response: ServerResponse, request: IncomingMessage) => void)

/** An HTTP server of somebody else's, on 127.0.0.1. */
export interface Receiver extends AsyncDisposable {
  readonly url: string
  readonly received: readonly Received[]
  /** Requests under way at the same moment, at most, so far. */
  readonly parallelMax: number
  answerWith(answering: Answering): void
  /** Resolves when so many requests have come. */
  waitFor(count: number, timeoutMs?: number): Promise<void>
}

export async function startReceiver(first: Answering = 204): Promise<Receiver> {
  const received: Received[] = []
  let answering = first
  let parallel = 0
  let parallelMax = 0
  const waiting = new Set<() => void>()
  const server = createServer((request, response) => {
    parallel += 1
    parallelMax = Math.max(parallelMax, parallel)
    response.once('close', () => {
      parallel -= 1
    })
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('error', () => {})
    request.on('end', () => {
      const one: Received = {
        path: request.url ?? '',
        headers: request.headers as Record<string, string>,
        body: Buffer.concat(chunks),
        atMs: performance.now(),
      }
      received.push(one)
      for (const look of waiting) look()
      if (typeof answering === 'number') response.writeHead(answering).end()
      else answering(one, response, request)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/hook`,
    received,
    get parallelMax() {
      return parallelMax
    },
    answerWith(next) {
      answering = next
    },
    async waitFor(count, timeoutMs = 10_000) {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(look)
          reject(new Error(`${received.length} of ${count} requests came.`))
        }, timeoutMs)
        const look = (): void => {
          if (received.length < count) return
          clearTimeout(timer)
          waiting.delete(look)
          resolve()
        }
        waiting.add(look)
        look()
      })
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
