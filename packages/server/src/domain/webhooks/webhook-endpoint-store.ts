import type { Queries } from '#storage/queries.ts'
import { statement } from '#storage/statement.ts'
import { queueOf } from '../outbox/outbox-message.ts'
import { anyEvent } from './event-store.ts'
import type { EventType } from './event-type.ts'
import {
  type DisabledReason,
  failingMsMax,
  type SealedSecrets,
  type WebhookEndpoint,
  webhookKindName,
} from './webhook-endpoint.ts'

const columns = [
  'tenant_id',
  'id',
  'url',
  'description',
  'event_types',
  'enabled',
  'disabled_reason',
  'created_at',
  'updated_at',
  'secret_rotated_at',
] as const

const secretColumns = ['sealed_secret', 'sealed_previous', 'previous_valid_until'] as const

interface Key {
  readonly tenantId: string
  readonly id: string
}

const insert = statement(
  (
    db,
    p: Key & {
      url: string
      description: string
      eventTypes: string | null
      enabled: number
      disabledReason: string | null
      sealedSecret: Uint8Array
      nowMs: number
    },
  ) =>
    db.insertInto('webhook_endpoint').values({
      tenant_id: p.tenantId,
      id: p.id,
      url: p.url,
      description: p.description,
      event_types: p.eventTypes,
      enabled: p.enabled,
      disabled_reason: p.disabledReason,
      failing_since: null,
      sealed_secret: p.sealedSecret,
      sealed_previous: null,
      previous_valid_until: null,
      created_at: p.nowMs,
      updated_at: p.nowMs,
      secret_rotated_at: p.nowMs,
    }),
)

const find = statement((db, p: Key) =>
  db
    .selectFrom('webhook_endpoint')
    .select([...columns, ...secretColumns])
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id),
)

const list = statement((db, p: { tenantId: string; afterId: string; limit: number }) =>
  db
    .selectFrom('webhook_endpoint')
    .select(columns)
    .where('tenant_id', '=', p.tenantId)
    .where('id', '>', p.afterId)
    .orderBy('id')
    .limit(p.limit),
)

const hold = statement((db, p: Key & { nowMs: number }) =>
  db
    .updateTable('webhook_endpoint')
    .set({ updated_at: p.nowMs })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id),
)

const replace = statement(
  (
    db,
    p: Key & {
      url: string
      description: string
      eventTypes: string | null
      enabled: number
      disabledReason: string | null
    },
  ) =>
    db
      .updateTable('webhook_endpoint')
      .set({
        url: p.url,
        description: p.description,
        event_types: p.eventTypes,
        enabled: p.enabled,
        disabled_reason: p.disabledReason,
        failing_since: null,
      })
      .where('tenant_id', '=', p.tenantId)
      .where('id', '=', p.id),
)

const replaceSecret = statement(
  (
    db,
    p: Key & {
      seen: Uint8Array
      sealedSecret: Uint8Array
      sealedPrevious: Uint8Array | null
      previousValidUntilMs: number | null
      nowMs: number
    },
  ) =>
    db
      .updateTable('webhook_endpoint')
      .set({
        sealed_secret: p.sealedSecret,
        sealed_previous: p.sealedPrevious,
        previous_valid_until: p.previousValidUntilMs,
        secret_rotated_at: p.nowMs,
        updated_at: p.nowMs,
      })
      .where('tenant_id', '=', p.tenantId)
      .where('id', '=', p.id)
      .where('sealed_secret', '=', p.seen),
)

const remove = statement((db, p: Key) =>
  db.deleteFrom('webhook_endpoint').where('tenant_id', '=', p.tenantId).where('id', '=', p.id),
)

const subscribe = statement((db, p: Key & { type: string; queue: string }) =>
  db.insertInto('webhook_subscription').values({
    tenant_id: p.tenantId,
    event_type: p.type,
    endpoint_id: p.id,
    queue: p.queue,
  }),
)

const unsubscribe = statement((db, p: Key & { type: string }) =>
  db
    .deleteFrom('webhook_subscription')
    .where('tenant_id', '=', p.tenantId)
    .where('event_type', '=', p.type)
    .where('endpoint_id', '=', p.id),
)

const succeeded = statement((db, p: Key) =>
  db
    .updateTable('webhook_endpoint')
    .set({ failing_since: null })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id)
    .where('failing_since', 'is not', null),
)

const failed = statement((db, p: Key & { nowMs: number }) =>
  db
    .updateTable('webhook_endpoint')
    .set({ failing_since: p.nowMs })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id)
    .where('failing_since', 'is', null),
)

const disableGone = statement((db, p: Key & { nowMs: number }) =>
  db
    .updateTable('webhook_endpoint')
    .set({ enabled: 0, disabled_reason: 'GONE', updated_at: p.nowMs })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id)
    .where('enabled', '=', 1),
)

const disableFailing = statement((db, p: Key & { nowMs: number; sinceMs: number }) =>
  db
    .updateTable('webhook_endpoint')
    .set({ enabled: 0, disabled_reason: 'FAILING', updated_at: p.nowMs })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id)
    .where('enabled', '=', 1)
    .where('failing_since', '<=', p.sinceMs),
)

