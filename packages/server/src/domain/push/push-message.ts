import type { PushService } from '../apps/app.ts'
import type { OutboxMessage } from '../outbox/outbox-message.ts'

/** What waits in the outbox: names alone. What is said, and where to, is found when it is sent. */
export interface PushErrand {
  readonly approvalId: string
  readonly deviceId: string
}

/** A kind of its own for each service, so that operators see them apart. */
export const pushKindNames: Readonly<Record<PushService, string>> = {
  apns: 'push-apns',
  fcm: 'push-fcm',
  hpk: 'push-hms',
  webpush: 'push-web',
}

/** Something waits for a device: the topic. */
export const pushTopic = 'approval'

/**
 * Who shares bounds and misfortune: an app at a service; of browsers those whose subscriptions lead to the same place,
 * because devices choose it.
 */
export function pushTarget(service: PushService, appName: string, origin?: string): string {
  return origin === undefined ? `${service}:${appName}` : `${service}:${appName} ${origin}`
}

export function errandBytes(errand: PushErrand): Uint8Array {
  return Buffer.from(JSON.stringify(errand))
}

/** The bytes are our own. */
export function readErrand({ payload }: Pick<OutboxMessage, 'payload'>): PushErrand {
  return JSON.parse(Buffer.from(payload).toString()) as PushErrand
}
