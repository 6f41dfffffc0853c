import { platformTenantId } from '../callers/caller.ts'
import {
  type DeliveryKind,
  doublingSchedule,
  type OutboundCall,
  type Preparation,
  type Settlement,
} from '../outbox/delivery-kind.ts'
import type { OutboxMessage } from '../outbox/outbox-message.ts'
import type { Storage, Stores } from '../storage.ts'
import type { PlatformSecret } from '../tenants/platform-secret.ts'
import type { SettingsService } from '../tenants/settings-service.ts'
import { type AuditEvent, eventsOf } from './audit-upload.ts'
import type { CallableUrls } from './callable-urls.ts'
import { callbackKinds, type EventsEnvelope, type ForwardEnvelope } from './callback-messages.ts'
import { keyOf, signatureHeaders } from './callback-signature.ts'

/** Contract, webhooks: no answer in 10 seconds is a failed attempt. */
const callMsMax = 10_000
/** The first repeat comes within 10 seconds. */
const retry = doublingSchedule(5_000, 3_600_000)
const json = 'application/json'

interface Sender {
  readonly storage: Storage
  readonly settings: SettingsService
  readonly callableUrls: CallableUrls
  /** Signs what belongs to no tenant. */
  readonly platformCallbackKey: PlatformSecret
  /** The operator's own destination, to which no tenant's rule applies. */
  readonly auditDestinationUrl: string | undefined
}

/** What cabinets make the server tell: status callbacks, raw audit records, readable events. */
export function callbackDeliveryKinds(sender: Sender): readonly DeliveryKind[] {
  const shared = { isOrdered: true, retry, keepsDelivered: false } as const
  return [
    {
      ...shared,
      name: callbackKinds.status,
      prepare: (message, nowMs) => call(sender, message, nowMs, message.payload, json),
    },
    {
      ...shared,
      name: callbackKinds.audit,
      prepare: (message, nowMs) => prepareForward(sender, message, nowMs),
    },
    {
      ...shared,
      name: callbackKinds.events,
      prepare: (message, nowMs) => prepareEvents(sender, message, nowMs),
      settled: (stores, settlements) => settleEvents(stores, settlements),
    },
  ]
}

async function call(
  sender: Sender,
  { tenantId, target }: OutboxMessage,
  nowMs: number,
  body: Uint8Array,
  contentType: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<OutboundCall | 'refused'> {
  const isOperators = target === sender.auditDestinationUrl
  if (!isOperators && !(await sender.callableUrls.isCallable(tenantId, target))) return 'refused'
  const key =
    tenantId === platformTenantId
      ? await sender.platformCallbackKey.get()
      : keyOf(await sender.settings.callbackSecretOf(tenantId))
  return {
    url: target,
    headers: {
      'content-type': contentType,
      ...headers,
      ...signatureHeaders(key, nowMs, body),
    },
    body,
    timeoutMs: callMsMax,
  }
}

async function prepareForward(
  sender: Sender,
  message: OutboxMessage,
  nowMs: number,
): Promise<Preparation> {
  const { uploadId } = JSON.parse(message.envelope) as ForwardEnvelope
  const { tenantId } = message
  const upload = await sender.storage.read.cabinets.uploads.find(tenantId, uploadId)
  if (upload === undefined) return 'drop'
  const { serial, cabinetId, eventCount, contentType, body } = upload
  return call(sender, message, nowMs, body, contentType, {
    ...(serial === null ? {} : { 'x-okm-serial': serial }),
    ...(cabinetId === null ? {} : { 'x-okm-id': asHeader(cabinetId), 'x-okm-customer': tenantId }),
    ...(eventCount === null ? {} : { 'x-okm-event-count': String(eventCount) }),
  })
}

async function prepareEvents(
  sender: Sender,
  message: OutboxMessage,
  nowMs: number,
): Promise<Preparation> {
  const batch = JSON.parse(message.envelope) as EventsEnvelope
  const { subscriptions } = sender.storage.read.cabinets
  const subscription = await subscriptions.find(message.tenantId)
  const isWanted = subscription?.id === batch.subscriptionId && subscription.status === 'ACTIVE'
  // Paused, or gone: where the reading stands is kept with the subscription.
  if (!isWanted) return 'drop'
  const events = await readEvents(sender.storage, message.tenantId, batch)
  if (events.length === 0) return 'drop'
  return call(sender, message, nowMs, Buffer.from(JSON.stringify(events)), json)
}

async function readEvents(
  storage: Storage,
  tenantId: string,
  { afterSeq, endSeq }: EventsEnvelope,
): Promise<AuditEvent[]> {
  const events: AuditEvent[] = []
  for (let seq = afterSeq; seq < endSeq; ) {
    const upload = await storage.read.cabinets.uploads.findNext(tenantId, seq)
    if (upload === undefined || upload.firstSeq > endSeq) return events
    const { firstSeq, lastSeq } = upload
    const from = Math.max(0, seq - firstSeq + 1)
    events.push(...eventsOf(upload).slice(from, endSeq - firstSeq + 1))
    seq = lastSeq
  }
  return events
}

/** Only what was taken is over; whatever was given up is read again. */
async function settleEvents(stores: Stores, settlements: readonly Settlement[]): Promise<void> {
  const { subscriptions } = stores.cabinets
  for (const { message, outcome } of settlements) {
    const { subscriptionId, endSeq } = JSON.parse(message.envelope) as EventsEnvelope
    if (outcome === 'delivered')
      await subscriptions.finish(message.tenantId, subscriptionId, endSeq)
    else if (outcome !== 'retried') {
      await subscriptions.giveUp(message.tenantId, subscriptionId, endSeq)
    }
  }
}

/** Ids that a header cannot hold are percent-encoded. */
function asHeader(id: string): string {
  return /^[\x21-\x7e]+$/.test(id) ? id : encodeURIComponent(id)
}
