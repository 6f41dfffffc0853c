import { pushProviderOf } from '../push/push-token.ts'
import { type Factor, factorsOf, type LinkedDevice } from './device.ts'

const nativeFactors = { pin: 'PIN', bio: 'BIOMETRIC' } as const satisfies Record<Factor, string>

/**
 * A device as the native API shows it (`Device` of the platform contract), to its callers and to webhooks.
 *
 * @param isConnected an event stream of it is open.
 */
export function deviceView(device: LinkedDevice, isConnected: boolean) {
  const { app, lock } = device
  const { kty, crv, x, y } = device.publicKey
  return {
    id: device.id,
    links: device.links.map((link) => ({
      userId: link.userId,
      linkedAt: instant(link.linkedAtMs),
      factors: factorsOf(link).map((factor) => nativeFactors[factor]),
    })),
    name: device.name,
    enrolledVia: device.enrolledVia,
    lock: { state: lock.state, reason: lock.reason, changedAt: instantOrNull(lock.changedAtMs) },
    keyThumbprint: device.keyThumbprint,
    publicKey: { kty, crv, x, y },
    appName: app.name,
    appVersion: app.versionStr,
    sdkVersion: app.sdkVersion,
    platform: app.platform,
    architecture: app.architecture,
    osName: device.osName,
    osVersion: device.osVersion,
    model: device.model,
    risks: app.risks ?? null,
    // The token itself is never shown.
    pushProvider: device.pushToken === null ? null : pushProviderOf(device.pushToken),
    connected: isConnected,
    createdAt: instant(device.createdAtMs),
    lastSeenAt: instantOrNull(device.lastSeenAtMs),
    lastSuccessAt: instantOrNull(device.lastSuccessAtMs),
    lastFailureAt: instantOrNull(device.lastFailureAtMs),
  }
}

function instant(atMs: number): string {
  return new Date(atMs).toISOString()
}

function instantOrNull(atMs: number | null): string | null {
  return atMs === null ? null : instant(atMs)
}
