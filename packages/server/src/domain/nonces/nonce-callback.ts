import type { NewMessage } from '../outbox/outbox-message.ts'
import { type Nonce, portalOf } from './nonce.ts'

/** Name of the kind under which the outbox has callbacks. */
export const nonceCallbackKindName = 'nonce-callback'

/**
 * For so long a callback is tried at least: a nonce that is redeemed in its last moment would otherwise be spent without
 * the portal ever hearing of it.
 */
const triedMsMin = 30_000

/** What the outbox keeps beside the body. */
export interface CallbackEnvelope {
  readonly url: string
  /** Nothing is sent from then on, also when an operator asks for it again: nobody waits at the portal any more. */
  readonly endsAtMs: number
}

/** A nonce as it was redeemed, in the words of the portal. */
export interface Redemption {
  /** What the portal showed, in its canonical spelling. */
  readonly shown: string
  readonly nonce: Nonce
  readonly deviceId: string
  readonly userName: string
  readonly approvalId: string | undefined
  readonly nowMs: number
}

/** Tells the portal: `NonceCallback` of the AST contract. */
export function callbackMessage(redemption: Redemption): NewMessage {
  const { shown, nonce, deviceId, userName, approvalId, nowMs } = redemption
  const { createdAtMs, expiresAtMs, portalSessionId, callbackUrl, action } = nonce
  const who = { astClientId: deviceId, userId: userName }
  const body = {
    timestamp: createdAtMs,
    nonce: shown,
    portalSessionId,
    loginEvent: who,
    ...(approvalId === undefined ? {} : { tmsEvent: { tmsId: approvalId, ...who } }),
  }
  const endsAtMs = Math.max(expiresAtMs, nowMs + triedMsMin)
  return {
    kind: nonceCallbackKindName,
    // One receiver, however many addresses it has.
    target: portalOf(nonce),
    topic: action,
    envelope: JSON.stringify({ url: callbackUrl, endsAtMs } satisfies CallbackEnvelope),
    payload: Buffer.from(JSON.stringify(body)),
    lifetimeMs: endsAtMs - nowMs,
  }
}
