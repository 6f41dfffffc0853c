import type { LinkedDevice } from '#domain/devices/device.ts'
import { type DeviceLink, factorsOf } from '#domain/devices/device.ts'
import type { DeviceEvent } from '#domain/devices/device-event-store.ts'
import type { Schemas } from './contract.gen.ts'

/** Milliseconds since the epoch as the contract's `Instant`. */
export function instant(ms: number): string {
  return new Date(ms).toISOString()
}

export function toLink(link: DeviceLink): Schemas['Link'] {
  return {
    userId: link.userId,
    linkedAt: instant(link.linkedAtMs),
    factors: factorsOf(link),
    ...(link.bioThumbprint === null ? {} : { bioKeyThumbprint: link.bioThumbprint }),
  }
}

export function toDevice(device: LinkedDevice): Schemas['Device'] {
  const { name, model, osName, osVersion } = device
  return {
    deviceId: device.id,
    tenantId: device.tenantId,
    keyThumbprint: device.keyThumbprint,
    ...(name === null ? {} : { name }),
    ...(model === null ? {} : { model }),
    ...(osName === null ? {} : { osName }),
    ...(osVersion === null ? {} : { osVersion }),
    app: toApp(device),
    pushRegistered: device.pushToken !== null,
    locales: [...device.locales],
    createdAt: instant(device.createdAtMs),
    links: device.links.map(toLink),
  }
}

function toApp({ app }: LinkedDevice): Schemas['AppFacts'] {
  const { name, platform, architecture, versionStr, sdkVersion, integrity, risks } = app
  return {
    name,
    platform,
    architecture,
    versionStr,
    sdkVersion,
    ...(integrity === undefined ? {} : { integrity }),
    ...(risks === undefined ? {} : { risks }),
  }
}

/** In the contract's order of members: streams and polls write the same text. */
export function toEvent({ id, type, createdAtMs, data }: DeviceEvent): Schemas['Event'] {
  return { id, type, createdAt: instant(createdAtMs), data } as Schemas['Event']
}
