import { jwkThumbprint } from '@countersign/protocol/message/es256.ts'
import type { Caller } from '../callers/caller.ts'
import type { Storage } from '../storage.ts'
import { onceOnlyScheme } from '../users/identifier.ts'
import { type DeviceEnding, deviceNotFound } from './device-ending.ts'
import { keyOfPoint } from './device-key-forms.ts'
import type { EnrolledDevice } from './enrolled-device-store.ts'

/** Most devices that one answer lists; of more, the latest. Few of them can be in use at a time. */
export const enrolledDevicesMax = 1_000

/** A user's devices as a Keyless backend deals with them: users by their Keyless ids, devices by their keys. */
export class EnrolledDeviceService {
  readonly #storage: Storage
  readonly #ending: DeviceEnding

  constructor(dependencies: { storage: Storage; ending: DeviceEnding }) {
    this.#storage = dependencies.storage
    this.#ending = dependencies.ending
  }

  /**
   * In order of enrolment, with those that are gone.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `user_not_found`.
   */
  async list(caller: Caller, tenantId: string, keylessUserId: string): Promise<EnrolledDevice[]> {
    const userId = await this.#userOf(caller, tenantId, keylessUserId)
    const { devices } = this.#storage.read
    return (await devices.enrolled.listOfUser(tenantId, userId, enrolledDevicesMax)).reverse()
  }

  /**
   * Takes the device from the user at once; one that is nobody else's is deleted, and its key never enrolled again.
   *
   * @param link.point the device's public key as an uncompressed point in base64.
   * @throws DomainError `forbidden`, `tenant_not_found`, `user_not_found`; `device_not_found`, also for one that is gone.
   */
  async remove(
    caller: Caller,
    tenantId: string,
    link: { readonly keylessUserId: string; readonly point: string },
  ): Promise<void> {
    const userId = await this.#userOf(caller, tenantId, link.keylessUserId)
    const key = keyOfPoint(link.point)
    if (key === undefined) throw deviceNotFound()
    const deviceId = await this.#storage.transaction(async (stores) => {
      const device = await stores.devices.findByKey(tenantId, jwkThumbprint(key))
      if (device?.status !== 'ACTIVE') throw deviceNotFound()
      const place = { tenantId, deviceId: device.id }
      if (!(await this.#ending.endLink(stores, caller, { ...place, userId }))) {
        throw deviceNotFound()
      }
      const others = await stores.deviceLinks.listOfDevice(tenantId, device.id, 1)
      if (others.length === 0) await this.#ending.removeDevice(stores, caller, place)
      return device.id
    })
    this.#ending.wake(tenantId, [deviceId])
  }

  async #userOf(caller: Caller, tenantId: string, keylessUserId: string): Promise<string> {
    caller.requireIn(tenantId, 'keyless:backend')
    const { read } = this.#storage
    await read.tenants.requireFor(caller, tenantId)
    return read.userResolver.getUserId(tenantId, { scheme: onceOnlyScheme, value: keylessUserId })
  }
}
