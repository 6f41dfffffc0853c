export interface OtpListTables {
  otp_list_method: OtpListMethodTable
  otp_list: OtpListTable
  otp_list_code: OtpListCodeTable
  otp_list_lockout: OtpListLockoutTable
}

export interface OtpListMethodTable {
  tenant_id: string
  name: string
  id: string
  description: string
  otp_window_size: number
  otp_length: number
  otp_alphabet: string
  list_size: number
  /** SEQUENTIAL or RANDOM. */
  ask_order: string
  /** NUMERIC or BLOCK. */
  index_format: string
  index_block_size: number
  free_list_max_age_seconds: number
  associated_list_max_age_seconds: number
  max_age_limit_seconds: number
  renew_threshold: number
  max_failures: number
  lock_seconds: number
  /** Of the HMACs in `otp_list_code`. */
  sealed_key: Uint8Array
  created_at: number
  updated_at: number
}

/** The part of a list that every accepted code writes, with the settings under which the list was made. */
export interface OtpListTable {
  tenant_id: string
  id: string
  method: string
  /** FREE, ASSOCIATED, ACTIVE. An expired row behaves as if it were gone. */
  status: string
  /** Null while FREE. */
  user_id: string | null
  size: number
  otp_length: number
  otp_alphabet: string
  ask_order: string
  index_format: string
  index_block_size: number
  /** Codes that were neither accepted nor skipped; it only ever falls. */
  remaining: number
  /** Which code is asked for next, from 1; null when used up. */
  next_position: number | null
  expires_at: number | null
  last_used_at: number | null
  created_at: number
  updated_at: number
}

/** The codes of a list, written once with the list. */
export interface OtpListCodeTable {
  tenant_id: string
  list_id: string
  /** One HMAC-SHA-256 of 32 bytes a code, in the order in which codes are asked for. */
  code_tags: Uint8Array
  /** The position of each of them, 16 bits big-endian; null: 1, 2, 3 and so on. */
  positions: Uint8Array | null
}

/** Failures and lock of a user over the lists of one method. No row: none. */
export interface OtpListLockoutTable {
  tenant_id: string
  user_id: string
  /** Not its name: a method that is made anew under the same name knows no failures. */
  method_id: string
  failure_count: number
  /** Null while not locked. */
  locked_until: number | null
}
