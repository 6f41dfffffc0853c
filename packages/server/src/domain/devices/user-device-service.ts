import type { Caller } from '../callers/caller.ts'
import type { Condition } from '../conditions/condition.ts'
import { DomainError } from '../errors.ts'
import type { Storage, Stores } from '../storage.ts'
import type { UserSchemeService } from '../users/user-scheme-service.ts'
import { type Device, devicesPerUserMax } from './device.ts'
import { type DeviceEnding, deviceNotFound } from './device-ending.ts'
import type { DeviceService } from './device-service.ts'

/** Which of a user's devices; ids that are not the user's mean nothing. */
export interface DeviceSelection {
  readonly which: 'ALL' | 'ONLY' | 'ALL_BUT'
  readonly deviceIds: readonly string[]
}

/** A user's devices as AST callers deal with them: users by the names of `settings.ast.userSchemes`. */
export class UserDeviceService {
  readonly #storage: Storage
  readonly #devices: DeviceService
  readonly #users: UserSchemeService
  readonly #ending: DeviceEnding

  constructor(dependencies: {
    storage: Storage
    devices: DeviceService
    userSchemes: UserSchemeService
    ending: DeviceEnding
  }) {
    this.#storage = dependencies.storage
    this.#devices = dependencies.devices
    this.#users = dependencies.userSchemes
    this.#ending = dependencies.ending
  }

  /**
   * Those that fit the condition, in order of enrolment; none for a name that is nobody's.
   *
   * @param condition fields: id, appName, platform, appVersion, sdkVersion, lockState.
   * @throws DomainError `forbidden`, `tenant_not_found`; `invalid_request` for a condition that cannot be asked.
   */
  async list(
    caller: Caller,
    tenantId: string,
    userName: string,
    condition: Condition | undefined,
  ): Promise<Device[]> {
    const userId = await this.#users.find(caller, tenantId, userName)
    const user = { tenantId, userId: userId ?? '' }
    // Asked for nobody too: a condition that cannot be asked is refused whoever is named.
    return this.#storage.read.deviceSearch.listOfUser(user, condition, devicesPerUserMax)
  }

  /**
   * The names of the users that are linked to a device, the oldest link first.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `device_not_found`.
   */
  async userNames(caller: Caller, tenantId: string, deviceId: string): Promise<string[]> {
    const { links } = await this.#devices.get(caller, tenantId, deviceId)
    const names: string[] = []
    for (const { userId } of links) names.push(await this.#users.nameOf(caller, tenantId, userId))
    return names
  }

  /**
   * Ends one link. The device stays; what was issued for the user on it is revoked.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `user_not_found`; `device_not_found` also for one that the user
   *   is not linked to.
   */
  async unlinkOne(
    caller: Caller,
    tenantId: string,
    link: { readonly userName: string; readonly deviceId: string },
  ): Promise<void> {
    caller.requireIn(tenantId, 'ast:write')
    const userId = await this.#users.get(caller, tenantId, link.userName)
    const { deviceId } = link
    await this.#storage.transaction(async (stores) => {
      await stores.tenants.requireFor(caller, tenantId)
      const isLinked = await this.#ending.endLink(stores, caller, { tenantId, deviceId, userId })
      if (!isLinked) throw deviceNotFound()
    })
    this.#ending.wake(tenantId, [deviceId])
  }

  /**
   * Ends the user's links to the selected devices, all or none of them. A name that is nobody's has none.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`.
   */
  async unlink(
    caller: Caller,
    tenantId: string,
    userName: string,
    selection: DeviceSelection,
  ): Promise<void> {
    await this.#end(caller, tenantId, userName, selection, (stores, key) =>
      this.#ending.endLink(stores, caller, key),
    )
  }

  /**
   * Ends all links of the user, and deletes the devices that are nobody else's. A name that is nobody's has none.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`.
   */
  async removeAll(caller: Caller, tenantId: string, userName: string): Promise<void> {
    const all = { which: 'ALL', deviceIds: [] } as const
    await this.#end(caller, tenantId, userName, all, async (stores, key) => {
      const { deviceId } = key
      const links = await stores.deviceLinks.listOfDevice(tenantId, deviceId, 2)
      if (links.some(({ userId }) => userId !== key.userId)) {
        await this.#ending.endLink(stores, caller, key)
      } else {
        await this.#ending.removeDevice(stores, caller, { tenantId, deviceId })
      }
    })
  }

  /**
   * Closes the event streams of the selected devices and voids their access tokens, one device after the other. A name
   * that is nobody's has none.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`.
   */
  async disconnect(
    caller: Caller,
    tenantId: string,
    userName: string,
    selection: DeviceSelection,
  ): Promise<void> {
    caller.requireIn(tenantId, 'ast:write')
    const userId = await this.#users.find(caller, tenantId, userName)
    if (userId === undefined) return
    for (const { id } of selected(
      await devicesOf(this.#storage.read, tenantId, userId),
      selection,
    )) {
      await this.#devices.disconnect(caller, tenantId, id).catch(unlessGone)
    }
  }

  /** Does something to the selected devices of a user in one transaction, then wakes them. */
  async #end(
    caller: Caller,
    tenantId: string,
    userName: string,
    selection: DeviceSelection,
    work: (
      stores: Stores,
      key: { tenantId: string; deviceId: string; userId: string },
    ) => Promise<unknown>,
  ): Promise<void> {
    caller.requireIn(tenantId, 'ast:write')
    const userId = await this.#users.find(caller, tenantId, userName)
    if (userId === undefined) return
    const ended = await this.#storage.transaction(async (stores) => {
      await stores.tenants.requireFor(caller, tenantId)
      const devices = selected(await devicesOf(stores, tenantId, userId), selection)
      for (const { id } of devices) await work(stores, { tenantId, deviceId: id, userId })
      return devices.map(({ id }) => id)
    })
    this.#ending.wake(tenantId, ended)
  }
}

function devicesOf(stores: Stores, tenantId: string, userId: string): Promise<Device[]> {
  return stores.devices.listOfUser(tenantId, userId, devicesPerUserMax)
}

function selected(
  devices: readonly Device[],
  { which, deviceIds }: DeviceSelection,
): readonly Device[] {
  if (which === 'ALL') return devices
  const named = new Set(deviceIds)
  return devices.filter(({ id }) => named.has(id) === (which === 'ONLY'))
}

/** Deleted in the same moment: it is disconnected. */
function unlessGone(error: unknown): void {
  if (error instanceof DomainError && error.code === 'device_not_found') return
  throw error
}
