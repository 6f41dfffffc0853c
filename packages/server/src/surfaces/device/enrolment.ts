import { factorsOf } from '#domain/devices/device.ts'
import { originOf } from './auth.ts'
import { readTrust } from './certificates.ts'
import type { Endpoint, PublicEndpoint } from './endpoint.ts'
import { instant, toLink } from './wire.ts'

/** Spends a code: a device, its key, its user. */
export const enrolDevice: PublicEndpoint<'enrolDevice'> = async ({ core, body, request }) => {
  const { device: facts = {}, ...rest } = body
  const { device, userId, isRepeat } = await core.deviceEnrolments.enrol(
    { ...rest, device: facts },
    originOf(request),
    'DEVICE',
  )
  const link = device.links.find((one) => one.userId === userId)
  return {
    status: isRepeat ? 200 : 201,
    headers: { location: '/device/v1/device', 'dpop-nonce': core.serverNonces.issue() },
    body: {
      deviceId: device.id,
      userId,
      tenantId: device.tenantId,
      serverTime: instant(core.clock()),
      factors: link === undefined ? [] : factorsOf(link),
      trust: await readTrust(core, device.tenantId),
    },
  }
}

/** Links a further user, or renews a link. */
export const linkUser: Endpoint<'linkUser'> = async ({ core, caller, body }) => {
  const { device, userId } = await core.deviceEnrolments.link(caller, body)
  const link = device.links.find((one) => one.userId === userId)
  if (link === undefined) throw new Error('A link that was made is not there.')
  return { status: 201, body: toLink(link) }
}

/** Ends the link of the token's user. */
export const unlinkUser: Endpoint<'unlinkUser'> = async ({ core, caller, params }) => {
  await core.ownDevice.unlink(caller, params.userId)
  return { status: 204 }
}

/** Sets or changes the user's PIN. */
export const setPin: Endpoint<'setPin'> = async ({ core, caller, body }) => {
  await core.ownDevice.setPin(caller, body.pin)
  return { status: 204 }
}

/** Sets or replaces the biometric key. */
export const setBioKey: Endpoint<'setBioKey'> = async ({ core, caller, body }) => {
  await core.ownDevice.setBioKey(caller, body)
  return { status: 204 }
}

/** Removes the biometric key. */
export const deleteBioKey: Endpoint<'deleteBioKey'> = async ({ core, caller }) => {
  await core.ownDevice.deleteBioKey(caller)
  return { status: 204 }
}
