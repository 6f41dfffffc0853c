import type { Endpoint } from './endpoint.ts'
import { toDevice } from './wire.ts'

/** What the server knows about this device. */
export const getDevice: Endpoint<'getDevice'> = async ({ core, caller }) => ({
  status: 200,
  headers: { 'dpop-nonce': core.serverNonces.issue() },
  body: toDevice(await core.ownDevice.get(caller)),
})

/** Changes the members given; null removes. */
export const updateDevice: Endpoint<'updateDevice'> = async ({ core, caller, body }) => ({
  status: 200,
  body: toDevice(await core.ownDevice.update(caller, body)),
})

/** A device can always leave. */
export const deleteDevice: Endpoint<'deleteDevice'> = async ({ core, caller }) => {
  await core.ownDevice.delete(caller)
  return { status: 204 }
}
