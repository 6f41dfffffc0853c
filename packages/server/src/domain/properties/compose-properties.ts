import type { Vault } from '#custody/vault.ts'
import type { Clock } from '../clock.ts'
import type { DeviceEnding } from '../devices/device-ending.ts'
import type { Storage } from '../storage.ts'
import type { IdSource } from '../ulid.ts'
import type { UserSchemeService } from '../users/user-scheme-service.ts'
import { DevicePropertyService } from './device-property-service.ts'
import { PropertyContents } from './property-contents.ts'
import { PropertyNews } from './property-news.ts'
import { PropertyService } from './property-service.ts'

export interface PropertyParts {
  /** As the portal deals with them. */
  readonly properties: PropertyService
  /** As devices do. */
  readonly deviceProperties: DevicePropertyService
}

/** Builds what properties need by plain constructors. */
export function composeProperties(dependencies: {
  storage: Storage
  vault: Vault
  clock: Clock
  nextId: IdSource
  userSchemes: UserSchemeService
  ending: DeviceEnding
}): PropertyParts {
  const contents = new PropertyContents(dependencies)
  const news = new PropertyNews(dependencies)
  const base = { ...dependencies, contents, news }
  return {
    properties: new PropertyService(base),
    deviceProperties: new DevicePropertyService(base),
  }
}
