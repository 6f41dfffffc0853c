import { decodeBase64url } from '@countersign/protocol/encoding/base64.ts'
import { parseJson } from '@countersign/protocol/encoding/json.ts'
import { authLength, isPublicPoint, type SubscriptionKeys } from '#custody/web-push-encryption.ts'
import type { PushService } from '../apps/app.ts'
import { DomainError } from '../errors.ts'

/** Prefixes of tokens; FCMF is FCM for an app that Flutter built. */
export type PushProvider = 'APN' | 'FCM' | 'FCMF' | 'HPK' | 'WEB'

/** A device's address at one of the services. */
export interface PushAddress {
  readonly service: PushService
  /** As the provider issued it. */
  readonly token: string
}

/** What a browser's `PushSubscription` says. */
export interface WebPushSubscription {
  readonly endpoint: string
  readonly keys: SubscriptionKeys
}

const services: Readonly<Record<PushProvider, PushService>> = {
  APN: 'apns',
  FCM: 'fcm',
  FCMF: 'fcm',
  HPK: 'hpk',
  WEB: 'webpush',
}

const endpointLengthMax = 2_048

/** @param pushToken prefix, colon, token; of the form that the contract asks for. */
export function pushProviderOf(pushToken: string): PushProvider {
  return pushToken.slice(0, pushToken.indexOf(':')) as PushProvider
}

export function addressOf(pushToken: string): PushAddress {
  const provider = pushProviderOf(pushToken)
  return { service: services[provider], token: pushToken.slice(provider.length + 1) }
}

/**
 * The subscription in a `WEB:` token: base64url of the JSON that `PushSubscription.toJSON()` gives.
 *
 * @returns undefined for anything that cannot be sent to.
 */
export function readSubscription(token: string): WebPushSubscription | undefined {
  const bytes = decodeBase64url(token)
  if (bytes === undefined) return undefined
  try {
    const { endpoint, keys } = parseJson(bytes) as Record<string, unknown>
    const { p256dh, auth } = keys as Record<string, unknown>
    if (typeof endpoint !== 'string' || !isEndpoint(endpoint)) return undefined
    const point = bytesOf(p256dh)
    const secret = bytesOf(auth)
    if (point === undefined || !isPublicPoint(point) || secret?.length !== authLength) {
      return undefined
    }
    return { endpoint, keys: { p256dh: point, auth: secret } }
  } catch {
    return undefined
  }
}

/** @throws DomainError `invalid_request` for a subscription that cannot be sent to. */
export function requireUsable(pushToken: string): void {
  const { service, token } = addressOf(pushToken)
  if (service !== 'webpush' || readSubscription(token) !== undefined) return
  const message = 'must be WEB: and the JSON of a push subscription in base64url'
  throw new DomainError('invalid_request', 'The push token cannot be used.', {
    faults: [{ pointer: '/pushToken', code: 'bad_format', message }],
  })
}

/** Where it may lead is looked at whenever it is called. */
function isEndpoint(text: string): boolean {
  if (text.length > endpointLengthMax || !URL.canParse(text)) return false
  const { protocol, username, password } = new URL(text)
  return (protocol === 'https:' || protocol === 'http:') && username === '' && password === ''
}

function bytesOf(value: unknown): Uint8Array | undefined {
  return typeof value === 'string' ? decodeBase64url(value) : undefined
}
