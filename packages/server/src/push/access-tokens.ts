import type { Clock } from '#domain/clock.ts'
import type { OutboundCall } from '#domain/outbox/delivery-kind.ts'
import type { ExchangeAnswer, HttpExchange } from '#domain/outbox/http-exchange.ts'
import type { PushAnswer } from '#domain/push/push-sender.ts'
import { bearerOf, readObject, reasonOf, troubled } from './answers.ts'

const fetchMsMax = 10_000
/** A token is not used in the last minute of its life: a call may take that long to arrive. */
const marginMs = 60_000
const lifeSeconds = { unsaid: 300, max: 86_400 } as const
const keptMax = 1_000

interface Kept {
  readonly token: string
  readonly untilMs: number
}

/**
 * OAuth access tokens of providers, by credentials. Kept in memory only, asked for once however many messages wait for it.
 */
export class AccessTokens {
  readonly #http: HttpExchange
  readonly #clock: Clock
  readonly #kept = new Map<string, Kept>()
  readonly #underWay = new Map<string, Promise<string | PushAnswer>>()

  constructor({ http, clock }: { http: HttpExchange; clock: Clock }) {
    this.#http = http
    this.#clock = clock
  }

  /**
   * @param request of the token, made when one is needed.
   * @returns the token, or what a message that needs it became instead.
   */
  async get(
    id: string,
    request: () => Omit<OutboundCall, 'headers'>,
    signal: AbortSignal,
  ): Promise<string | PushAnswer> {
    const kept = this.#kept.get(id)
    if (kept !== undefined && this.#clock() < kept.untilMs) return kept.token
    const fetching = this.#underWay.get(id) ?? this.#begin(id, request())
    return Promise.race([fetching, timeOver(signal)])
  }

  /** The provider did not take it: the next message gets another one. */
  forget(id: string): void {
    this.#kept.delete(id)
  }

  #begin(id: string, request: Omit<OutboundCall, 'headers'>): Promise<string | PushAnswer> {
    const fetching = this.#fetch(id, request).finally(() => this.#underWay.delete(id))
    this.#underWay.set(id, fetching)
    return fetching
  }

  async #fetch(id: string, request: Omit<OutboundCall, 'headers'>): Promise<string | PushAnswer> {
    const headers = { 'content-type': 'application/x-www-form-urlencoded', accept: json }
    const signal = AbortSignal.timeout(fetchMsMax)
    const answer = await this.#http.exchange({ ...request, headers }, signal)
    const nowMs = this.#clock()
    const { access_token: given, expires_in: seconds, error } = readObject(answer.body)
    const token = answer.statusCode === 200 ? bearerOf(given) : undefined
    if (token === undefined) return troubled(answer, nowMs, reasonOf(error))
    const lifeMs = 1000 * lifeOf(seconds)
    if (this.#kept.size >= keptMax) this.#kept.clear()
    this.#kept.set(id, { token, untilMs: nowMs + Math.max(0, lifeMs - marginMs) })
    return token
  }
}

const json = 'application/json'

function lifeOf(seconds: unknown): number {
  if (typeof seconds !== 'number' || !(seconds > 0)) return lifeSeconds.unsaid
  return Math.min(lifeSeconds.max, seconds)
}

/** Also at once, when it is over already. */
function timeOver(signal: AbortSignal): Promise<PushAnswer> {
  const over: ExchangeAnswer = {
    statusCode: null,
    error: 'TIMEOUT',
    headers: {},
    body: Buffer.of(),
  }
  return new Promise((resolve) => {
    const end = (): void => resolve(troubled(over, 0))
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  })
}
