import type { LinkedDevice } from '#domain/devices/device.ts'
import { deviceView } from '#domain/devices/device-view.ts'
import type { EnrolmentCode } from '#domain/devices/enrolment-code-store.ts'
import type { Schemas } from './contract.gen.ts'
import type { Endpoint, PlatformCore } from './endpoint.ts'
import { noStore, pathOf, toInstant, toInstantOrNull } from './wire.ts'

/** Makes a code and tells it. */
export const createEnrolmentCode: Endpoint<'createEnrolmentCode'> = async ({
  core,
  caller,
  params: { tenantId },
  body,
}) => {
  const { code, secret } = await core.enrolmentCodes.create(caller, tenantId, body)
  return {
    status: 201,
    headers: { ...noStore, location: pathOf('tenants', tenantId, 'enrolment-codes', code.id) },
    body: { enrolmentCode: toEnrolmentCode(core, code), secret },
  }
}

/** Codes, the newest first. */
export const listEnrolmentCodes: Endpoint<'listEnrolmentCodes'> = async ({
  core,
  caller,
  params,
  query,
}) => {
  const page = await core.enrolmentCodes.list(caller, params.tenantId, query)
  const items = page.items.map((code) => toEnrolmentCode(core, code))
  return { status: 200, body: { ...page, items } }
}

/** The state of a code. */
export const getEnrolmentCode: Endpoint<'getEnrolmentCode'> = async ({ core, caller, params }) => {
  const { tenantId, enrolmentCodeId } = params
  const code = await core.enrolmentCodes.get(caller, tenantId, enrolmentCodeId)
  return { status: 200, body: toEnrolmentCode(core, code) }
}

/** Voids a code. */
export const revokeEnrolmentCode: Endpoint<'revokeEnrolmentCode'> = async ({
  core,
  caller,
  params,
}) => {
  await core.enrolmentCodes.revoke(caller, params.tenantId, params.enrolmentCodeId)
  return { status: 204 }
}

/** Takes the user's PIN away on all devices. */
export const clearDevicePin: Endpoint<'clearDevicePin'> = async ({ core, caller, params }) => {
  await core.devices.clearPin(caller, params.tenantId, params.userId)
  return { status: 204 }
}

/** Devices in order of enrolment, all or those that fit every filter. */
export const listDevices: Endpoint<'listDevices'> = async ({ core, caller, params, query }) => {
  const page = await core.devices.list(caller, params.tenantId, query)
  return { status: 200, body: { ...page, items: page.items.map((one) => toDevice(core, one)) } }
}

/** One device. */
export const getDevice: Endpoint<'getDevice'> = async ({ core, caller, params }) => ({
  status: 200,
  body: toDevice(core, await core.devices.get(caller, params.tenantId, params.deviceId)),
})

/** Deletes a device. */
export const deleteDevice: Endpoint<'deleteDevice'> = async ({ core, caller, params }) => {
  await core.devices.delete(caller, params.tenantId, params.deviceId)
  return { status: 204 }
}

/** Locks a device, or gives a locked one another reason. */
export const lockDevice: Endpoint<'lockDevice'> = async ({ core, caller, params, body }) => {
  const { tenantId, deviceId: id } = params
  const reason = body.reason ?? null
  return {
    status: 200,
    body: toDevice(core, await core.devices.lock(caller, tenantId, { id, reason })),
  }
}

/** Lifts the lock. */
export const unlockDevice: Endpoint<'unlockDevice'> = async ({ core, caller, params }) => ({
  status: 200,
  body: toDevice(core, await core.devices.unlock(caller, params.tenantId, params.deviceId)),
})

/** Ends the sessions of a device. */
export const disconnectDevice: Endpoint<'disconnectDevice'> = async ({ core, caller, params }) => {
  await core.devices.disconnect(caller, params.tenantId, params.deviceId)
  return { status: 204 }
}

function toDevice({ devices }: PlatformCore, device: LinkedDevice): Schemas['Device'] {
  return deviceView(device, devices.isConnected(device))
}

function toEnrolmentCode(
  { enrolmentCodes }: PlatformCore,
  code: EnrolmentCode,
): Schemas['EnrolmentCode'] {
  return {
    id: code.id,
    userId: code.userId,
    externalUserId: code.externalUserId,
    status: enrolmentCodes.statusOf(code),
    deviceName: code.deviceName,
    createdBy: code.createdBy,
    createdAt: toInstant(code.createdAtMs),
    expiresAt: toInstant(code.expiresAtMs),
    usedAt: toInstantOrNull(code.usedAtMs),
    deviceId: code.deviceId,
  }
}
