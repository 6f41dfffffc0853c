import type { IncomingMessage } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import type { Clock } from '#domain/clock.ts'
import type { OutboundCall } from '#domain/outbox/delivery-kind.ts'
import type { ExchangeAnswer, HttpExchange } from '#domain/outbox/http-exchange.ts'
import type { Attempt, AttemptError } from '#domain/outbox/outbox-message.ts'
import type { OutboundRule } from '#domain/tenants/outbound-rule.ts'
import type { AddressResolver } from './address-resolver.ts'
import { HttpAgent } from './node-http.ts'
import { requestTo, userAgent, watchPhase } from './outbound-request.ts'
import { findTarget, type OutboundTarget } from './outbound-target.ts'

/** Connection, headers and body of the answer together. */
export const callMsMax = 15_000
/** What an answer says is mostly of no interest; so much of it is read to keep the connection, for so long. */
const answerBodyBytesMax = 65_536
const answerBodyMsMax = 1_000
const idleMsMax = 4_000
const idlePerHostMax = 64
const idleMax = 256

type Answer = ExchangeAnswer

/** With `readsBody` the body of the answer is kept. */
type Call = OutboundCall & { readonly readsBody: boolean }

/**
 * POSTs to addresses that tenants chose, so it trusts none of them: the name is resolved once, every address it has must
 * be allowed, and the connection goes to exactly these; no redirect is followed, no proxy used; time, headers and body of
 * the answer are bounded.
 */
export class OutboundHttp implements HttpExchange {
  readonly #rule: OutboundRule
  readonly #resolver: AddressResolver
  readonly #clock: Clock
  readonly #http = new HttpAgent(agentOptions)
  readonly #https = new HttpsAgent({ ...agentOptions, maxCachedSessions: idleMax })
  readonly #underWay = new Set<AbortController>()
  #isBrokenOff = false

  constructor(dependencies: { rule: OutboundRule; resolver: AddressResolver; clock: Clock }) {
    this.#rule = dependencies.rule
    this.#resolver = dependencies.resolver
    this.#clock = dependencies.clock
  }

  /** Makes one attempt; never throws. Undefined when it was broken off: nothing is known of its effect then. */
  async send(call: OutboundCall): Promise<Attempt | undefined> {
    if (this.#isBrokenOff) return undefined
    const atMs = this.#clock()
    const startedAt = performance.now()
    const ending = new AbortController()
    const timer = setTimeout(() => ending.abort(), Math.min(call.timeoutMs ?? callMsMax, callMsMax))
    this.#underWay.add(ending)
    try {
      const toSend = { ...call, readsBody: false }
      const { statusCode, error } = await this.#attempt(toSend, ending.signal)
      if (this.#isBrokenOff && statusCode === null) return undefined
      return { atMs, statusCode, error, durationMs: Math.round(performance.now() - startedAt) }
    } finally {
      clearTimeout(timer)
      this.#underWay.delete(ending)
    }
  }

  async exchange(call: OutboundCall, signal: AbortSignal): Promise<ExchangeAnswer> {
    if (this.#isBrokenOff) return failed('CONNECTION')
    return this.#attempt({ ...call, readsBody: true }, signal)
  }

  /** Breaks off what is under way and closes what is kept open; to be called once, at the end. */
  close(): void {
    this.#isBrokenOff = true
    for (const ending of this.#underWay) ending.abort()
    this.#http.destroy()
    this.#https.destroy()
  }

  async #attempt(call: Call, signal: AbortSignal): Promise<Answer> {
    const way = { rule: this.#rule, resolver: this.#resolver }
    const target = await findTarget(call.url, way, signal)
    if (typeof target === 'string') return failed(target)
    const first = await this.#exchange(target, call, signal)
    // The receiver closed a kept connection at the moment at which it was used again: that is no failure of anybody.
    return first === 'stale' ? this.#exchange(target, call, signal, true) : first
  }

  #exchange(target: OutboundTarget, call: Call, signal: AbortSignal, isFresh: true): Promise<Answer>
  #exchange(target: OutboundTarget, call: Call, signal: AbortSignal): Promise<Answer | 'stale'>
  #exchange(
    target: OutboundTarget,
    { headers, body, readsBody }: Call,
    signal: AbortSignal,
    isFresh = false,
  ): Promise<Answer | 'stale'> {
    const options = {
      method: 'POST',
      headers: {
        ...headers,
        host: target.url.host,
        'user-agent': userAgent,
        'content-length': body.length,
      },
      agent: isFresh ? false : target.isTls ? this.#https : this.#http,
      setDefaultHeaders: true,
    }
    return new Promise((resolve) => {
      const request = requestTo(target, options)
      let hasAnswered = false
      const watch = watchPhase(request)
      const onAbort = (): void => void request.destroy(new Error('The time is over.'))
      const finish = (answer: Answer | 'stale'): void => {
        signal.removeEventListener('abort', onAbort)
        resolve(answer)
      }
      signal.addEventListener('abort', onAbort, { once: true })
      if (signal.aborted) onAbort()
      request.on('response', (response) => {
        hasAnswered = true
        readAnswer(response, readsBody, (body) => finish(answerOf(response, body)))
      })
      request.on('error', () => {
        const isStale = request.reusedSocket && !isFresh && !signal.aborted
        finish(isStale ? 'stale' : failed(signal.aborted ? 'TIMEOUT' : watch.errorNow()))
      })
      // Ended without a word, such as after an attempt to switch protocols.
      request.once('close', () => {
        if (!hasAnswered) finish(failed(signal.aborted ? 'TIMEOUT' : 'CONNECTION'))
      })
      request.end(body)
    })
  }
}

const agentOptions = {
  keepAlive: true,
  maxFreeSockets: idlePerHostMax,
  maxTotalSockets: Number.POSITIVE_INFINITY,
  timeout: idleMsMax,
  scheduling: 'lifo',
} as const

function answerOf({ statusCode = 0, headers }: IncomingMessage, body: Uint8Array): Answer {
  // What HTTP does not know is no answer.
  if (statusCode < 200 || statusCode > 599) return failed('CONNECTION')
  const error = statusCode >= 300 && statusCode < 400 ? 'REDIRECT' : null
  return { statusCode, error, headers, body }
}

function failed(error: AttemptError): Answer {
  return { statusCode: null, error, headers: {}, body: nothing }
}

const nothing = new Uint8Array()

/** Reads an answer to its end, if that comes soon; else the connection ends, and what came is nothing. */
function readAnswer(
  response: IncomingMessage,
  isKept: boolean,
  done: (body: Uint8Array) => void,
): void {
  const chunks: Buffer[] = []
  let byteCount = 0
  const timer = setTimeout(() => response.destroy(), answerBodyMsMax)
  response.on('data', (chunk: Buffer) => {
    byteCount += chunk.length
    if (byteCount > answerBodyBytesMax) response.destroy()
    else if (isKept) chunks.push(chunk)
  })
  response.once('error', () => {})
  response.once('close', () => {
    clearTimeout(timer)
    done(response.complete ? Buffer.concat(chunks) : nothing)
  })
}
