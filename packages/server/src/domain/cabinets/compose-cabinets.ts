import type { Randomness } from '#custody/randomness.ts'
import type { Vault } from '#custody/vault.ts'
import type { Clock } from '../clock.ts'
import type { Core } from '../core.ts'
import type { Storage } from '../storage.ts'
import type { OutboundRule } from '../tenants/outbound-rule.ts'
import type { SettingsService } from '../tenants/settings-service.ts'
import type { IdSource } from '../ulid.ts'
import { AclLinkService } from './acl-link-service.ts'
import { AclService } from './acl-service.ts'
import { CabinetService } from './cabinet-service.ts'
import { CallableUrls } from './callable-urls.ts'
import { ContactRecorder } from './contact-recorder.ts'
import { FirmwareService } from './firmware-service.ts'
import { ListDigester } from './list-digester.ts'
import { NewestFirmware } from './newest-firmware.ts'

/** What the services of key cabinets are made of. */
export interface CabinetDependencies {
  readonly storage: Storage
  readonly vault: Vault
  readonly clock: Clock
  readonly nextId: IdSource
  readonly randomness: Randomness
  readonly settings: SettingsService
  readonly outbound: OutboundRule
}

/** The services of key cabinets, and what the process keeps running for them. */
export interface CabinetParts {
  readonly services: Pick<Core, 'cabinets' | 'cabinetAcls' | 'cabinetAclLinks' | 'cabinetFirmware'>
  readonly contacts: ContactRecorder
}

/** Builds the services by plain constructors. */
export function composeCabinets(dependencies: CabinetDependencies): CabinetParts {
  const contacts = new ContactRecorder(dependencies)
  const digester = new ListDigester(dependencies)
  const newestFirmware = new NewestFirmware(dependencies)
  const callableUrls = new CallableUrls(dependencies)
  const base = { ...dependencies, contacts, digester, newestFirmware, callableUrls }
  return {
    services: {
      cabinets: new CabinetService(base),
      cabinetAcls: new AclService(base),
      cabinetAclLinks: new AclLinkService(base),
      cabinetFirmware: new FirmwareService(base),
    },
    contacts,
  }
}
