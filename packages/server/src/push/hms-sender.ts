import type { Clock } from '#domain/clock.ts'
import type { ExchangeAnswer, HttpExchange } from '#domain/outbox/http-exchange.ts'
import { type PushNote, type PushText, secondsLeft } from '#domain/push/push-note.ts'
import type { HmsAccess, PushAnswer, PushSender } from '#domain/push/push-sender.ts'
import { AccessTokens } from './access-tokens.ts'
import { readObject, reasonOf, settled, troubled } from './answers.ts'
import type { PushEndpoints } from './endpoints.ts'

/** Push Kit's most: 15 days. */
const secondsMax = 15 * 86_400
/** Opens the app. */
const opensApp = 3

const codes = {
  success: '80000000',
  /** Also of a token that belongs to another app. */
  tokensInvalid: '80300007',
  /** Of the access token: wrong, or over. */
  accessToken: ['80200001', '80200003'],
  /** Of what was sent: its members, their number, its size. */
  message: /^80(1000(01|03)|3000(08|10))$/,
} as const

/** Push Kit of HUAWEI Mobile Services, v1. */
export class HmsSender implements PushSender<HmsAccess> {
  readonly #http: HttpExchange
  readonly #endpoints: PushEndpoints
  readonly #clock: Clock
  readonly #tokens: AccessTokens

  constructor(dependencies: { http: HttpExchange; endpoints: PushEndpoints; clock: Clock }) {
    this.#http = dependencies.http
    this.#endpoints = dependencies.endpoints
    this.#clock = dependencies.clock
    this.#tokens = new AccessTokens(dependencies)
  }

  async send(
    access: HmsAccess,
    token: string,
    note: PushNote,
    signal: AbortSignal,
  ): Promise<PushAnswer> {
    const bearer = await this.#tokens.get(access.id, () => this.#tokenRequest(access), signal)
    if (typeof bearer !== 'string') return bearer
    const message = hmsMessage(token, note, this.#clock())
    const answer = await this.#http.exchange(
      {
        url: `${this.#endpoints.hms}/v1/${encodeURIComponent(access.appId)}/messages:send`,
        headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
        body: Buffer.from(JSON.stringify({ validate_only: false, message })),
      },
      signal,
    )
    const { code } = readObject(answer.body)
    const isAboutAccess = codes.accessToken.some((one) => one === code)
    if (isAboutAccess || answer.statusCode === 401) this.#tokens.forget(access.id)
    return readHmsAnswer(answer, code, this.#clock())
  }

  #tokenRequest(access: HmsAccess) {
    const form = {
      grant_type: 'client_credentials',
      client_id: access.appId,
      client_secret: access.clientSecret(),
    }
    return {
      url: this.#endpoints['hms-token'],
      body: Buffer.from(new URLSearchParams(form).toString()),
    }
  }
}

function hmsMessage(token: string, note: PushNote, nowMs: number): object {
  const { tenantId, userId, messageId, title, body } = note
  const isShown = title !== undefined || body !== undefined
  return {
    data: JSON.stringify({ to: { userId, tenantId }, messageId }),
    android: {
      urgency: 'HIGH',
      ttl: `${secondsLeft(note, nowMs, secondsMax)}s`,
      ...(isShown
        ? {
            notification: {
              ...partOf(title, 'title', 'title_loc_key'),
              ...partOf(body, 'body', 'body_loc_key'),
              tag: messageId,
              click_action: { type: opensApp },
            },
          }
        : {}),
    },
    token: [token],
  }
}

function partOf(part: PushText | undefined, name: string, keyName: string): object {
  if (part === undefined) return {}
  return 'text' in part ? { [name]: part.text } : { [keyName]: part.key }
}

/** Push Kit says what became of a message by `code`, mostly under HTTP 200. */
function readHmsAnswer(answer: ExchangeAnswer, code: unknown, nowMs: number): PushAnswer {
  const reason = reasonOf(code)
  if (answer.statusCode === 200 && code === codes.success) return settled('taken', answer)
  if (code === codes.tokensInvalid) return settled('gone', answer, reason)
  if (typeof code === 'string' && codes.message.test(code)) {
    return settled('refused', answer, reason)
  }
  return troubled(answer, nowMs, reason)
}
