import type { DeviceTable } from '#storage/schema/devices.ts'
import type { Device, EnrolledVia, LockState } from './device.ts'
import { asJwk } from './device-link-store.ts'

/** A row as the device that it holds. */
export function asDevice(row: DeviceTable): Device {
  return {
    tenantId: row.tenant_id,
    id: row.id,
    keyThumbprint: row.key_thumbprint,
    publicKey: asJwk(row.public_jwk),
    status: row.status as Device['status'],
    enrolledVia: row.enrolled_via as EnrolledVia,
    name: row.name,
    model: row.model,
    osName: row.os_name,
    osVersion: row.os_version,
    app: {
      name: row.app_name,
      platform: row.platform,
      architecture: row.architecture,
      versionStr: row.app_version,
      sdkVersion: row.sdk_version,
      ...(row.integrity !== null && { integrity: row.integrity }),
      ...(row.risks !== null && { risks: row.risks }),
    },
    pushToken: row.push_token,
    locales: JSON.parse(row.locales) as string[],
    lock: {
      state: row.lock_state as LockState,
      reason: row.lock_reason,
      changedAtMs: row.lock_changed_at,
    },
    sessionEpoch: row.session_epoch,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
    lastSeenAtMs: row.last_seen_at,
    lastSuccessAtMs: row.last_success_at,
    lastFailureAtMs: row.last_failure_at,
    deletedAtMs: row.deleted_at,
  }
}
