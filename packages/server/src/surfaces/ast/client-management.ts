import type { Device, DeviceLink } from '#domain/devices/device.ts'
import type { DeviceSelection } from '#domain/devices/user-device-service.ts'
import { type FilterProperties, parseFilters } from '#domain/filter/filter-parser.ts'
import type { Schemas } from './contract.gen.ts'
import type { Endpoint } from './endpoint.ts'
import { filtersOf } from './wire.ts'

const clientProperties: FilterProperties = {
  appName: { field: 'appName', kind: 'text' },
  astClientId: { field: 'id', kind: 'text' },
  appPlatform: { field: 'platform', kind: 'text' },
  sdkVersion: { field: 'sdkVersion', kind: 'text' },
  appVersion: { field: 'appVersion', kind: 'text' },
  lockState: { field: 'lockState', kind: 'text' },
}

/** The user's clients that fit every filter. */
export const getLinkedClientsByUserId: Endpoint<'getLinkedClientsByUserId'> = async ({
  core,
  caller,
  params,
  query,
}) => {
  const condition = parseFilters(filtersOf(query), clientProperties)
  const devices = await core.userDevices.list(caller, params.tenantId, query.userId, condition)
  return { status: 200, body: devices.map(toLinkedClient) }
}

/** Who is linked to a client. */
export const getLinkedUsersByAstClientId: Endpoint<'getLinkedUsersByAstClientId'> = async ({
  core,
  caller,
  params,
  query,
}) => {
  const names = await core.userDevices.userNames(caller, params.tenantId, query.astClientId)
  return { status: 200, body: names.map((userId) => ({ userId })) }
}

/** Locks a client, or gives a locked one another reason. */
export const lockClient: Endpoint<'lockClient'> = async ({ core, caller, params, body }) => {
  const { astClientId: id, lockReason: reason } = body
  await core.devices.lock(caller, params.tenantId, { id, reason })
  return { status: 204 }
}

/** Lifts the lock of a client, if it has one. */
export const unlockClient: Endpoint<'unlockClient'> = async ({ core, caller, params }) => {
  await core.devices.unlock(caller, params.tenantId, params.astClientId)
  return { status: 204 }
}

/** Ends one link. */
export const unlinkUser: Endpoint<'unlinkUser'> = async ({ core, caller, params, body }) => {
  const { userId: userName, astClientId: deviceId } = body
  await core.userDevices.unlinkOne(caller, params.tenantId, { userName, deviceId })
  return { status: 204 }
}

/** One client. */
export const getAstClient: Endpoint<'getAstClient'> = async ({ core, caller, params }) => {
  const { tenantId, astClientId } = params
  const device = await core.devices.get(caller, tenantId, astClientId)
  return { status: 200, body: toAstClientDetails(device) }
}

/** Deletes a client that nobody is linked to. */
export const deleteAstClient: Endpoint<'deleteAstClient'> = async ({ core, caller, params }) => {
  await core.devices.deleteUnlinked(caller, params.tenantId, params.astClientId)
  return { status: 204 }
}

/** Links and clients first, so that nothing new can be asked; then what still waits. */
export const deleteUserData: Endpoint<'deleteUserData'> = async ({ core, caller, params }) => {
  const { tenantId, userId } = params
  await core.userDevices.removeAll(caller, tenantId, userId)
  await core.tms.cancelAll(caller, tenantId, userId)
  await core.properties.removeAll(caller, tenantId, userId)
  return { status: 204 }
}

/** Closes event streams; the clients may log in again. */
export const disconnectUserClients: Endpoint<'disconnectUserClients'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  const selection = toSelection(body?.disconnectType, body?.clientIds)
  await core.userDevices.disconnect(caller, params.tenantId, params.userId, selection)
  return { status: 202 }
}

/** Ends links of one user. */
export const unlinkUserClients: Endpoint<'unlinkUserClients'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  const selection = toSelection(body?.unlinkType, body?.clientIds)
  await core.userDevices.unlink(caller, params.tenantId, params.userId, selection)
  return { status: 204 }
}

const selections = {
  ALL_CLIENTS: 'ALL',
  SPECIFIED_CLIENTS: 'ONLY',
  ALL_EXCEPT_SPECIFIED_CLIENTS: 'ALL_BUT',
} as const

function toSelection(
  type: keyof typeof selections = 'ALL_CLIENTS',
  deviceIds: readonly string[] = [],
): DeviceSelection {
  return { which: selections[type], deviceIds }
}

function toLinkedClient(device: Device): Schemas['LinkedClient'] {
  return {
    astClientId: device.id,
    appName: device.app.name,
    appPlatform: device.app.platform,
    appVersion: device.app.versionStr,
    sdkVersion: device.app.sdkVersion,
    lockState: device.lock.state,
    deviceName: device.name,
    lastSuccessfulVerification: device.lastSuccessAtMs,
  }
}

function toAstClientDetails(
  device: Device & { readonly links: readonly DeviceLink[] },
): Schemas['AstClientDetails'] {
  const linkedAt = device.links.map(({ linkedAtMs }) => linkedAtMs)
  return {
    astClientId: device.id,
    appVersion: device.app.versionStr,
    risks: device.app.risks ?? null,
    lockState: device.lock.state,
    createdOn: device.createdAtMs,
    linkedOnOrMloaUpdated: linkedAt.length === 0 ? null : Math.max(...linkedAt),
    lastSuccessfulVerification: device.lastSuccessAtMs,
    lastFailedVerification: device.lastFailureAtMs,
    clientDevice: device.model,
    clientOsVersion: device.osVersion,
    sdkVersion: device.app.sdkVersion,
    deviceName: device.name,
    lockReason: device.lock.reason,
  }
}
