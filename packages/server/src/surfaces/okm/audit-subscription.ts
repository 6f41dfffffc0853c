import type { AuditSubscription } from '#domain/cabinets/audit-subscription.ts'
import type { Schemas } from './contract.gen.ts'
import { customerOf } from './customer.ts'
import type { Endpoint } from './endpoint.ts'
import { fromLooseInstant, toInstant, toInstantOrNull } from './wire.ts'

/** Has readable events posted to the customer. */
export const createAuditSubscription: Endpoint<'createAuditSubscription'> = async ({
  core,
  caller,
  body,
}) => {
  const subscription = await core.auditSubscriptions.subscribe(caller, customerOf(caller), {
    endpointUrl: body.endpoint_url,
    startAtMs: fromLooseInstant(body.start_time, '/start_time'),
    fetchLimit: body.fetch_limit,
    readIntervalSeconds: body.read_interval,
  })
  return {
    status: 201,
    body: {
      status: true,
      msg: 'Audit record subscribed successfully',
      data: toSubscription(subscription),
    },
  }
}

/** Forgets the subscription; without one there is nothing to do, which is no failure. */
export const removeAuditSubscription: Endpoint<'removeAuditSubscription'> = async ({
  core,
  caller,
}) => {
  const removed = await core.auditSubscriptions.remove(caller, customerOf(caller))
  const body =
    removed === undefined
      ? { msg: 'No audit subscription found', data: [] }
      : { msg: 'Audit record unsubscribed successfully', data: [toSubscription(removed)] }
  return { status: 200, body: { status: true, ...body } }
}

/** Whether events are being posted. */
export const getAuditSubscriptionStatus: Endpoint<'getAuditSubscriptionStatus'> = async ({
  core,
  caller,
}) => {
  const subscription = await core.auditSubscriptions.get(caller, customerOf(caller))
  return {
    status: 200,
    body: {
      status: true,
      msg: 'Audit subscription status fetched successfully',
      data: { status: toStatus(subscription) },
    },
  }
}

/** Stops the posting for a while, or goes on where it stopped. */
export const updateAuditSubscriptionStatus: Endpoint<'updateAuditSubscriptionStatus'> = async ({
  core,
  caller,
  params,
}) => {
  const status = params.action === 'pause' ? 'PAUSED' : 'ACTIVE'
  const subscription = await core.auditSubscriptions.setStatus(caller, customerOf(caller), status)
  return {
    status: 200,
    body: {
      status: true,
      msg: 'Subscription status updated successfully',
      data: [toSubscription(subscription)],
    },
  }
}

/** Numbers where the published table says texts and its example shows numbers. */
function toSubscription(subscription: AuditSubscription): Schemas['AuditSubscription'] {
  return {
    id: subscription.id,
    start_time: toInstant(subscription.startAtMs),
    last_read_at: toInstantOrNull(subscription.lastReadAtMs),
    endpoint_url: subscription.endpointUrl,
    fetch_limit: subscription.fetchLimit,
    read_interval: subscription.readIntervalSeconds,
    status: toStatus(subscription),
    createdAt: toInstant(subscription.createdAtMs),
    updatedAt: toInstant(subscription.updatedAtMs),
  }
}

function toStatus({ status }: AuditSubscription): 'active' | 'pause' {
  return status === 'ACTIVE' ? 'active' : 'pause'
}
