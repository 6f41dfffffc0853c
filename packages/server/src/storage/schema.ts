import type { AppVersionTables } from './schema/app-versions.ts'
import type { ApprovalTables } from './schema/approvals.ts'
import type { AppTables } from './schema/apps.ts'
import type { CabinetTables } from './schema/cabinets.ts'
import type { CertificateTables } from './schema/certificates.ts'
import type { DeliveryTables } from './schema/delivery.ts'
import type { DeviceTables } from './schema/devices.ts'
import type { LocalizationTables } from './schema/localization.ts'
import type { NonceTables } from './schema/nonces.ts'
import type { OtpListTables } from './schema/otp-lists.ts'
import type { PropertyTables } from './schema/properties.ts'

/**
 * The whole database at a glance. Every table's primary key begins with `tenant_id`; what belongs to the platform itself
 * stands under `_platform`. Times are epoch milliseconds, flags 0 or 1, ids ULIDs unless the caller chose them, lists and
 * documents JSON text, everything secret sealed or hashed.
 */
export interface Schema
  extends OtpListTables,
    DeliveryTables,
    CertificateTables,
    DeviceTables,
    ApprovalTables,
    LocalizationTables,
    AppTables,
    PropertyTables,
    AppVersionTables,
    NonceTables,
    CabinetTables {
  platform_value: PlatformValueTable
  lease: LeaseTable
  tenant: TenantTable
  tenant_key: TenantKeyTable
  signing_key: SigningKeyTable
  service_account: ServiceAccountTable
  service_account_certificate: ServiceAccountCertificateTable
  trusted_issuer: TrustedIssuerTable
  trusted_issuer_keys: TrustedIssuerKeysTable
  idempotent_reply: IdempotentReplyTable
  user_domain: UserDomainTable
  app_user: AppUserTable
  user_lockout: UserLockoutTable
  user_identifier: UserIdentifierTable
  otp_product: OtpProductTable
  token_repository: TokenRepositoryTable
  otp_token: OtpTokenTable
  otp_factor: OtpFactorTable
  otp_assignment: OtpAssignmentTable
  download_ticket: DownloadTicketTable
  journal_queue: JournalQueueTable
  journal_record: JournalRecordTable
  journal_user: JournalUserTable
  journal_checkpoint: JournalCheckpointTable
}

/** Facts about the installation: the master key's check value, the next tenant number, progress of long work. */
export interface PlatformValueTable {
  tenant_id: string
  name: string
  value: string
}

/** Who may do a job that only one process may do at a time, and until when. */
export interface LeaseTable {
  tenant_id: string
  name: string
  holder: string
  until_ms: number
}

export interface TenantTable {
  tenant_id: string
  /** The id in lower case: ids are unique ignoring case, also those of deleted tenants. */
  folded_id: string
  number: number
  name: string
  /** ACTIVE, DISABLED, DELETED (the id stays taken, nothing else is left). */
  status: string
  /** JSON: only the settings that differ from the defaults. */
  settings: string
  /** Counted up with every change of the settings, so that readers can keep the parsed form. */
  settings_version: number
  settings_updated_at: number
  created_at: number
  updated_at: number
}

/** Data keys of a tenant, wrapped by a master key; during a change of the master key a version has two wraps. */
export interface TenantKeyTable {
  tenant_id: string
  version: number
  master_key_id: string
  wrapped: Uint8Array
  created_at: number
}

export interface SigningKeyTable {
  tenant_id: string
  kid: string
  /** audit, oauth, certificates, keyless. */
  purpose: string
  public_jwk: string
  sealed_private: Uint8Array
  created_at: number
  /** Null while the key signs. */
  retired_at: number | null
}

export interface ServiceAccountTable {
  tenant_id: string
  id: string
  ulid: string
  description: string
  scopes: string
  enabled: number
  expires_at: number | null
  allowed_addresses: string
  secret_hash: string
  previous_secret_hash: string | null
  previous_valid_until: number | null
  created_at: number
  updated_at: number
  secret_rotated_at: number
  last_used_at: number | null
}

export interface ServiceAccountCertificateTable {
  tenant_id: string
  account_id: string
  thumbprint: string
}

export interface TrustedIssuerTable {
  tenant_id: string
  id: string
  ulid: string
  issuer: string
  document: string
  enabled: number
  created_at: number
  updated_at: number
}

/** The last keys that were fetched of an issuer with a `jwksUri`. */
export interface TrustedIssuerKeysTable {
  tenant_id: string
  issuer_id: string
  jwks_uri: string
  /** Public keys as JSON. */
  document: string
  fetched_at: number
}

export interface IdempotentReplyTable {
  tenant_id: string
  /** SHA-256 over principal, method, path and key. */
  request_key: string
  body_hash: string
  /** RUNNING or DONE. */
  state: string
  status: number | null
  headers: string | null
  sealed_body: Uint8Array | null
  expires_at: number
}

