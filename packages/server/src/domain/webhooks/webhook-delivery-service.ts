import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import type { OutboxMessage } from '../outbox/outbox-message.ts'
import type { LogFilter, OutboxStore } from '../outbox/outbox-store.ts'
import { decodeCursor, encodeCursor, type Page, type PageRequest } from '../paging.ts'
import type { Storage } from '../storage.ts'
import { webhookLifetimeMs, writeEvent } from './event-store.ts'
import { webhookKindName } from './webhook-endpoint.ts'
import { getEndpoint } from './webhook-service.ts'

/** Behind every ULID. */
const behindAllIds = 'Z'
const testType = 'webhook.test'

/** What was sent to an endpoint, or waits for it. */
export class WebhookDeliveryService {
  readonly #storage: Storage
  readonly #clock: Clock

  constructor(dependencies: { storage: Storage; clock: Clock }) {
    this.#storage = dependencies.storage
    this.#clock = dependencies.clock
  }

  /**
   * Sends an event of type `webhook.test`, whatever the endpoint wants to hear, also while it is disabled.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `webhook_not_found`.
   */
  async sendTest(caller: Caller, tenantId: string, endpointId: string): Promise<OutboxMessage> {
    caller.requireIn(tenantId, 'tenant:write')
    return this.#storage.transaction(async (stores) => {
      await stores.tenants.requireFor(caller, tenantId)
      await getEndpoint(stores, tenantId, endpointId)
      const id = await stores.outbox.append(tenantId, {
        kind: webhookKindName,
        target: endpointId,
        topic: testType,
        payload: writeEvent(tenantId, testType, this.#clock(), {}),
        lifetimeMs: webhookLifetimeMs,
      })
      await stores.journal.append(caller, tenantId, {
        action: 'webhook-endpoint.tested',
        target: { type: 'webhook-endpoint', id: endpointId },
        detail: { deliveryId: id },
      })
      return getDelivery(stores.outbox, tenantId, endpointId, id)
    })
  }

  /**
   * Newest first. With a filter a page may be short, even empty, while `nextCursor` is there: a request looks at a bounded
   * number of deliveries.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `webhook_not_found`, `cursor_invalid`.
   */
  async list(
    caller: Caller,
    tenantId: string,
    endpointId: string,
    { filter, limit, cursor }: PageRequest & { readonly filter: LogFilter },
  ): Promise<Page<OutboxMessage>> {
    caller.requireIn(tenantId, 'tenant:read')
    const { read } = this.#storage
    await read.tenants.requireFor(caller, tenantId)
    await getEndpoint(read, tenantId, endpointId)
    const filters = { endpointId, ...filter }
    const scope = { list: 'webhook-deliveries', tenantId, filters, nowMs: this.#clock() }
    const [beforeId] = decodeCursor(cursor, ['text'], scope) ?? [behindAllIds]
    const part = await read.outbox.listLog({ tenantId, target: endpointId }, filter, {
      beforeId,
      limit: limit + 1,
    })
    const items = part.messages.slice(0, limit)
    const nextId = part.messages.length > limit ? items.at(-1)?.id : part.lookedDownTo
    return nextId === undefined ? { items } : { items, nextCursor: encodeCursor([nextId], scope) }
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`, `webhook_not_found`. */
  async get(
    caller: Caller,
    tenantId: string,
    endpointId: string,
    id: string,
  ): Promise<OutboxMessage> {
    caller.requireIn(tenantId, 'tenant:read')
    const { read } = this.#storage
    await read.tenants.requireFor(caller, tenantId)
    await getEndpoint(read, tenantId, endpointId)
    return getDelivery(read.outbox, tenantId, endpointId, id)
  }

  /**
   * Begins a new series of attempts for a delivery that is over: the same id and payload, a new signature.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `webhook_not_found`; `state_conflict` while it waits, or while
   *   the endpoint is disabled.
   */
  async redeliver(
    caller: Caller,
    tenantId: string,
    endpointId: string,
    id: string,
  ): Promise<OutboxMessage> {
    caller.requireIn(tenantId, 'tenant:write')
    return this.#storage.transaction(async (stores) => {
      await stores.tenants.requireFor(caller, tenantId)
      const { enabled } = await getEndpoint(stores, tenantId, endpointId)
      const { topic } = await getDelivery(stores.outbox, tenantId, endpointId, id)
      if (!enabled && topic !== testType) {
        throw new DomainError('state_conflict', 'The endpoint is disabled.')
      }
      const key = { tenantId, target: endpointId, id }
      const deadlineMs = this.#clock() + webhookLifetimeMs
      if (!(await stores.outbox.restart(key, { deadlineMs }))) {
        throw new DomainError('state_conflict', 'The delivery is not over yet.')
      }
      await stores.journal.append(caller, tenantId, {
        action: 'webhook-delivery.restarted',
        target: { type: 'webhook-endpoint', id: endpointId },
        detail: { deliveryId: id, eventType: topic },
      })
      return getDelivery(stores.outbox, tenantId, endpointId, id)
    })
  }
}

async function getDelivery(
  outbox: OutboxStore,
  tenantId: string,
  target: string,
  id: string,
): Promise<OutboxMessage> {
  const message = await outbox.find({ tenantId, target, id })
  if (message?.kind === webhookKindName) return message
  throw new DomainError('webhook_not_found', 'No such delivery.')
}
