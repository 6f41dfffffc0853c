import { devicesPerUserMax } from '../devices/device.ts'
import type { DeviceEnding } from '../devices/device-ending.ts'
import type { Stores } from '../storage.ts'
import { isVisibleTo, type PropertyHead } from './property.ts'

/** What became of a property; undefined where there was or is none. */
export interface PropertyChange {
  readonly before: PropertyHead | undefined
  readonly after: PropertyHead | undefined
  /** The device that made the change knows of it. */
  readonly byDeviceId?: string
}

type Told = Readonly<Record<string, string | number>>

/** Tells devices of changes of properties that they may see, and only if the property says so. */
export class PropertyNews {
  readonly #ending: DeviceEnding

  constructor({ ending }: { ending: DeviceEnding }) {
    this.#ending = ending
  }

  /** Writes the events in the running transaction. @returns the devices to wake after it. */
  async tell(
    stores: Stores,
    { before, after, byDeviceId }: PropertyChange,
  ): Promise<readonly string[]> {
    const owner = after ?? before
    const events = eventsOf(before, after)
    if (owner === undefined || events.length === 0) return []
    const { tenantId, userId } = owner
    const devices = await devicesOf(stores, owner)
    const others = devices.filter((id) => id !== byDeviceId)
    for (const deviceId of others) {
      for (const data of events) {
        const place = { tenantId, deviceId, userId }
        await this.#ending.tell(stores, place, 'property.changed', data)
      }
    }
    return others
  }

  wake(tenantId: string, deviceIds: readonly string[]): void {
    this.#ending.wake(tenantId, deviceIds)
  }
}

async function devicesOf(stores: Stores, owner: PropertyHead): Promise<readonly string[]> {
  const { tenantId, userId, deviceId } = owner
  if (deviceId !== null) return [deviceId]
  return stores.deviceLinks.listDevicesOfUser(tenantId, userId, devicesPerUserMax)
}

/** To devices a property is what they see under a name: hidden or renamed it is gone, shown it is new. */
function eventsOf(before: PropertyHead | undefined, after: PropertyHead | undefined): Told[] {
  const former = before !== undefined && isVisibleTo('CLIENT', before) ? before : undefined
  const present = after !== undefined && isVisibleTo('CLIENT', after) ? after : undefined
  const isSame = former !== undefined && former.name === present?.name
  const events: Told[] = []
  if (former?.notify === true && !isSame) {
    events.push({ owner: ownerOf(former), name: former.name, change: 'deleted' })
  }
  if (present?.notify === true) {
    const change = isSame ? 'updated' : 'created'
    const { name, version } = present
    events.push({ owner: ownerOf(present), name, change, version })
  }
  return events
}

function ownerOf({ deviceId }: PropertyHead): 'user' | 'device' {
  return deviceId === null ? 'user' : 'device'
}
