/** Devices, their users, keys, sessions and events. */
export interface DeviceTables {
  device: DeviceTable
  device_link: DeviceLinkTable
  enrolled_key: EnrolledKeyTable
  device_pin: DevicePinTable
  enrolment_code: EnrolmentCodeTable
  device_token: DeviceTokenTable
  device_proof: DeviceProofTable
  device_event: DeviceEventTable
}

export interface DeviceTable {
  tenant_id: string
  id: string
  /** RFC 7638 thumbprint of the device key, base64url. */
  key_thumbprint: string
  /** JSON: kty, crv, x, y. */
  public_jwk: string
  /** ACTIVE, DELETED (kept: its key is never enrolled again, and old evidence names it). */
  status: string
  /** DEVICE, AST, KEYLESS. */
  enrolled_via: string
  name: string | null
  model: string | null
  os_name: string | null
  os_version: string | null
  app_name: string
  platform: string
  architecture: string
  app_version: string
  sdk_version: string
  integrity: string | null
  risks: string | null
  /** Provider prefix and token; at most one device of the tenant has it. */
  push_token: string | null
  /** JSON: BCP 47 tags, preferred first. */
  locales: string
  /** NONE, LOCKED, UNLOCKED. */
  lock_state: string
  lock_reason: string | null
  lock_changed_at: number | null
  /** Counted up by whatever voids all access tokens of the device. */
  session_epoch: number
  created_at: number
  updated_at: number
  last_seen_at: number | null
  last_success_at: number | null
  last_failure_at: number | null
  deleted_at: number | null
}

/** A user on a device. An ended link stays: it names the devices that a user once had. */
export interface DeviceLinkTable {
  tenant_id: string
  device_id: string
  user_id: string
  /** Counted up when the link ends, so that its access tokens are void for ever. */
  epoch: number
  linked_at: number
  ended_at: number | null
  /** JSON, or null: no biometric key. */
  bio_jwk: string | null
  bio_thumbprint: string | null
  /** The key statement as the device key signed it, compact JWS. */
  key_statement: string
  /** The same payload as the biometric key signed it. */
  bio_statement: string | null
  /** The last verification that may be carried over; null after whatever ends it. */
  verified_at: number | null
  /** pin, bio. */
  verified_factor: string | null
  last_success_at: number | null
  last_failure_at: number | null
}

/** Every key that ever was enrolled on this server, under `_platform`: no key comes twice, in no tenant. */
export interface EnrolledKeyTable {
  tenant_id: string
  thumbprint: string
  owner_tenant_id: string
  device_id: string
  /** DEVICE, BIO. */
  purpose: string
  created_at: number
}

/** A user's PIN on all devices, and the lock of all factors. */
export interface DevicePinTable {
  tenant_id: string
  user_id: string
  /** argon2id with the platform's pepper; null: no PIN, only failures. */
  pin_hash: string | null
  failures: number
  locked_until: number | null
  updated_at: number
}

export interface EnrolmentCodeTable {
  tenant_id: string
  id: string
  /** SHA-256 of the code in ASCII, base64url: `codeHash` of the key statement. */
  code_hash: string
  user_id: string | null
  external_user_id: string | null
  /** PENDING, USED, REVOKED; a pending one after `expires_at` is EXPIRED. */
  status: string
  failures: number
  device_name: string | null
  created_by: string
  created_at: number
  expires_at: number
  used_at: number | null
  device_id: string | null
  /** Of the device that used it: the same device may repeat its enrolment for ten minutes. */
  key_thumbprint: string | null
}

export interface DeviceTokenTable {
  tenant_id: string
  /** SHA-256 of the access token, hex. */
  token_hash: string
  device_id: string
  /** Null: a device without users. */
  user_id: string | null
  /** Space-separated. */
  scope: string
  factor: string | null
  verified_at: number | null
  session_epoch: number
  link_epoch: number | null
  issued_at: number
  expires_at: number
}

/** Replay memory: what a key signed for one use. */
export interface DeviceProofTable {
  tenant_id: string
  key_thumbprint: string
  jti: string
  until_ms: number
}

export interface DeviceEventTable {
  tenant_id: string
  device_id: string
  id: string
  /** Null: for whoever uses the device. */
  user_id: string | null
  type: string
  /** JSON. */
  data: string
  created_at: number
}
