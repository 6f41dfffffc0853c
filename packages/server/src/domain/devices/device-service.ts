import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import { decodeCursor, type Page, type PageRequest, pageOf } from '../paging.ts'
import type { Storage, Stores } from '../storage.ts'
import { type Device, type DeviceLink, deviceTarget, type LinkedDevice } from './device.ts'
import { type DeviceEnding, deviceNotFound, getDevice } from './device-ending.ts'
import { requireDeviceReader } from './device-rights.ts'
import type { DeviceFilter } from './device-store.ts'
import { deviceView } from './device-view.ts'
import type { DeviceWakeups } from './device-wakeups.ts'

const lockReasonLengthMax = 255

/** Devices, as administrators and relying parties see them. */
export class DeviceService {
  readonly #storage: Storage
  readonly #ending: DeviceEnding
  readonly #wakeups: DeviceWakeups
  readonly #clock: Clock

  constructor(dependencies: {
    storage: Storage
    ending: DeviceEnding
    wakeups: DeviceWakeups
    clock: Clock
  }) {
    this.#storage = dependencies.storage
    this.#ending = dependencies.ending
    this.#wakeups = dependencies.wakeups
    this.#clock = dependencies.clock
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`, `device_not_found`. */
  async get(caller: Caller, tenantId: string, id: string): Promise<LinkedDevice> {
    requireDeviceReader(caller, tenantId)
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    return getDevice(this.#storage.read, tenantId, id)
  }

  /** Whether an event stream of the device is open in this process. */
  isConnected({ tenantId, id }: Device): boolean {
    return this.#wakeups.isListening(tenantId, id)
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
   * @throws DomainError `forbidden`, `tenant_not_found`, `device_not_found`; `invalid_request` for a longer reason.
   */
  async lock(
    caller: Caller,
    tenantId: string,
    { id, reason }: { id: string; reason: string | null },
  ): Promise<LinkedDevice> {
    requireDeviceWriter(caller, tenantId)
    if ((reason ?? '').length > lockReasonLengthMax) throw reasonTooLong()
    return this.#change(caller, tenantId, id, async (stores, nowMs) => {
      if (!(await stores.devices.lock(tenantId, id, reason, nowMs))) throw deviceNotFound()
      await stores.deviceLinks.forgetVerificationOfDevice(tenantId, id)
      const told = reason === null ? {} : { lockReason: reason }
      await this.#ending.tell(stores, { tenantId, deviceId: id }, 'client.locked', told)
      await this.#record(stores, caller, tenantId, id, 'device.locked')
      await this.#announce(stores, tenantId, id, 'device.locked')
    })
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`, `device_not_found`. */
  async unlock(caller: Caller, tenantId: string, id: string): Promise<LinkedDevice> {
    return this.#change(caller, tenantId, id, async (stores, nowMs) => {
      if (!(await stores.devices.unlock(tenantId, id, nowMs))) return
      await this.#record(stores, caller, tenantId, id, 'device.unlocked')
      await this.#announce(stores, tenantId, id, 'device.unlocked')
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
      const told = { reason: 'backend' }
      await this.#ending.tell(stores, { tenantId, deviceId: id }, 'client.disconnect', told)
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
      await this.#ending.removeDevice(stores, caller, { tenantId, deviceId: id })
    })
    this.#wakeups.wake(tenantId, [id])
  }

  /**
   * The same for a device that nobody is linked to any more.
   *
   * @throws DomainError `in_use` while a link stands; `forbidden`, `tenant_not_found`, `device_not_found`.
   */
  async deleteUnlinked(caller: Caller, tenantId: string, id: string): Promise<void> {
    requireDeviceWriter(caller, tenantId)
    await this.#storage.transaction(async (stores) => {
      await stores.tenants.requireFor(caller, tenantId)
      await this.#ending.removeDevice(stores, caller, {
        tenantId,
        deviceId: id,
        onlyUnlinked: true,
      })
    })
    this.#wakeups.wake(tenantId, [id])
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

  /** Tells webhooks of a device, as it is now. */
  async #announce(
    stores: Stores,
    tenantId: string,
    id: string,
    type: 'device.locked' | 'device.unlocked',
  ): Promise<void> {
    const data = async () => {
      const device = await getDevice(stores, tenantId, id)
      return { device: deviceView(device, this.isConnected(device)) }
    }
    await stores.events.append(tenantId, { type, data })
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

function reasonTooLong(): DomainError {
  const message = `must not be longer than ${lockReasonLengthMax} characters`
  return new DomainError('invalid_request', 'The device cannot be locked like this.', {
    faults: [{ pointer: '/reason', code: 'out_of_range', message }],
  })
}
