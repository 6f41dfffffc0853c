import { encodeBase64 } from '@countersign/protocol/encoding/base64.ts'
import type { Device } from '#domain/devices/device.ts'
import { pemOfKey, pointOfKey } from '#domain/devices/device-key-forms.ts'
import { customerOf, type Endpoint } from './endpoint.ts'
import { noStore, success, toLocalDateTime } from './wire.ts'

/** Lists the devices that a user has and once had. */
export const listUserDevices: Endpoint<'listUserDevices'> = async ({ core, caller, params }) => {
  const { userId } = params
  const customer = customerOf(caller)
  const devices = await core.enrolledDevices.list(caller, customer, userId)
  const sdkCustomerId = await core.tenants.numberOf(caller, customer)
  return {
    status: 200,
    headers: noStore,
    body: devices.map(({ device, linkedAtMs, endedAtMs }) => ({
      userId,
      sdkCustomerId,
      publicSigningKey: pointOfKey(device.publicKey),
      // The device has no other key.
      publicEncryptionKey: encodeBase64(Buffer.from(pemOfKey(device.publicKey))),
      state: endedAtMs === null ? 'ACTIVE' : 'DELETED',
      info: '2',
      createdAt: toLocalDateTime(linkedAtMs),
      ...osVersionOf(device),
      sdkVersion: device.app.sdkVersion,
      ...(endedAtMs === null ? {} : { deletedAt: toLocalDateTime(endedAtMs) }),
    })),
  }
}

/** Takes a device from a user. */
export const deleteUserDevice: Endpoint<'deleteUserDevice'> = async ({ core, caller, params }) => {
  const link = { keylessUserId: params.userId, point: params.publicSigningKey }
  await core.enrolledDevices.remove(caller, customerOf(caller), link)
  return { status: 200, headers: noStore, body: success }
}

function osVersionOf({ osName, osVersion }: Device): { osVersion?: string } {
  const text = [osName, osVersion].filter((part) => part !== null).join(' ')
  return text === '' ? {} : { osVersion: text.slice(0, osVersionLengthMax) }
}

const osVersionLengthMax = 100
