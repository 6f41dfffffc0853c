import { once } from 'node:events'
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  constants,
  type OutgoingHttpHeaders,
} from 'node:http2'
import { connect as connectTcp, isIP, type LookupFunction, type Socket } from 'node:net'
import { connect as connectTls, type SecureContext, type TLSSocket } from 'node:tls'
import type { AddressGuard, ExchangeAnswer } from '#domain/outbox/http-exchange.ts'
import { Liveness } from './http2-liveness.ts'

/** Where to, and as whom: connections are not shared between credentials. */
export interface Http2Target {
  readonly origin: string
  /** Names the credentials. */
  readonly credentials: string
  /** What is shown of ours in TLS. */
  readonly identity?: SecureContext | undefined
}

export interface Http2Call {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

const connectMsMax = 10_000
const idleMsMax = 10 * 60_000
/** Longer than pauses between messages of a busy moment, shorter than what common routers remember. */
const quietMs = 60_000
const connectionsMax = 64
const answerBodyBytesMax = 65_536
const answerHeaderBytesMax = 16_384
const answerHeadersMax = 64
/** A connection that ended before an answer is no failure of anybody: the message is sent once more over a new one. */
const triesMax = 2
const userAgent = 'Countersign'

const nothing = new Uint8Array()
type Failure = NonNullable<ExchangeAnswer['error']>

/** A connection, from the moment at which it is begun. */
interface Opened {
  readonly opening: Promise<ClientHttp2Session | Failure>
  session: ClientHttp2Session | undefined
}

/**
 * Kept HTTP/2 connections to providers: many messages at once over one. What the other side ends (GOAWAY, an idle limit,
 * a reset) is replaced with the next message; calls that the end left open go over the new connection.
 */
export class Http2Connections {
  readonly #guard: AddressGuard
  /** The least recently opened first. */
  readonly #open = new Map<string, Opened>()
  readonly #liveness: Liveness
  #isClosed = false

  /** @param options.quietMs after which a connection is asked whether it still stands before it is used. */
  constructor(guard: AddressGuard, options: { readonly quietMs?: number } = {}) {
    this.#guard = guard
    this.#liveness = new Liveness(options.quietMs ?? quietMs)
  }