export interface UserDomainTable {
  tenant_id: string
  /** The name in lower case. */
  folded_name: string
  ulid: string
  name: string
  dns_name: string | null
  folded_dns: string | null
  netbios_name: string | null
  folded_netbios: string | null
  description: string | null
  is_default: number
  repository_id: string | null
  created_at: number
  updated_at: number
}

export interface AppUserTable {
  tenant_id: string
  id: string
  ulid: string
  /** `folded_name` of the domain. */
  domain: string
  login_name: string
  folded_login: string
  display_name: string | null
  email: string | null
  folded_email: string | null
  status: string
  first_name: string | null
  last_name: string | null
  mobile: string | null
  telephone: string | null
  canonical_name: string | null
  principal_name: string | null
  description: string | null
  password_hash: string | null
  keyless_external_id: string | null
  /** Since when the user has a Keyless external id, and since when the present one. */
  keyless_external_created_at: number | null
  keyless_external_updated_at: number | null
  last_login_at: number | null
  /** The latest use of credentials that are gone; of present ones their own rows tell. */
  last_authenticated_at: number | null
  created_at: number
  updated_at: number
}

/** Failures and lock of a user over all credentials. No row: none. */
export interface UserLockoutTable {
  tenant_id: string
  user_id: string
  failure_count: number
  locked_at: number | null
  /** Null while locked: until unlocked. */
  locked_until: number | null
  /** FAILURES or ADMINISTRATOR; null while not locked. */
  lock_reason: string | null
}

export interface UserIdentifierTable {
  tenant_id: string
  scheme: string
  /** In the normal form of its scheme. */
  value: string
  /** Empty: nobody's any more, and never to be anybody's again. */
  user_id: string
}

export interface OtpProductTable {
  tenant_id: string
  id: string
  manufacturer_code: string
  product_code: string
  name: string
  model: string | null
  type: string
  algorithm: string
  digits: number
  period_seconds: number | null
  downloadable: number
  /** Windows in steps or counters; null: the tenant's settings rule. */
  accept_window: number | null
  hint_window: number | null
  search_window: number | null
  created_at: number
}

export interface TokenRepositoryTable {
  tenant_id: string
  id: string
  name: string
  description: string | null
  parent_id: string | null
  /** `folded_name` of the domain. */
  domain: string | null
  created_at: number
}

export interface OtpTokenTable {
  tenant_id: string
  id: string
  product_id: string
  repository_id: string | null
  serial: string
  identifier: string
  type: string
  algorithm: string
  digits: number
  period_seconds: number | null
  status: string
  description: string | null
  /** GENERATED, PROVIDED or IMPORTED. */
  origin: string
  confined: number
  /** What the maker's seed file allows; assignments stay within. */
  starts_at: number | null
  expires_at: number | null
  sealed_secret: Uint8Array
  created_at: number
  updated_at: number
}

/** The part of a token that every accepted code writes: narrow, so that a page holds many. */
export interface OtpFactorTable {
  tenant_id: string
  token_id: string
  /** HOTP: next expected counter. */
  next_counter: number
  /** TOTP: last accepted step; -1: none. */
  last_step: number
  /** TOTP: steps the token is ahead of the server. */
  drift_steps: number
  last_used_at: number | null
  last_used_by: string | null
}

export interface OtpAssignmentTable {
  tenant_id: string
  token_id: string
  user_id: string
  id: string
  is_owner: number
  /** ACTIVE, INACTIVE, LOCKED, DISABLED. */
  status: string
  pin_hash: string | null
  failure_count: number
  /** Null while LOCKED: until unlocked. */
  locked_until: number | null
  /** FAILURES or ADMINISTRATOR; null while not LOCKED. */
  lock_reason: string | null
  starts_at: number | null
  expires_at: number | null
  usage_limit: number
  use_count: number
  priority: number
  created_at: number
  updated_at: number
}

/** One-time links to a token's credential; an assignment has one at most. */
export interface DownloadTicketTable {
  tenant_id: string
  /** SHA-256 of the ticket, hex. */
  ticket_hash: string
  token_id: string
  user_id: string
  expires_at: number
  /** OPEN, SPENT, REVOKED. */
  state: string
  created_at: number
}

/**
 * Records as their transactions wrote them, waiting for the sealer. The canonical JSON text is cut where `prevHash` and
 * `seq` will stand, so that sealing needs no parsing.
 */
export interface JournalQueueTable {
  tenant_id: string
  id: string
  head: string
  middle: string
  tail: string
}

/** The chain. `body` is the canonical JSON text of the record without `hash`; the other columns are there to be searched. */
export interface JournalRecordTable {
  tenant_id: string
  seq: number
  id: string
  action: string
  outcome: string
  surface: string
  actor_id: string | null
  user_id: string | null
  target_type: string | null
  target_id: string | null
  at: number
  body: string
  hash: string
}

/** Which records are about a user, for those up to a seq that the tenant remembers. */
export interface JournalUserTable {
  tenant_id: string
  user_id: string
  seq: number
}

export interface JournalCheckpointTable {
  tenant_id: string
  id: string
  seq: number
  hash: string
  first_seq: number
  at: number
  reason: string
  previous: string | null
  jws: string
}
