import type { Clock } from '#domain/clock.ts'
import type { ExchangeAnswer } from '#domain/outbox/http-exchange.ts'
import type { PushNote } from '#domain/push/push-note.ts'
import type { ApnsAccess, PushAnswer, PushSender } from '#domain/push/push-sender.ts'
import { readObject, reasonOf, settled, troubled, unusableToken } from './answers.ts'
import { apnsHeaders, apnsPayload } from './apns-message.ts'
import type { PushEndpoints } from './endpoints.ts'
import type { Http2Connections } from './http2-connections.ts'

/** Apple takes a provider token for an hour, and a new one every 20 minutes at most. */
const tokenMsMax = 50 * 60_000
const tokenMsMin = 20 * 60_000
const tokensMax = 1_000
/** Tokens are hexadecimal; Apple names no length. */
const deviceToken = /^([0-9a-fA-F]{2}){1,256}$/
/** Reasons that speak of the device's token alone. */
const goneReasons: readonly unknown[] = ['BadDeviceToken', 'Unregistered', 'ExpiredToken']
/** Reasons that speak of our credentials, or of the provider. */
const troubleReasons: readonly unknown[] = ['TooManyProviderTokenUpdates', 'IdleTimeout']

interface KeptToken {
  readonly token: string
  readonly atMs: number
}

/** Apple Push Notification service, the provider API over HTTP/2. */
export class ApnsSender implements PushSender<ApnsAccess> {
  readonly #connections: Http2Connections
  readonly #endpoints: PushEndpoints
  readonly #clock: Clock
  readonly #tokens = new Map<string, KeptToken>()

  constructor(dependencies: {
    connections: Http2Connections
    endpoints: PushEndpoints
    clock: Clock
  }) {
    this.#connections = dependencies.connections
    this.#endpoints = dependencies.endpoints
    this.#clock = dependencies.clock
  }

  async send(
    access: ApnsAccess,
    token: string,
    note: PushNote,
    signal: AbortSignal,
  ): Promise<PushAnswer> {
    if (!deviceToken.test(token)) return unusableToken('BadDeviceToken')
    const origin = this.#endpoints[access.isDevelopment ? 'apns-development' : 'apns']
    const bearer = this.#providerToken(access)
    const headers = {
      'apns-topic': access.bundleId,
      'content-type': 'application/json',
      ...apnsHeaders(note),
      ...(bearer === undefined ? {} : { authorization: `bearer ${bearer}` }),
    }
    const target = { origin, credentials: access.id, identity: access.identity }
    const body = Buffer.from(JSON.stringify(apnsPayload(note)))
    const call = { path: `/3/device/${token}`, headers, body }
    const answer = await this.#connections.post(target, call, signal)
    const read = readApnsAnswer(answer, this.#clock())
    if (read.reason === 'ExpiredProviderToken') this.#forgetStale(access.id)
    return read
  }

  #providerToken({ id, providerToken }: ApnsAccess): string | undefined {
    if (providerToken === undefined) return undefined
    const nowMs = this.#clock()
    const kept = this.#tokens.get(id)
    if (kept !== undefined && nowMs - kept.atMs < tokenMsMax) return kept.token
    const token = providerToken(nowMs)
    if (this.#tokens.size >= tokensMax) this.#tokens.clear()
    this.#tokens.set(id, { token, atMs: nowMs })
    return token
  }

  /** A younger one is not made anew: Apple would refuse that as well. */
  #forgetStale(id: string): void {
    const kept = this.#tokens.get(id)
    if (kept !== undefined && this.#clock() - kept.atMs >= tokenMsMin) this.#tokens.delete(id)
  }
}

/** https://developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns */
function readApnsAnswer(answer: ExchangeAnswer, nowMs: number): PushAnswer {
  const { statusCode } = answer
  if (statusCode === 200) return settled('taken', answer)
  const { reason } = readObject(answer.body)
  const word = reasonOf(reason)
  if (troubleReasons.includes(reason)) return troubled(answer, nowMs, word)
  if (statusCode === 410 || (statusCode === 400 && goneReasons.includes(reason))) {
    return settled('gone', answer, word)
  }
  if (statusCode === 400 || statusCode === 413) return settled('refused', answer, word)
  // TooManyRequests is said of one device.
  if (statusCode === 429) {
    return { ...troubled(answer, nowMs, word), isProviderWell: reason === 'TooManyRequests' }
  }
  return troubled(answer, nowMs, word)
}
