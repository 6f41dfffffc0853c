import type { Randomness } from '#custody/randomness.ts'
import type { Vault } from '#custody/vault.ts'
import type { Clock } from '../clock.ts'
import type { Core } from '../core.ts'
import type { DeliveryKind } from '../outbox/delivery-kind.ts'
import type { Storage } from '../storage.ts'
import type { OutboundRule } from '../tenants/outbound-rule.ts'
import { PlatformSecret } from '../tenants/platform-secret.ts'
import type { SettingsService } from '../tenants/settings-service.ts'
import type { IdSource } from '../ulid.ts'
import { AccessLists } from './access-lists.ts'
import { AclLinkService } from './acl-link-service.ts'
import { AclService } from './acl-service.ts'
import { CabinetAuditService } from './audit-service.ts'
import { AuditSubscriptionService } from './audit-subscription-service.ts'
import { CabinetService } from './cabinet-service.ts'
import { CallableUrls } from './callable-urls.ts'
import { callbackDeliveryKinds } from './callback-kinds.ts'
import { ContactRecorder } from './contact-recorder.ts'
import { DeviceTrust, type DeviceTrustRule } from './device-trust.ts'
import { EventFeed } from './event-feed.ts'
import { FirmwareService } from './firmware-service.ts'
import { ListDigester } from './list-digester.ts'
import { NewestFirmware } from './newest-firmware.ts'
import { CabinetPollService } from './poll-service.ts'
import { UnclaimedCabinets } from './unclaimed-cabinets.ts'
import { UploadExpiry } from './upload-expiry.ts'

/** What the services of key cabinets are made of. */
export interface CabinetDependencies {
  readonly storage: Storage
  readonly vault: Vault
  readonly clock: Clock
  readonly nextId: IdSource
  readonly randomness: Randomness
  readonly settings: SettingsService
  readonly outbound: OutboundRule
  readonly okm: CabinetOptions
}

/** What the operator decides about cabinets: the COUNTERSIGN_OKM_ variables. */
export interface CabinetOptions {
  readonly deviceTrust: DeviceTrustRule
  readonly unclaimedMax: number
  /** For uploads that name no cabinet, and for tenants without a destination of their own. */
  readonly auditDestinationUrl: string | undefined
}

/** For a core that no device calls. */
export const noCabinets: CabinetOptions = {
  deviceTrust: { kind: 'allowlist', ranges: [] },
  unclaimedMax: 0,
  auditDestinationUrl: undefined,
}

/** The services of key cabinets, and what the process keeps running for them. */
export interface CabinetParts {
  readonly services: Pick<
    Core,
    | 'cabinets'
    | 'cabinetAcls'
    | 'cabinetAclLinks'
    | 'cabinetFirmware'
    | 'cabinetPolls'
    | 'cabinetAudit'
    | 'auditSubscriptions'
    | 'deviceTrust'
  >
  readonly contacts: ContactRecorder
  readonly eventFeed: EventFeed
  readonly uploadExpiry: UploadExpiry
  readonly deliveryKinds: readonly DeliveryKind[]
}

/** Builds the services by plain constructors. */
export function composeCabinets(dependencies: CabinetDependencies): CabinetParts {
  const contacts = new ContactRecorder(dependencies)
  const digestKey = new PlatformSecret(dependencies, 'cabinet-digest-key')
  const digester = new ListDigester({ digestKey })
  const newestFirmware = new NewestFirmware(dependencies)
  const callableUrls = new CallableUrls(dependencies)
  const accessLists = new AccessLists({ ...dependencies, digester })
  const { okm, clock } = dependencies
  const unclaimed = new UnclaimedCabinets({ ...dependencies, unclaimedMax: okm.unclaimedMax })
  const base = {
    ...dependencies,
    accessLists,
    unclaimed,
    contacts,
    digester,
    newestFirmware,
    callableUrls,
  }
  return {
    services: {
      cabinets: new CabinetService(base),
      cabinetAcls: new AclService(base),
      cabinetAclLinks: new AclLinkService(base),
      cabinetFirmware: new FirmwareService(base),
      cabinetPolls: new CabinetPollService(base),
      cabinetAudit: new CabinetAuditService({ ...base, ...okm }),
      auditSubscriptions: new AuditSubscriptionService(base),
      deviceTrust: new DeviceTrust({ rule: okm.deviceTrust, clock }),
    },
    contacts,
    eventFeed: new EventFeed(base),
    uploadExpiry: new UploadExpiry(base),
    deliveryKinds: callbackDeliveryKinds({
      ...base,
      ...okm,
      platformCallbackKey: new PlatformSecret(dependencies, 'cabinet-callback-key'),
    }),
  }
}
