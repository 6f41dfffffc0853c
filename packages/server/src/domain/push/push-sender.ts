import type { SecureContext } from 'node:tls'
import type { Attempt } from '../outbox/outbox-message.ts'
import type { PushNote } from './push-note.ts'

/** What a provider made of a message. */
export interface PushAnswer extends Pick<Attempt, 'statusCode' | 'error' | 'reason'> {
  /** `gone`: the token leads nowhere any more. `refused`: this message will never be taken, the token may be good. */
  readonly verdict: 'taken' | 'again' | 'refused' | 'gone'
  /** Whether the provider works, and our credentials there. */
  readonly isProviderWell: boolean
  readonly retryAfterMs?: number
}

/** Brings one message to one device by one provider. */
export interface PushSender<Access> {
  /**
   * Never throws; a signal ends it as TIMEOUT.
   *
   * @param token as the provider issued it, without our prefix.
   */
  send(access: Access, token: string, note: PushNote, signal: AbortSignal): Promise<PushAnswer>
}

/** One set of credentials. `id` changes with them, so that nothing is kept for others. */
interface Credentials {
  readonly id: string
}

/** A service account of Google's. */
export interface FcmAccess extends Credentials {
  readonly projectId: string
  /** A JWT that Google gives an access token for. */
  assertion(nowMs: number): string
}

/** A signing key of a team, or a certificate of an app. */
export interface ApnsAccess extends Credentials {
  readonly bundleId: string
  readonly isDevelopment: boolean
  /** A JWT for `authorization`; absent with a certificate. */
  readonly providerToken?: (nowMs: number) => string
  /** Absent with a signing key. */
  readonly identity?: SecureContext
}

export interface HmsAccess extends Credentials {
  readonly appId: string
  clientSecret(): string
}

/** What a browser's subscription needs, made for this message. */
export interface WebPushAccess {
  readonly endpoint: string
  /** Whole header, `vapid t=…, k=…`. */
  readonly authorization: string
  /** Of the JSON that the service worker gets. */
  encrypt(plain: Uint8Array): Uint8Array
}

/** One for each provider; `push/` implements them. */
export interface PushSenders {
  readonly fcm: PushSender<FcmAccess>
  readonly apns: PushSender<ApnsAccess>
  readonly hms: PushSender<HmsAccess>
  readonly web: PushSender<WebPushAccess>
}