  /** One POST. Never throws; the signal ends it as TIMEOUT. */
  async post(target: Http2Target, call: Http2Call, signal: AbortSignal): Promise<ExchangeAnswer> {
    for (let tries = 1; tries <= triesMax; tries++) {
      if (this.#isClosed || signal.aborted) break
      const session = await Promise.race([this.#session(target), timeOver(signal)])
      if (typeof session === 'string') return failed(session)
      const isAlive = await Promise.race([this.#liveness.isAlive(session), timeOver(signal)])
      if (typeof isAlive === 'string') return failed(isAlive)
      const answer = isAlive ? await exchange(session, call, signal) : 'lost'
      if (answer === 'lost' || answer.error === 'TIMEOUT') this.#leave(target, session)
      else this.#liveness.note(session)
      if (answer !== 'lost') return answer
    }
    return failed(signal.aborted ? 'TIMEOUT' : 'CONNECTION')
  }

  /** Ends all connections; calls that are under way end as CONNECTION. */
  close(): void {
    this.#isClosed = true
    for (const { opening } of this.#open.values()) {
      void opening.then((session) => typeof session === 'string' || session.destroy())
    }
    this.#open.clear()
  }

  #session(target: Http2Target): Promise<ClientHttp2Session | Failure> {
    const name = nameOf(target)
    const kept = this.#open.get(name)
    if (kept !== undefined) return kept.opening
    if (this.#open.size >= connectionsMax) this.#closeFirst()
    const opening = this.#connect(target).catch((): Failure => 'CONNECTION')
    const opened: Opened = { opening, session: undefined }
    this.#open.set(name, opened)
    const forget = (): void => {
      if (this.#open.get(name) === opened) this.#open.delete(name)
    }
    void opening.then((session) => {
      if (typeof session === 'string') return forget()
      opened.session = session
      if (this.#isClosed) session.destroy()
      this.#liveness.note(session)
      // No new call goes over a connection whose end was announced; those under way may finish.
      session.once('goaway', forget)
      session.once('close', forget)
      session.setTimeout(idleMsMax, () => {
        forget()
        session.close()
      })
      return undefined
    })
    return opening
  }

  /** Nothing new goes over a connection that gave no answer. */
  #leave(target: Http2Target, session: ClientHttp2Session): void {
    const name = nameOf(target)
    if (this.#open.get(name)?.session === session) this.#open.delete(name)
    session.close()
  }

  #closeFirst(): void {
    const [first] = this.#open
    if (first === undefined) return
    this.#open.delete(first[0])
    void first[1].opening.then((session) => typeof session === 'string' || session.close())
  }

  async #connect({ origin, identity }: Http2Target): Promise<ClientHttp2Session | Failure> {
    const signal = AbortSignal.timeout(connectMsMax)
    const addresses = await this.#guard.allowedAddresses(origin, signal)
    if (typeof addresses === 'string') return addresses
    const url = new URL(origin)
    const socket = openSocket(url, addresses, identity)
    socket.on('error', () => {})
    try {
      await once(socket, 'connect', { signal })
    } catch {
      socket.destroy()
      return signal.aborted ? 'TIMEOUT' : 'CONNECTION'
    }
    if (url.protocol === 'https:' && !(await isSecure(socket as TLSSocket, signal))) {
      socket.destroy()
      return signal.aborted ? 'TIMEOUT' : 'TLS'
    }
    const session = connectHttp2(url.origin, {
      createConnection: () => socket,
      maxHeaderListPairs: answerHeadersMax,
      maxReservedRemoteStreams: 0,
      settings: { enablePush: false, maxHeaderListSize: answerHeaderBytesMax },
    })
    session.on('error', () => {})
    session.unref()
    return session
  }
}

function nameOf({ origin, credentials }: Http2Target): string {
  return `${origin} ${credentials}`
}

function openSocket(
  { protocol, hostname, port }: URL,
  addresses: readonly string[],
  identity: SecureContext | undefined,
): Socket {
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  const lookup = pinned(addresses)
  if (protocol === 'http:') return connectTcp({ host, port: Number(port || 80), lookup })
  return connectTls({
    host,
    port: Number(port || 443),
    lookup,
    ALPNProtocols: ['h2'],
    rejectUnauthorized: true,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(identity === undefined ? {} : { secureContext: identity }),
  })
}

/** Answers every lookup of the connection with the addresses that were checked. */
function pinned(addresses: readonly string[]): LookupFunction {
  const found = addresses.map((address) => ({ address, family: isIP(address) }))
  return (_host, { all }, callback) => {
    const [first] = found
    if (all === true) callback(null, found)
    else callback(null, first?.address ?? '', first?.family)
  }
}

async function isSecure(socket: TLSSocket, signal: AbortSignal): Promise<boolean> {
  try {
    await once(socket, 'secureConnect', { signal })
    return socket.authorized && socket.alpnProtocol === 'h2'
  } catch {
    return false
  }
}

/** `lost`: the connection ended before an answer began. */
function exchange(
  session: ClientHttp2Session,
  { path, headers, body }: Http2Call,
  signal: AbortSignal,
): Promise<ExchangeAnswer | 'lost'> {
  return new Promise((resolve) => {
    if (session.closed || session.destroyed) return resolve('lost')
    const stream = requestOn(session, {
      ':method': 'POST',
      ':path': path,
      'user-agent': userAgent,
      'content-length': String(body.length),
      ...headers,
    })
    if (stream === undefined) return resolve('lost')
    let answer: Omit<ExchangeAnswer, 'body'> | undefined
    const chunks: Buffer[] = []
    let byteCount = 0
    const onAbort = (): void => stream.close(constants.NGHTTP2_CANCEL)
    signal.addEventListener('abort', onAbort, { once: true })
    stream.on('response', ({ ':status': statusCode = 0, ...fields }) => {
      answer = { statusCode, error: errorOf(statusCode), headers: fields }
    })
    stream.on('data', (chunk: Buffer) => {
      byteCount += chunk.length
      if (byteCount > answerBodyBytesMax) stream.close(constants.NGHTTP2_CANCEL)
      else chunks.push(chunk)
    })
    stream.on('error', () => {})
    stream.once('close', () => {
      signal.removeEventListener('abort', onAbort)
      const isWhole = stream.rstCode === constants.NGHTTP2_NO_ERROR && stream.readableEnded
      if (answer !== undefined)
        resolve({ ...answer, body: isWhole ? Buffer.concat(chunks) : nothing })
      else resolve(signal.aborted ? failed('TIMEOUT') : 'lost')
    })
    stream.end(body)
  })
}

/** Undefined: the connection ends just now, or the headers cannot be sent. */
function requestOn(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
): ClientHttp2Stream | undefined {
  try {
    return session.request(headers)
  } catch {
    return undefined
  }
}

function errorOf(statusCode: number): Failure | null {
  return statusCode >= 300 && statusCode < 400 ? 'REDIRECT' : null
}

function failed(error: Failure): ExchangeAnswer {
  return { statusCode: null, error, headers: {}, body: nothing }
}

function timeOver(signal: AbortSignal): Promise<Failure> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve('TIMEOUT')
    else signal.addEventListener('abort', () => resolve('TIMEOUT'), { once: true })
  })
}
