import type { JsonValue } from '@countersign/protocol/encoding/jcs.ts'
import type { Factor } from '../devices/device.ts'
import type { Approval } from './approval.ts'

const nativeFactors = { pin: 'PIN', bio: 'BIOMETRIC' } as const

/** What proved the user, in the native API's words; null: the device key alone. */
export function nativeFactor(factor: Factor | null): 'PIN' | 'BIOMETRIC' | 'POSSESSION' {
  return factor === null ? 'POSSESSION' : nativeFactors[factor]
}

/** An approval as the native API shows it (`Approval` of the platform contract), to its callers and to webhooks. */
export function approvalView(approval: Approval): { readonly [name: string]: JsonValue } {
  const { authentication, timeouts, decision, devices } = approval
  return {
    id: approval.id,
    reference: approval.reference,
    kind: approval.kind,
    userId: approval.userId,
    status: approval.status,
    text: approval.text,
    templateKey: approval.templateKey,
    data: approval.data,
    timeouts: { ...timeouts },
    authentication: {
      factor: authentication.factor === null ? 'ANY' : nativeFactors[authentication.factor],
      explicit: authentication.explicitScope !== null,
      maxAgeSeconds: authentication.maxAgeSeconds,
    },
    devices: devices === null ? null : { ...(devices as { [name: string]: JsonValue }) },
    externalUserId: approval.externalUserId,
    surface: approval.surface,
    createdBy: approval.createdBy,
    createdAt: instant(approval.createdAtMs),
    retrievedAt: instantOrNull(approval.retrievedAtMs),
    expiresAt: instantOrNull(approval.expiresAtMs),
    completedAt: instantOrNull(approval.completedAtMs),
    decision: decision && {
      deviceId: decision.deviceId,
      factor: nativeFactor(decision.factor),
      at: instant(decision.atMs),
    },
    failureReason: approval.failureReason,
    failureMessage: approval.failureMessage,
  }
}

function instant(ms: number): string {
  return new Date(ms).toISOString()
}

function instantOrNull(ms: number | null): string | null {
  return ms === null ? null : instant(ms)
}
