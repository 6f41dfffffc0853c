import type { Clock } from '#domain/clock.ts'
import type { ExchangeAnswer, HttpExchange } from '#domain/outbox/http-exchange.ts'
import { type PushNote, secondsLeft } from '#domain/push/push-note.ts'
import type { FcmAccess, PushAnswer, PushSender } from '#domain/push/push-sender.ts'
import { AccessTokens } from './access-tokens.ts'
import { objectOf, readObject, reasonOf, settled, troubled } from './answers.ts'
import { apnsHeaders, apsOf } from './apns-message.ts'
import type { PushEndpoints } from './endpoints.ts'

/** FCM's most: four weeks. */
const secondsMax = 28 * 86_400
const grantType = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

/** Firebase Cloud Messaging, HTTP v1. */
export class FcmSender implements PushSender<FcmAccess> {
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
    access: FcmAccess,
    token: string,
    note: PushNote,
    signal: AbortSignal,
  ): Promise<PushAnswer> {
    const bearer = await this.#tokens.get(access.id, () => this.#tokenRequest(access), signal)
    if (typeof bearer !== 'string') return bearer
    const project = encodeURIComponent(access.projectId)
    const message = fcmMessage(token, note, this.#clock())
    const answer = await this.#http.exchange(
      {
        url: `${this.#endpoints.fcm}/v1/projects/${project}/messages:send`,
        headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
        body: Buffer.from(JSON.stringify({ message })),
      },
      signal,
    )
    if (answer.statusCode === 401) this.#tokens.forget(access.id)
    return readFcmAnswer(answer, this.#clock())
  }

  #tokenRequest(access: FcmAccess) {
    const form = { grant_type: grantType, assertion: access.assertion(this.#clock()) }
    return {
      url: this.#endpoints['fcm-token'],
      body: Buffer.from(new URLSearchParams(form).toString()),
    }
  }
}

/** A `Message` of the v1 API. Apps that Flutter built run on iOS too, so what Apple's devices need stands beside. */
function fcmMessage(token: string, note: PushNote, nowMs: number): object {
  const { tenantId, userId, messageId, title, body } = note
  const literals = { ...literal('title', title), ...literal('body', body) }
  const keys = { ...keyed('title_loc_key', title), ...keyed('body_loc_key', body) }
  const isShown = title !== undefined || body !== undefined
  const usesKeys = Object.keys(keys).length > 0
  return {
    token,
    data: { 'to.userId': userId, 'to.tenantId': tenantId, messageId },
    ...(Object.keys(literals).length === 0 ? {} : { notification: literals }),
    android: {
      priority: 'HIGH',
      ttl: `${secondsLeft(note, nowMs, secondsMax)}s`,
      // The same tag twice is one entry on the screen, should a message come twice.
      ...(isShown ? { notification: { tag: messageId, ...keys } } : {}),
    },
    apns: {
      headers: apnsHeaders(note),
      ...(isShown && !usesKeys ? {} : { payload: { aps: apsOf(note) } }),
    },
  }
}

function literal(name: string, text: PushNote['title']): Readonly<Record<string, string>> {
  return text !== undefined && 'text' in text ? { [name]: text.text } : {}
}

function keyed(name: string, text: PushNote['title']): Readonly<Record<string, string>> {
  return text !== undefined && 'key' in text ? { [name]: text.key } : {}
}

/** https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode */
function readFcmAnswer(answer: ExchangeAnswer, nowMs: number): PushAnswer {
  const { statusCode } = answer
  if (statusCode === 200) return settled('taken', answer)
  const error = objectOf(readObject(answer.body).error)
  const details = Array.isArray(error.details) ? error.details.slice(0, 20).map(objectOf) : []
  const code = details.map(({ errorCode }) => errorCode).find((one) => typeof one === 'string')
  const reason = reasonOf(code ?? error.status)
  switch (statusCode) {
    case 404:
      return code === 'UNREGISTERED'
        ? settled('gone', answer, reason)
        : troubled(answer, nowMs, reason)
    case 400:
      return settled(details.some(namesToken) ? 'gone' : 'refused', answer, reason)
    case 403:
      return code === 'SENDER_ID_MISMATCH'
        ? settled('refused', answer, reason)
        : troubled(answer, nowMs, reason)
    case 429:
      return { retryAfterMs: 60_000, ...troubled(answer, nowMs, reason) }
    default:
      return troubled(answer, nowMs, reason)
  }
}

/** A token that FCM cannot even read. */
function namesToken({ fieldViolations }: Readonly<Record<string, unknown>>): boolean {
  if (!Array.isArray(fieldViolations)) return false
  return fieldViolations.some((violation) => objectOf(violation).field === 'message.token')
}
