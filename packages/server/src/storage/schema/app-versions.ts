/** Versions of apps, and what is known of their integrity. */
export interface AppVersionTables {
  app_version: AppVersionTable
  app_registration: AppRegistrationTable
  app_vote: AppVoteTable
}

export interface AppVersionTable {
  tenant_id: string
  id: string
  app_name: string
  platform: string
  /** 19 decimal digits, so that text compares as the number does; beyond what a safe integer holds. */
  number: string
  /** The same, as people write it. */
  version_str: string
  /** As callers name users; need not be anybody. */
  register_user_id: string
  is_locked: number
  checks_integrity: number
  created_at: number
  updated_at: number
}

/** The integrity value that counts for a version on an architecture. */
export interface AppRegistrationTable {
  tenant_id: string
  version_id: string
  architecture: string
  integrity: string
  /** The user, as the version or policy names them, or `quorum`. */
  registered_by: string
  sdk_version: string
  registered_at: number
}

/** What a device reported where a quorum is to register a value. A device has one architecture and one vote a version. */
export interface AppVoteTable {
  tenant_id: string
  device_id: string
  version_id: string
  architecture: string
  integrity: string
  voted_at: number
}
