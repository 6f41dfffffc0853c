/** Tables of the way out. */
export interface DeliveryTables {
  outbox: OutboxTable
  webhook_endpoint: WebhookEndpointTable
  webhook_subscription: WebhookSubscriptionTable
}

/** What is to be sent, written with its effect; the delivery log as well, for kinds that keep one. Never a secret. */
export interface OutboxTable {
  tenant_id: string
  /** Who gets it, in the words of its kind: the id of a webhook endpoint, a URL. */
  target: string
  /** ULID, the same on every attempt. Copies of one event for several targets share it. */
  id: string
  /** webhook, okm-status, okm-audit, and so on. */
  kind: string
  /** Tenant, kind and target as one text: what waits for one receiver. */
  queue: string
  /** In ordered kinds rows of one queue with the same key go out one after the other. */
  order_key: string
  /** What it is about, such as the event type. */
  topic: string
  /** WAITING, DELIVERED, FAILED. */
  status: string
  /** Order behind the order key: the moment of creation in ordered kinds, `due_at` in others. */
  position: number
  /** Not before; while a worker has claimed the row, when that claim ends. */
  due_at: number
  /** Not after. */
  deadline_at: number
  /** How often it was claimed: a worker that comes too late changes nothing. */
  claim: number
  /** Failed attempts of the present series. */
  tries: number
  /** JSON: the last attempts. */
  attempts: string
  /** JSON: what the kind needs beside the payload. */
  envelope: string
  payload: Uint8Array
  created_at: number
  settled_at: number | null
}

export interface WebhookEndpointTable {
  tenant_id: string
  id: string
  url: string
  description: string
  /** JSON list; null: all that there are or will be. */
  event_types: string | null
  enabled: number
  /** ADMINISTRATOR, GONE, FAILING; null while enabled. */
  disabled_reason: string | null
  /** Since when no delivery succeeded; null after a success. */
  failing_since: number | null
  sealed_secret: Uint8Array
  /** The secret before, sealed to this column. */
  sealed_previous: Uint8Array | null
  previous_valid_until: number | null
  created_at: number
  updated_at: number
  secret_rotated_at: number
}

/** What enabled endpoints want to hear: one row an event type, or one with `*` for all. */
export interface WebhookSubscriptionTable {
  tenant_id: string
  event_type: string
  endpoint_id: string
  /** The endpoint's queue in the outbox. */
  queue: string
}
