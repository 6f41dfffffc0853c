import type { Approval } from '../approvals/approval.ts'
import type { PushService } from '../apps/app.ts'
import type { Device } from '../devices/device.ts'
import type { Stores } from '../storage.ts'
import { errandBytes, pushKindNames, pushTarget, pushTopic } from './push-message.ts'
import { addressOf, readSubscription } from './push-token.ts'

/** Of approvals without a limit, too: what did not arrive by then is of no use as a call. */
export const pushMsMax = 86_400_000

/** Apps that want to hear of approvals name this category. */
const category = 'tms'

/**
 * Has the devices of a new approval called, once it is committed: those with a push token whose app has credentials for it.
 * Nothing depends on whether that succeeds.
 */
export async function announce(
  stores: Stores,
  approval: Approval,
  devices: readonly Device[],
): Promise<void> {
  if (approval.push?.skip === true) return
  const { tenantId, id, createdAtMs, expiresAtMs } = approval
  const leftMs = expiresAtMs === null ? pushMsMax : expiresAtMs - createdAtMs
  const lifetimeMs = Math.min(pushMsMax, leftMs)
  const servicesOfApps = new Map<string, readonly PushService[]>()
  for (const { id: deviceId, app, pushToken, lock } of devices) {
    if (pushToken === null || lock.state === 'LOCKED') continue
    const services =
      servicesOfApps.get(app.name) ?? (await pushServicesOf(stores, tenantId, app.name))
    servicesOfApps.set(app.name, services)
    const { service, token } = addressOf(pushToken)
    if (!services.includes(service)) continue
    const origin = service === 'webpush' ? originOf(token) : undefined
    await stores.outbox.append(tenantId, {
      kind: pushKindNames[service],
      target: pushTarget(service, app.name, origin),
      topic: pushTopic,
      payload: errandBytes({ approvalId: id, deviceId }),
      lifetimeMs,
    })
  }
}

/** Where an app can be reached about approvals. */
async function pushServicesOf(
  { apps }: Stores,
  tenantId: string,
  appName: string,
): Promise<readonly PushService[]> {
  const app = await apps.findPushFacts(tenantId, appName)
  if (app === undefined || !app.categories.includes(category)) return []
  return app.services.filter((service) => !app.unusable.includes(service))
}

function originOf(token: string): string {
  const subscription = readSubscription(token)
  return subscription === undefined ? '' : new URL(subscription.endpoint).origin
}
