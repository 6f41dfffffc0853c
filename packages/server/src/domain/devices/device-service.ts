import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import { decodeCursor, type Page, type PageRequest, pageOf } from '../paging.ts'
import type { Storage, Stores } from '../storage.ts'
import type { IdSource } from '../ulid.ts'
import {
  type Device,
  type DeviceLink,
  deviceTarget,
  type LinkedDevice,
  linksPerDeviceMax,
} from './device.ts'
import { requireOneOf } from './device-rights.ts'
import type { DeviceFilter } from './device-store.ts'
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

/** Devices, as administrators and relying parties see them. */
export class DeviceService {
  readonly #storage: Storage
  readonly #certificates: DeviceCertificates
  readonly #wakeups: DeviceWakeups
  readonly #clock: Clock
  readonly #nextId: IdSource

  constructor(dependencies: {
    storage: Storage
    certificates: DeviceCertificates
    wakeups: DeviceWakeups
    clock: Clock
    nextId: IdSource
  }) {
    this.#storage = dependencies.storage
    this.#certificates = dependencies.certificates
    this.#wakeups = dependencies.wakeups
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`, `device_not_found`. */
  async get(caller: Caller, tenantId: string, id: string): Promise<LinkedDevice> {
    requireOneOf(caller, tenantId, ['tenant:read', 'verify', 'keyless:backend'])
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    return getDevice(this.#storage.read, tenantId, id)
  }

  /**
   * In order of enrolment.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `cursor_invalid`.
   */
  async list(
    caller: Caller,
    tenantId: string,
    query: DeviceFilter & PageRequest,
  ): Promise<Page<LinkedDevice>> {
    caller.requireIn(tenantId, 'tenant:read')
    const { read } = this.#storage
    await read.tenants.requireFor(caller, tenantId)
    const { limit, cursor, userId, lockState, appName } = query
    const filters = { userId, lockState, appName }
    const scope = { list: 'devices', tenantId, filters, nowMs: this.#clock() }
    const [afterId] = decodeCursor(cursor, ['text'], scope) ?? []
    const devices = await read.devices.list(tenantId, { ...filters, afterId, limit: limit + 1 })
    const page = pageOf(
      devices,
      limit,
      scope,
      ({ id }) => [id],
      (device) => device,
    )
    return { ...page, items: await withLinks(read, tenantId, page.items) }
  }

  /**
   * Ends its sessions and event stream; refuses login, retrieval and decisions until it is unlocked. A locked device stays
   * locked, with the new reason.
   *
   * @param reason at most 255 characters; told to the device.
   * @throws DomainError `forbidden`, `tenant_not_found`, `device_not_found`.
   */
  async lock(
    caller: Caller,
    tenantId: string,
    { id, reason }: { id: string; reason: string | null },
  ): Promise<LinkedDevice> {
    return this.#change(caller, tenantId, id, async (stores, nowMs) => {
      if (!(await stores.devices.lock(tenantId, id, reason, nowMs))) throw deviceNotFound()
      await stores.deviceLinks.forgetVerificationOfDevice(tenantId, id)
      await this.#tell(
        stores,
        tenantId,
        id,
        'client.locked',
        reason === null ? {} : { lockReason: reason },
      )
      await this.#record(stores, caller, tenantId, id, 'device.locked')
      await stores.events.append(tenantId, { type: 'device.locked', data: { deviceId: id } })
    })
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`, `device_not_found`. */
  async unlock(caller: Caller, tenantId: string, id: string): Promise<LinkedDevice> {
    return this.#change(caller, tenantId, id, async (stores, nowMs) => {
      if (!(await stores.devices.unlock(tenantId, id, nowMs))) return
      await this.#record(stores, caller, tenantId, id, 'device.unlocked')
      await stores.events.append(tenantId, { type: 'device.unlocked', data: { deviceId: id } })
    })
  }

  /**
   * Closes its event stream and voids its access tokens; it may log in again, with a factor.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `device_not_found`.
   */
  async disconnect(caller: Caller, tenantId: string, id: string): Promise<void> {
    await this.#change(caller, tenantId, id, async (stores, nowMs) => {
      if (!(await stores.devices.endSessions(tenantId, id, nowMs))) throw deviceNotFound()
      await stores.deviceLinks.forgetVerificationOfDevice(tenantId, id)
      await this.#tell(stores, tenantId, id, 'client.disconnect', { reason: 'backend' })
      await this.#record(stores, caller, tenantId, id, 'device.disconnected')
    })
  }

  /**
   * Ends all links and sessions, revokes its certificates, drops its properties. Its key is never enrolled again.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `device_not_found`.
   */
  async delete(caller: Caller, tenantId: string, id: string): Promise<void> {
    requireDeviceWriter(caller, tenantId)
    await this.#storage.transaction(async (stores) => {
      await stores.tenants.requireFor(caller, tenantId)
      await this.removeIn(stores, caller, { tenantId, id })
    })
    this.#wakeups.wake(tenantId, [id])
  }

  /** The same in a transaction of somebody who has the right by another rule; `wake` afterwards is theirs. */
  async removeIn(
    stores: Stores,
    caller: Caller,
    { tenantId, id }: { tenantId: string; id: string },
  ): Promise<void> {
    const nowMs = this.#clock()
    if (!(await stores.devices.remove(tenantId, id, nowMs))) throw deviceNotFound()
    await stores.deviceLinks.endOfDevice(tenantId, id, nowMs)
    await this.#certificates.revokeOfDevice(stores, caller, { tenantId, deviceId: id })
    await this.#tell(stores, tenantId, id, 'client.disconnect', { reason: 'deleted' })
    await this.#record(stores, caller, tenantId, id, 'device.deleted')
    await stores.events.append(tenantId, { type: 'device.deleted', data: { deviceId: id } })
  }

  /**
   * Takes the user's PIN away on all devices and lifts the lock of the factors. No PIN: nothing happens.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `user_not_found`.
   */
  async clearPin(caller: Caller, tenantId: string, userId: string): Promise<void> {
    caller.requireIn(tenantId, 'tenant:write')
    await this.#storage.transaction(async (stores) => {
      await stores.tenants.requireFor(caller, tenantId)
      if (!(await stores.users.exists(tenantId, userId))) {
        throw new DomainError('user_not_found', 'No such user.')
      }
      if (!(await stores.devicePins.remove(tenantId, userId))) return
      await stores.journal.append(caller, tenantId, {
        action: 'device-pin.cleared',
        target: { type: 'user', id: userId },
        userId,
      })
    })
  }

  async #change(
    caller: Caller,
    tenantId: string,
    id: string,
    work: (stores: Stores, nowMs: number) => Promise<void>,
  ): Promise<LinkedDevice> {
    requireDeviceWriter(caller, tenantId)
    const device = await this.#storage.transaction(async (stores) => {
      await stores.tenants.requireFor(caller, tenantId)
      await getDevice(stores, tenantId, id)
      await work(stores, this.#clock())
      return getDevice(stores, tenantId, id)
    })
    this.#wakeups.wake(tenantId, [id])
    return device
  }

  async #tell(
    stores: Stores,
    tenantId: string,
    deviceId: string,
    type: string,
    data: Readonly<Record<string, string | number>>,
  ): Promise<void> {
    await stores.deviceEvents.append(
      { tenantId, deviceId },
      { id: this.#nextId(), userId: null, type, data, createdAtMs: this.#clock() },
    )
  }

  async #record(
    stores: Stores,
    caller: Caller,
    tenantId: string,
    id: string,
    action: string,
  ): Promise<void> {
    await stores.journal.append(caller, tenantId, { action, target: deviceTarget(id) })
  }
}

/** AST has a right of its own over devices, Keyless too; one that was granted for another door does not count there. */
function requireDeviceWriter(caller: Caller, tenantId: string): void {
  const scope =
    caller.surface === 'ast'
      ? 'ast:write'
      : caller.surface === 'keyless'
        ? 'keyless:backend'
        : 'tenant:write'
  caller.requireIn(tenantId, scope)
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

/** Reads the links of a page of devices in one statement. */
export async function withLinks(
  stores: Stores,
  tenantId: string,
  devices: readonly Device[],
): Promise<LinkedDevice[]> {
  const ids = devices.map(({ id }) => id)
  const links = new Map<string, DeviceLink[]>(ids.map((id) => [id, []]))
  for (const link of await stores.deviceLinks.listOfDevices(tenantId, ids)) {
    links.get(link.deviceId)?.push(link)
  }
  return devices.map((device) => ({ ...device, links: links.get(device.id) ?? [] }))
}

export function deviceNotFound(): DomainError {
  return new DomainError('device_not_found', 'No such device.')
}
