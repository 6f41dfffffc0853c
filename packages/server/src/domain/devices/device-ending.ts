import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import type { Stores } from '../storage.ts'
import type { IdSource } from '../ulid.ts'
import { deviceTarget, type LinkedDevice, linksPerDeviceMax } from './device.ts'
import { deviceView } from './device-view.ts'
import type { DeviceWakeups } from './device-wakeups.ts'

/** The part of the certificate authority that ends with a device or a link. */
export interface DeviceCertificates {
  /** Revokes in the running transaction what was issued for the device, or for one user on it. */
  revokeOfDevice(
    stores: Stores,
    caller: Caller,
    of: { tenantId: string; deviceId: string; userId?: string | undefined },
  ): Promise<void>
}

const linksPerStep = 100

/**
 * What ends with a device, a link, or a user, always in a transaction of whoever has the right to end it; `wake` is for
 * after that.
 */
export class DeviceEnding {
  readonly #certificates: DeviceCertificates
  readonly #wakeups: DeviceWakeups
  readonly #clock: Clock
  readonly #nextId: IdSource

  constructor(dependencies: {
    certificates: DeviceCertificates
    wakeups: DeviceWakeups
    clock: Clock
    nextId: IdSource
  }) {
    this.#certificates = dependencies.certificates
    this.#wakeups = dependencies.wakeups
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
  }

  /** Event streams of these devices look at once whether they may go on. */
  wake(tenantId: string, deviceIds: readonly string[]): void {
    this.#wakeups.wake(tenantId, deviceIds)
  }

  /**
   * Ends all links and sessions, revokes certificates, drops what is the device's. Its key is never enrolled again.
   *
   * @throws DomainError `device_not_found`; `in_use` for one that may go only without links, and has some.
   */
  async removeDevice(
    stores: Stores,
    caller: Caller,
    removal: {
      tenantId: string
      deviceId: string
      reason?: 'USER_DELETED'
      onlyUnlinked?: boolean
    },
  ): Promise<void> {
    const { tenantId, deviceId, reason, onlyUnlinked = false } = removal
    const nowMs = this.#clock()
    const device = await getDevice(stores, tenantId, deviceId)
    if (!(await stores.devices.remove(tenantId, deviceId, nowMs))) throw deviceNotFound()
    // After the removal: whoever links a user holds the device, so from here on its links stand still.
    if (onlyUnlinked && (await stores.deviceLinks.listOfDevice(tenantId, deviceId, 1)).length > 0) {
      throw new DomainError('in_use', 'Users are linked to the device.')
    }
    await stores.deviceLinks.endOfDevice(tenantId, deviceId, nowMs)
    await stores.properties.removeOfDevice(tenantId, deviceId)
    await stores.appVersions.votes.removeOfDevice(tenantId, deviceId)
    await this.#certificates.revokeOfDevice(stores, caller, { tenantId, deviceId })
    await this.tell(stores, { tenantId, deviceId }, 'client.disconnect', { reason: 'deleted' })
    await stores.journal.append(caller, tenantId, {
      action: 'device.deleted',
      target: deviceTarget(deviceId),
      ...(reason === undefined ? {} : { detail: { reason } }),
    })
    const data = { device: deviceView(device, false) }
    await stores.events.append(tenantId, { type: 'device.deleted', data })
  }

  /**
   * Ends a user's link: certificates and tokens of this user on this device are void, their properties on it
   * go, the device stays.
   *
   * @returns false when it had ended already.
   */
  async endLink(
    stores: Stores,
    caller: Caller,
    link: {
      tenantId: string
      deviceId: string
      userId: string
      reason?: 'USER_DELETED'
    },
  ): Promise<boolean> {
    const { tenantId, deviceId, userId, reason } = link
    if (!(await stores.deviceLinks.end({ tenantId, deviceId, userId }, this.#clock()))) return false
    // After the link: whoever writes one holds it.
    await stores.properties.removeOfLink({ tenantId, deviceId, userId })
    await this.#certificates.revokeOfDevice(stores, caller, { tenantId, deviceId, userId })
    const place = { tenantId, deviceId, userId }
    await this.tell(stores, place, 'client.disconnect', { reason: 'unlinked' })
    await stores.journal.append(caller, tenantId, {
      action: 'device.unlinked',
      target: deviceTarget(deviceId),
      userId,
      ...(reason === undefined ? {} : { detail: { reason } }),
    })
    return true
  }

  /**
   * The user is gone, and with them their links, PIN, properties and open codes; devices that have no user left are deleted.
   *
   * @returns the devices to wake.
   */
  async endOfUser(
    stores: Stores,
    caller: Caller,
    { tenantId, userId }: { tenantId: string; userId: string },
  ): Promise<readonly string[]> {
    const reason = 'USER_DELETED'
    const ended: string[] = []
    await stores.enrolmentCodes.revokeOfUser(tenantId, userId)
    await stores.devicePins.remove(tenantId, userId)
    for (;;) {
      const ids = await stores.deviceLinks.listDevicesOfUser(tenantId, userId, linksPerStep)
      for (const deviceId of ids) {
        await this.endLink(stores, caller, { tenantId, deviceId, userId, reason })
        const others = await stores.deviceLinks.listOfDevice(tenantId, deviceId, 1)
        if (others.length === 0) {
          await this.removeDevice(stores, caller, { tenantId, deviceId, reason })
        }
      }
      ended.push(...ids)
      if (ids.length < linksPerStep) break
    }
    // After the links: a device that writes one holds its link.
    await stores.properties.removeOfUser(tenantId, userId)
    return ended
  }

  /** Puts an event into the device's stream. @param place with a user: only while that user is the stream's. */
  async tell(
    stores: Stores,
    { tenantId, deviceId, userId }: { tenantId: string; deviceId: string; userId?: string },
    type: string,
    data: Readonly<Record<string, string | number>>,
  ): Promise<void> {
    await stores.deviceEvents.append(
      { tenantId, deviceId },
      { id: this.#nextId(), userId: userId ?? null, type, data, createdAtMs: this.#clock() },
    )
  }
}

/** @throws DomainError `device_not_found`, also for a deleted one. */
export async function getDevice(
  stores: Stores,
  tenantId: string,
  id: string,
): Promise<LinkedDevice> {
  const device = await stores.devices.find(tenantId, id)
  if (device?.status !== 'ACTIVE') throw deviceNotFound()
  return {
    ...device,
    links: await stores.deviceLinks.listOfDevice(tenantId, id, linksPerDeviceMax),
  }
}

export function deviceNotFound(): DomainError {
  return new DomainError('device_not_found', 'No such device.')
}
