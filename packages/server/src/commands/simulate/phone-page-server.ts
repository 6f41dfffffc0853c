import { hash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { CommandError, exitCodes } from '../failure.ts'
import type { Terminal } from '../terminal.ts'
import { readPageModules } from './phone-page-modules.ts'

const bodyBytesMax = 131_072
const requestHeaders = [
  'accept',
  'accept-language',
  'authorization',
  'content-type',
  'dpop',
  'last-event-id',
]
const replyHeaders = [
  'cache-control',
  'content-type',
  'dpop-nonce',
  'retry-after',
  'www-authenticate',
]
const types: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  ts: 'text/javascript; charset=utf-8',
}

/** Where the page is, as long as it is served. */
export interface PhonePage extends AsyncDisposable {
  readonly url: string
}

/** Serves the page until the command is interrupted. */
export async function servePhonePage(
  terminal: Terminal,
  { url, port }: { readonly url: string; readonly port: string },
): Promise<void> {
  const portNumber = Number(port)
  if (!/^\d{1,5}$/.test(port) || portNumber > 65_535) {
    throw new CommandError(exitCodes.usage, '--port must be a port')
  }
  await using page = await startPhonePage({ server: url, port: portNumber })
  terminal.note(
    `The phone is at ${page.url}; a second one at ${page.url}?device=second. Ctrl-C ends it.`,
  )
  if (!terminal.signal.aborted) await once(terminal.signal, 'abort')
  terminal.result({ url: page.url }, ['The phone is closed.'])
}

/**
 * A page for browsers on a loopback port: the SDK's modules with their types stripped, under a policy that runs nothing
 * else, and a way to one server's device protocol, so that the server needs no CORS for it.
 */
export async function startPhonePage({
  server,
  port,
}: {
  readonly server: string
  readonly port: number
}): Promise<PhonePage> {
  if (!/^https?:$/.test(URL.canParse(server) ? new URL(server).protocol : '')) {
    throw new CommandError(exitCodes.usage, '--url must be the http or https address of a server')
  }
  const files = readPageModules()
  const importMap = /<script type="importmap">([\s\S]*?)<\/script>/.exec(files.get('/') ?? '')?.[1]
  const policy = [
    "default-src 'none'",
    `script-src 'self' 'sha256-${hash('sha256', importMap ?? '', 'base64')}'`,
    "style-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ].join('; ')
  const http = createServer((request, response) => {
    response.setHeader('content-security-policy', policy)
    response.setHeader('x-content-type-options', 'nosniff')
    response.setHeader('referrer-policy', 'no-referrer')
    response.setHeader('cache-control', 'no-store')
    answer({
      request,
      response,
      files,
      server: new URL(server).origin,
      own: ownHosts(http.address()),
    }).catch(() => {
      if (response.headersSent) response.destroy()
      else response.writeHead(502).end()
    })
  })
  http.listen(port, '127.0.0.1')
  await once(http, 'listening')
  const { port: given } = http.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${given}/`,
    async [Symbol.asyncDispose]() {
      http.closeAllConnections()
      http.close()
      await once(http, 'close')
    },
  }
}

interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly files: ReadonlyMap<string, string>
  readonly server: string
  readonly own: readonly string[]
}

async function answer(exchange: Exchange): Promise<void> {
  const { request, response, files, own } = exchange
  const { pathname, search } = new URL(request.url ?? '/', 'http://phone.invalid')
  // Other names for this address (DNS rebinding) and other pages get nothing.
  const site = request.headers['sec-fetch-site'] ?? 'none'
  const isOwn = own.includes(request.headers.host ?? '')
  const isApi = pathname.startsWith('/device/v1/')
  if (!isOwn || (isApi && site !== 'same-origin') || (site !== 'same-origin' && site !== 'none')) {
    response.writeHead(403).end()
    return
  }
  if (isApi) return forward(exchange, pathname + search)
  const text = files.get(pathname)
  if (text === undefined || request.method !== 'GET') {
    response.writeHead(404).end()
    return
  }
  const extension = pathname === '/' ? 'html' : (pathname.split('.').at(-1) ?? '')
  response.writeHead(200, { 'content-type': types[extension] ?? 'text/plain' }).end(text)
}

/** Hands a call of the device protocol on, as it is. */
async function forward({ request, response, server }: Exchange, target: string): Promise<void> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > bodyBytesMax) {
      response.writeHead(413).end()
      return
    }
    chunks.push(chunk)
  }
  const ending = new AbortController()
  response.on('close', () => ending.abort())
  const reply = await fetch(server + target, {
    method: request.method ?? 'GET',
    headers: requestHeaders.flatMap((name): [string, string][] => {
      const value = request.headers[name]
      return typeof value === 'string' ? [[name, value]] : []
    }),
    redirect: 'manual',
    signal: ending.signal,
    ...(length === 0 ? {} : { body: Buffer.concat(chunks) }),
  })
  for (const name of replyHeaders) {
    const value = reply.headers.get(name)
    if (value !== null) response.setHeader(name, value)
  }
  response.writeHead(reply.status)
  response.flushHeaders()
  if (reply.body === null) response.end()
  else await pipeline(Readable.fromWeb(reply.body), response)
}

function ownHosts(address: string | AddressInfo | null): readonly string[] {
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return [`127.0.0.1:${port}`, `localhost:${port}`]
}
