import type { OutboxMessage } from '#domain/outbox/outbox-message.ts'
import {
  messageIdOf,
  type WebhookEndpoint,
  wantedTypes,
} from '#domain/webhooks/webhook-endpoint.ts'
import type { Schemas } from './contract.gen.ts'
import type { Endpoint } from './endpoint.ts'
import { noStore, pathOf, toInstant } from './wire.ts'

/** Registers an endpoint; its secret is in the reply and never again. */
export const createWebhookEndpoint: Endpoint<'createWebhookEndpoint'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  const { endpoint, secret } = await core.webhooks.create(caller, params.tenantId, body)
  const location = pathOf('tenants', params.tenantId, 'webhook-endpoints', endpoint.id)
  return {
    status: 201,
    headers: { location, ...noStore },
    body: { endpoint: toEndpoint(endpoint), secret },
  }
}

/** Endpoints in order of creation. */
export const listWebhookEndpoints: Endpoint<'listWebhookEndpoints'> = async ({
  core,
  caller,
  params,
  query,
}) => {
  const page = await core.webhooks.list(caller, params.tenantId, query)
  return { status: 200, body: { ...page, items: page.items.map(toEndpoint) } }
}

/** One endpoint. */
export const getWebhookEndpoint: Endpoint<'getWebhookEndpoint'> = async ({
  core,
  caller,
  params,
}) => ({
  status: 200,
  body: toEndpoint(await core.webhooks.get(caller, params.tenantId, params.endpointId)),
})

/** Changes address, description, event types, or whether it is told at all. */
export const updateWebhookEndpoint: Endpoint<'updateWebhookEndpoint'> = async ({
  core,
  caller,
  params,
  body,
}) => ({
  status: 200,
  body: toEndpoint(await core.webhooks.update(caller, params.tenantId, params.endpointId, body)),
})

/** Deletes an endpoint with its log. */
export const deleteWebhookEndpoint: Endpoint<'deleteWebhookEndpoint'> = async ({
  core,
  caller,
  params,
}) => {
  await core.webhooks.delete(caller, params.tenantId, params.endpointId)
  return { status: 204 }
}

/** Replaces the secret; both sign during the time of grace. */
export const rotateWebhookSecret: Endpoint<'rotateWebhookSecret'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  const { tenantId, endpointId } = params
  const { endpoint, secret } = await core.webhooks.rotateSecret(caller, tenantId, endpointId, body)
  return {
    status: 200,
    headers: { ...noStore },
    body: { endpoint: toEndpoint(endpoint), secret },
  }
}

/** Sends an event of type `webhook.test`. */
export const sendWebhookTest: Endpoint<'sendWebhookTest'> = async ({ core, caller, params }) => {
  const { tenantId, endpointId } = params
  const delivery = await core.webhookDeliveries.sendTest(caller, tenantId, endpointId)
  return { status: 202, body: toDelivery(delivery) }
}

/** The log, newest first. */
export const listWebhookDeliveries: Endpoint<'listWebhookDeliveries'> = async ({
  core,
  caller,
  params,
  query,
}) => {
  const { limit, cursor, status, eventType } = query
  const { tenantId, endpointId } = params
  const page = await core.webhookDeliveries.list(caller, tenantId, endpointId, {
    limit,
    cursor,
    filter: { topic: eventType, status: status === 'PENDING' ? 'WAITING' : status },
  })
  return { status: 200, body: { ...page, items: page.items.map(toDelivery) } }
}

/** One delivery. */
export const getWebhookDelivery: Endpoint<'getWebhookDelivery'> = async ({
  core,
  caller,
  params,
}) => {
  const { tenantId, endpointId, deliveryId } = params
  const delivery = await core.webhookDeliveries.get(caller, tenantId, endpointId, deliveryId)
  return { status: 200, body: toDelivery(delivery) }
}

/** Begins a new series of attempts. */
export const redeliverWebhook: Endpoint<'redeliverWebhook'> = async ({ core, caller, params }) => {
  const { tenantId, endpointId, deliveryId } = params
  const delivery = await core.webhookDeliveries.redeliver(caller, tenantId, endpointId, deliveryId)
  return { status: 202, body: toDelivery(delivery) }
}

function toEndpoint(endpoint: WebhookEndpoint): Schemas['WebhookEndpoint'] {
  const { id, url, description, enabled, disabledReason } = endpoint
  return {
    id,
    url,
    description,
    eventTypes: [...wantedTypes(endpoint)],
    enabled,
    disabledReason,
    createdAt: toInstant(endpoint.createdAtMs),
    updatedAt: toInstant(endpoint.updatedAtMs),
    secretRotatedAt: toInstant(endpoint.secretRotatedAtMs),
  }
}

function toDelivery(message: OutboxMessage): Schemas['WebhookDelivery'] {
  const { id, target, status, attempts, dueAtMs, createdAtMs } = message
  // The text is our own, written to this shape.
  const payload = JSON.parse(Buffer.from(message.payload).toString()) as Schemas['WebhookEvent']
  return {
    id,
    endpointId: target,
    messageId: messageIdOf(id),
    eventType: payload.type,
    status: status === 'WAITING' ? 'PENDING' : status,
    attempts: attempts.map(({ atMs, ...attempt }) => ({ at: toInstant(atMs), ...attempt })),
    nextAttemptAt: status === 'WAITING' ? toInstant(dueAtMs) : null,
    createdAt: toInstant(createdAtMs),
    payload,
  }
}