/** Endpoints, their secrets, and what they want to hear. */
export class WebhookEndpointStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  async insert(endpoint: WebhookEndpoint, sealedSecret: Uint8Array): Promise<void> {
    const { createdAtMs: nowMs } = endpoint
    await this.#queries.run(insert, { ...toRow(endpoint), sealedSecret, nowMs })
    await this.#subscribe(endpoint)
  }

  async find(tenantId: string, id: string): Promise<(WebhookEndpoint & SealedSecrets) | undefined> {
    const row = await this.#queries.first(find, { tenantId, id })
    if (row === undefined) return undefined
    return {
      ...toEndpoint(row),
      sealedSecret: row.sealed_secret,
      sealedPrevious: row.sealed_previous,
      previousValidUntilMs: row.previous_valid_until,
    }
  }

  /** In order of creation, behind `afterId`. */
  async list(tenantId: string, afterId: string, limit: number): Promise<WebhookEndpoint[]> {
    return (await this.#queries.all(list, { tenantId, afterId, limit })).map(toEndpoint)
  }

  /** Keeps an endpoint from being changed elsewhere until the transaction ends. False when there is none. */
  async hold(tenantId: string, id: string, nowMs: number): Promise<boolean> {
    return (await this.#queries.run(hold, { tenantId, id, nowMs })) === 1
  }

  /** Changes a held endpoint; what failed before is forgotten. */
  async replace(before: WebhookEndpoint, after: WebhookEndpoint): Promise<void> {
    await this.#queries.run(replace, toRow(after))
    await this.#unsubscribe(before)
    await this.#subscribe(after)
  }

  /** False when somebody else replaced the secret that was seen. */
  async replaceSecret(
    { tenantId, id }: WebhookEndpoint,
    secrets: SealedSecrets & { readonly seen: Uint8Array; readonly nowMs: number },
  ): Promise<boolean> {
    return (await this.#queries.run(replaceSecret, { tenantId, id, ...secrets })) === 1
  }

  async remove(endpoint: WebhookEndpoint): Promise<boolean> {
    await this.#unsubscribe(endpoint)
    return (await this.#queries.run(remove, endpoint)) === 1
  }

  /** A delivery succeeded: nothing is counted any more. */
  async noteSuccess(tenantId: string, id: string): Promise<void> {
    await this.#queries.run(succeeded, { tenantId, id })
  }

  /** A delivery failed. True when it disabled the endpoint, because nothing has succeeded for five days. */
  async noteFailure(tenantId: string, id: string, nowMs: number): Promise<boolean> {
    await this.#queries.run(failed, { tenantId, id, nowMs })
    const change = { tenantId, id, nowMs, sinceMs: nowMs - failingMsMax }
    return this.#disabled(tenantId, id, await this.#queries.run(disableFailing, change))
  }

  /** True when it was enabled until now. */
  async noteGone(tenantId: string, id: string, nowMs: number): Promise<boolean> {
    return this.#disabled(
      tenantId,
      id,
      await this.#queries.run(disableGone, { tenantId, id, nowMs }),
    )
  }

  async #disabled(tenantId: string, id: string, count: number): Promise<boolean> {
    const endpoint = count === 1 ? await this.find(tenantId, id) : undefined
    if (endpoint !== undefined) await this.#unsubscribe(endpoint)
    return endpoint !== undefined
  }

  async #subscribe(endpoint: WebhookEndpoint): Promise<void> {
    if (!endpoint.enabled) return
    const { tenantId, id } = endpoint
    const queue = queueOf(tenantId, webhookKindName, id)
    for (const type of endpoint.eventTypes ?? [anyEvent]) {
      await this.#queries.run(subscribe, { tenantId, id, type, queue })
    }
  }

  async #unsubscribe({ tenantId, id, eventTypes }: WebhookEndpoint): Promise<void> {
    for (const type of eventTypes ?? [anyEvent]) {
      await this.#queries.run(unsubscribe, { tenantId, id, type })
    }
  }
}

function toRow(endpoint: WebhookEndpoint) {
  const { tenantId, id, url, description, disabledReason, enabled, eventTypes } = endpoint
  return {
    tenantId,
    id,
    url,
    description,
    disabledReason,
    enabled: enabled ? 1 : 0,
    eventTypes: eventTypes === undefined ? null : JSON.stringify(eventTypes),
  }
}

interface EndpointRow {
  readonly tenant_id: string
  readonly id: string
  readonly url: string
  readonly description: string
  readonly event_types: string | null
  readonly enabled: number
  readonly disabled_reason: string | null
  readonly created_at: number
  readonly updated_at: number
  readonly secret_rotated_at: number
}

function toEndpoint(row: EndpointRow): WebhookEndpoint {
  return {
    tenantId: row.tenant_id,
    id: row.id,
    url: row.url,
    description: row.description,
    eventTypes: row.event_types === null ? undefined : (JSON.parse(row.event_types) as EventType[]),
    enabled: row.enabled === 1,
    disabledReason: row.disabled_reason as DisabledReason | null,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
    secretRotatedAtMs: row.secret_rotated_at,
  }
}
