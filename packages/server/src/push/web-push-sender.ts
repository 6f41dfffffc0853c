import type { Clock } from '#domain/clock.ts'
import type { ExchangeAnswer, HttpExchange } from '#domain/outbox/http-exchange.ts'
import { type PushNote, type PushText, secondsLeft } from '#domain/push/push-note.ts'
import type { PushAnswer, PushSender, WebPushAccess } from '#domain/push/push-sender.ts'
import { settled, troubled } from './answers.ts'

/** What push services commonly keep: four weeks. */
const secondsMax = 28 * 86_400

/** Web Push (RFC 8030) with VAPID (RFC 8292) and encrypted content (RFC 8291). */
export class WebPushSender implements PushSender<WebPushAccess> {
  readonly #http: HttpExchange
  readonly #clock: Clock

  constructor({ http, clock }: { http: HttpExchange; clock: Clock }) {
    this.#http = http
    this.#clock = clock
  }

  async send(
    access: WebPushAccess,
    _token: string,
    note: PushNote,
    signal: AbortSignal,
  ): Promise<PushAnswer> {
    const plain = Buffer.from(JSON.stringify(contentOf(note)))
    const answer = await this.#http.exchange(
      {
        url: access.endpoint,
        headers: {
          authorization: access.authorization,
          'content-type': 'application/octet-stream',
          'content-encoding': 'aes128gcm',
          ttl: String(secondsLeft(note, this.#clock(), secondsMax)),
          urgency: 'high',
          // Replaces one of the same topic that still waits (RFC 8030, section 5.4): at most 32 of this alphabet.
          topic: note.messageId,
        },
        body: access.encrypt(plain),
      },
      signal,
    )
    return readAnswer(answer, this.#clock())
  }
}

function contentOf({ tenantId, userId, messageId, title, body }: PushNote): object {
  return {
    to: { userId, tenantId },
    messageId,
    ...(title === undefined ? {} : { title: textOf(title) }),
    ...(body === undefined ? {} : { body: textOf(body) }),
  }
}

/** The service worker is the app: it knows its keys. */
function textOf(text: PushText): string {
  return 'text' in text ? text.text : text.key
}

function readAnswer(answer: ExchangeAnswer, nowMs: number): PushAnswer {
  const { statusCode, error } = answer
  if (statusCode === null) {
    // Where a subscription may not lead, it will never be called.
    return error === 'ADDRESS_REFUSED'
      ? { verdict: 'refused', isProviderWell: false, statusCode, error }
      : troubled(answer, nowMs)
  }
  if (statusCode < 300) return settled('taken', answer)
  // RFC 8030, section 7.3: the subscription is over.
  if (statusCode === 404 || statusCode === 410) return settled('gone', answer)
  if (statusCode === 429 || statusCode >= 500) return troubled(answer, nowMs)
  // Said of this subscription: a push service has those of many.
  return settled('refused', answer)
}
