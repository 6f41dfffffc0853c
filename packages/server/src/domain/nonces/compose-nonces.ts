import type { Randomness } from '#custody/randomness.ts'
import type { Vault } from '#custody/vault.ts'
import type { TmsService } from '../approvals/tms-service.ts'
import type { CertificateParts } from '../certificates/certificate-parts.ts'
import type { Clock } from '../clock.ts'
import type { DeviceWakeups } from '../devices/device-wakeups.ts'
import type { Storage } from '../storage.ts'
import type { OutboundRule } from '../tenants/outbound-rule.ts'
import type { SettingsService } from '../tenants/settings-service.ts'
import type { IdSource } from '../ulid.ts'
import type { UserSchemeService } from '../users/user-scheme-service.ts'
import { NonceCallbackKind } from './nonce-callback-kind.ts'
import { NonceExpiry } from './nonce-expiry.ts'
import { NonceHasher } from './nonce-hasher.ts'
import { NoncePreviewService } from './nonce-preview-service.ts'
import { NonceRedemptionService } from './nonce-redemption-service.ts'
import { NonceService } from './nonce-service.ts'

/** Everything of nonces that portals show. */
export interface NonceParts {
  readonly nonces: NonceService
  readonly nonceRedemptions: NonceRedemptionService
  readonly noncePreviews: NoncePreviewService
  readonly nonceExpiry: NonceExpiry
  readonly nonceCallbacks: NonceCallbackKind
}

/** Builds what nonces need by plain constructors. */
export function composeNonces(dependencies: {
  storage: Storage
  vault: Vault
  clock: Clock
  nextId: IdSource
  randomness: Randomness
  settings: SettingsService
  userSchemes: UserSchemeService
  outbound: OutboundRule
  wakeups: DeviceWakeups
  pki: CertificateParts
  tms: TmsService
}): NonceParts {
  const base = { ...dependencies, hasher: new NonceHasher(dependencies) }
  return {
    nonces: new NonceService(base),
    nonceRedemptions: new NonceRedemptionService(base),
    noncePreviews: new NoncePreviewService(base),
    nonceExpiry: new NonceExpiry(dependencies),
    nonceCallbacks: new NonceCallbackKind({ ...base, activeSigner: base.pki.activeSigner }),
  }
}
