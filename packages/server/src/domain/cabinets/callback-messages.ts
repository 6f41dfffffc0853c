import type { NewMessage } from '../outbox/outbox-message.ts'
import type { ContactNote } from './contact-store.ts'
import type { PolledCabinet } from './poll-store.ts'

/** Contract, webhooks: what is not taken within a day is given up. */
export const callbackLifetimeMs = 86_400_000

/** Of one cabinet for one URL, beside the one that is being tried: a receiver that is away is told of the last calls. */
export const statusesWaitingMax = 20

export const callbackKinds = {
  status: 'okm-status',
  audit: 'okm-audit',
  events: 'okm-events',
} as const

const nothing = new Uint8Array()

/** Tells one URL that a cabinet called. Calls about one cabinet go out in their order. */
export function statusMessage(
  url: string,
  { key, serial, firmwareVersion }: PolledCabinet,
  contact: ContactNote,
): NewMessage {
  const payload = {
    id: key.id,
    serial,
    customer: key.tenantId,
    last_sync_time: new Date(contact.lastSyncAtMs).toISOString(),
    last_ip: contact.lastAddress ?? '',
    fw_version: contact.firmwareVersion ?? firmwareVersion,
  }
  return {
    kind: callbackKinds.status,
    target: url,
    orderKey: key.id,
    topic: 'okmStatus',
    payload: Buffer.from(JSON.stringify(payload)),
    lifetimeMs: callbackLifetimeMs,
  }
}

/** Forwards an upload to one URL: it is read again when it is sent, so that several URLs do not keep several copies. */
export function forwardMessage(url: string, uploadId: string, orderKey: string): NewMessage {
  return {
    kind: callbackKinds.audit,
    target: url,
    orderKey,
    topic: 'auditForward',
    envelope: JSON.stringify({ uploadId } satisfies ForwardEnvelope),
    payload: nothing,
    lifetimeMs: callbackLifetimeMs,
  }
}

export interface ForwardEnvelope {
  readonly uploadId: string
}

/** Sends the events behind `afterSeq` up to `endSeq` to a subscription's URL. */
export function eventsMessage(url: string, batch: EventsEnvelope): NewMessage {
  return {
    kind: callbackKinds.events,
    target: url,
    topic: 'auditEvents',
    envelope: JSON.stringify(batch),
    payload: nothing,
    lifetimeMs: callbackLifetimeMs,
  }
}

export interface EventsEnvelope {
  readonly subscriptionId: number
  readonly afterSeq: number
  readonly endSeq: number
}
