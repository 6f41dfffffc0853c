/** ACTIVE and DISABLED tenants exist; a DELETED one only keeps its id taken. */
export type TenantStatus = 'ACTIVE' | 'DISABLED'

/** A customer of the installation, with keys, users and a journal of its own. */
export interface Tenant {
  readonly id: string
  /** Server-wide ordinal, from 1. */
  readonly number: number
  readonly name: string
  readonly status: TenantStatus
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

const tenantIdPattern = /^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$/

/** True for what may name a tenant or an account. */
export function isPlainId(text: string): boolean {
  return tenantIdPattern.test(text)
}

/** Ids are compared exactly but are unique ignoring case; they are ASCII. */
export function foldTenantId(id: string): string {
  return id.toLowerCase()
}
