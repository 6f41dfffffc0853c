/** What portals show so that a device logs a user in there. */
export interface NonceTables {
  portal_nonce: PortalNonceTable
  nonce_attempts: NonceAttemptsTable
}

export interface PortalNonceTable {
  tenant_id: string
  /** HMAC-SHA-256 over tenant and nonce, hex: no two nonces of a tenant are alike while both are here. */
  nonce_hash: string
  id: string
  /** LOGIN_NONCE, TMS_NONCE. */
  action: string
  portal_session_id: string
  callback_url: string
  /** JSON: the transaction that starts with a TMS_NONCE. */
  tms: string | null
  created_by: string
  created_at: number
  expires_at: number
  /** Null: not yet; the device and the user that did it stand beside it. */
  redeemed_at: number | null
  device_id: string | null
  user_id: string | null
}

/** Nonces that a device, or a user on whatever device, named and that were none. */
export interface NonceAttemptsTable {
  tenant_id: string
  /** `device/` or `user/` and the id. */
  subject: string
  failures: number
  /** Until when they count. */
  until_ms: number
}
