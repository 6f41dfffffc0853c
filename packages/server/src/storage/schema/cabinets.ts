/** Key cabinets, what they may let whom do, and what they report. */
export interface CabinetTables {
  cabinet: CabinetTable
  cabinet_contact: CabinetContactTable
  cabinet_rights: CabinetRightsTable
  cabinet_acl: CabinetAclTable
  cabinet_acl_link: CabinetAclLinkTable
  cabinet_firmware: CabinetFirmwareTable
  cabinet_upload: CabinetUploadTable
  cabinet_upload_seen: CabinetUploadSeenTable
  cabinet_subscription: CabinetSubscriptionTable
  cabinet_tally: CabinetTallyTable
}

/** Registered cabinets of tenants; under `_platform` those that called and that nobody has registered, by their serial. */
export interface CabinetTable {
  tenant_id: string
  id: string
  ulid: string
  serial: string
  /** The serial in lower case: unique over all tenants. */
  folded_serial: string
  /** JSON. */
  config: string
  active: number
  online: number
  /** JSON objects that belong to the customer. */
  user_data: string
  subscribe_urls: string
  created_at: number
  updated_at: number
}

/** What changes with polls: narrow, and written by nothing else. */
export interface CabinetContactTable {
  tenant_id: string
  cabinet_id: string
  last_sync_at: number | null
  last_ip: string | null
  firmware_version: string | null
  install_code: string | null
  /** The setting that was answered last; the next poll's turn begins behind it. */
  answered: string | null
  /** The state of the lists that was put in front of everything else: once each. */
  told_locks: string | null
  told_users: string | null
  /** What a cabinet was told that does not report these settings. */
  told_pin_mode: number | null
  told_audit_enabled: number | null
}

/** Counts what changed a cabinet's lists, and has the digests of the state that was looked at last. */
export interface CabinetRightsTable {
  tenant_id: string
  cabinet_id: string
  version: number
  /** The version that the digests belong to; less than `version`: they are to be computed again. */
  digest_version: number
  lock_digest: string
  /** HMAC of the digest: over few users the digest itself would let their PINs be guessed. */
  user_digest_mac: string
}

export interface CabinetAclTable {
  tenant_id: string
  id: string
  ulid: string
  /** Counted up with every overwrite, over the whole tenant. */
  version: number
  user_count: number
  lock_count: number
  lock_digest: string
  user_digest_mac: string
  written_at: number
  created_at: number
  user_data: string
  /** Locks, users and their PIN hashes. */
  sealed_content: Uint8Array
}

export interface CabinetAclLinkTable {
  tenant_id: string
  acl_id: string
  cabinet_id: string
  ulid: string
  created_at: number
}

/** Service-wide: all rows stand under `_platform`. */
export interface CabinetFirmwareTable {
  tenant_id: string
  id: string
  type: string
  version: string
  /** The version with its length in front, so that newer ones are greater. */
  version_rank: string
  url: string
  created_at: number
  updated_at: number
}

/** Audit records as they came. Those that name no cabinet stand under `_platform`. */
export interface CabinetUploadTable {
  tenant_id: string
  /** Readable events are numbered in the order of their commits; an upload has those from `first_seq` to `last_seq`. */
  last_seq: number
  first_seq: number
  id: string
  cabinet_id: string | null
  serial: string | null
  content_type: string
  /** As the header says; null for JSON. */
  event_count: number | null
  header_ip: string | null
  body_hash: string
  received_at: number
  body_bytes: number
  body: Uint8Array
}

/** Uploads that were taken in; an equal one within 24 hours is not taken in again. */
export interface CabinetUploadSeenTable {
  tenant_id: string
  serial: string
  body_hash: string
  expires_at: number
}

export interface CabinetSubscriptionTable {
  tenant_id: string
  id: number
  endpoint_url: string
  fetch_limit: number
  read_interval: number
  /** ACTIVE or PAUSED. */
  status: string
  start_at: number
  /** The last event that was delivered; null until the reading begins at `start_at`. */
  position: number | null
  next_read_at: number
  last_read_at: number | null
  /** The last event of the batch that is under way; null: none is. */
  batch_end: number | null
  created_at: number
  updated_at: number
}

/** How many there are, so that no list has to count; and what is counted up to number things. */
export interface CabinetTallyTable {
  tenant_id: string
  name: string
  count: number
}
