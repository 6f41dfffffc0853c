import {
  type Cabinet,
  type CabinetConfig,
  type CabinetDraft,
  defaultCabinetConfig,
  type InitialContact,
} from '#domain/cabinets/cabinet.ts'
import type { Schemas } from './contract.gen.ts'
import { fromInstantOrNull, toInstantOrNull } from './wire.ts'

/** An old setting that is kept for compatibility: it is always this. */
const retailConfig = 2

/** What a body says of a cabinet, absent members as the contract defaults them. */
export function fromOkm(body: Schemas['OkmInput']): CabinetDraft {
  return {
    id: body.id,
    serial: body.serial,
    config: fromConfig(body.config ?? {}),
    active: body.active ?? true,
    online: body.online ?? false,
    userData: body.user_data ?? {},
    subscribeUrls: body.subscribe_urls ?? {},
  }
}

/** What else a cabinet may be registered with. */
export function fromOkmContact(body: Schemas['OkmInput']): InitialContact {
  return {
    lastSyncAtMs: fromInstantOrNull(body.last_sync_time, '/last_sync_time'),
    firmwareVersion: body.fw_version,
  }
}

function fromConfig(config: Schemas['OkmConfigInput']): CabinetConfig {
  const defaults = defaultCabinetConfig
  return {
    contactType: config.contact_type ?? defaults.contactType,
    checkoutWindowSeconds: config.checkout_window ?? defaults.checkoutWindowSeconds,
    cacheMode: config.cache_mode ?? defaults.cacheMode,
    pinMode: config.pin_mode ?? defaults.pinMode,
    auditEnabled: config.audit_enabled ?? defaults.auditEnabled,
    pollingIntervalSeconds: config.polling_interval ?? defaults.pollingIntervalSeconds,
    cardReader: config.card_reader ?? defaults.cardReader,
  }
}

/** Members in the order of the published examples. */
export function toOkm(cabinet: Cabinet): Schemas['Okm'] {
  const { config } = cabinet
  return {
    id: cabinet.id,
    serial: cabinet.serial,
    customer: cabinet.tenantId,
    active: cabinet.active,
    online: cabinet.online,
    user_data: cabinet.userData,
    config: {
      contact_type: config.contactType as 0 | 1,
      checkout_window: config.checkoutWindowSeconds,
      cache_mode: config.cacheMode,
      pin_mode: config.pinMode,
      card_reader: config.cardReader,
      audit_enabled: config.auditEnabled,
      retail_config: retailConfig,
      polling_interval: config.pollingIntervalSeconds,
    },
    last_sync_time: toInstantOrNull(cabinet.lastSyncAtMs),
    subscribe_urls: cabinet.subscribeUrls,
    fw_version: cabinet.firmwareVersion,
  }
}
