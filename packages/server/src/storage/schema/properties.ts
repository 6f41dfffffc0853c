/** Typed values of users, and of users on one device. */
export interface PropertyTables {
  property: PropertyTable
}

/** The value stands last: rows are searched without reading it. */
export interface PropertyTable {
  tenant_id: string
  id: string
  user_id: string
  /** Empty: the user's on all devices. A null would let a name come twice. */
  device_id: string
  name: string
  /** OCTETSTRING, INTEGER, BOOLEAN, UTF8STRING, DATE. */
  type: string
  /** 1 devices, 2 other services, 4 the portal, added up; 0: everybody. */
  visibility: number
  read_only: number
  notify: number
  in_keystorage: number
  /** 0, 512, 768. */
  cp_flags: number
  /** Counted up by every change, from 1. */
  version: number
  created_at: number
  updated_at: number
  /** INTEGER and DATE: a text that sorts as the values do; null for other types, and when sealed. */
  order_key: string | null
  /** Null when sealed. */
  value: string | null
  sealed_value: Uint8Array | null
}
