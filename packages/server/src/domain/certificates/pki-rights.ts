import type { Caller } from '../callers/caller.ts'
import type { Scope } from '../callers/scopes.ts'
import { DomainError } from '../errors.ts'

/** Administrators of the tenant and of the AST surface. @throws DomainError `forbidden`, `tenant_not_found`. */
export function requirePkiReader(caller: Caller, tenantId: string): void {
  requireOneOf(caller, tenantId, ['tenant:read', 'ast:read'])
}

/** As {@link requirePkiReader}, and the tenant's apps: they check what was signed for them. */
export function requireSignerReader(caller: Caller, tenantId: string): void {
  if (caller.isAstClient && caller.tenantId === tenantId) return
  requirePkiReader(caller, tenantId)
}

/** @throws DomainError `forbidden`, `tenant_not_found`. */
export function requirePkiAdmin(caller: Caller, tenantId: string): void {
  requireOneOf(caller, tenantId, ['tenant:write', 'ast:write'])
}

function requireOneOf(caller: Caller, tenantId: string, scopes: readonly Scope[]): void {
  const held = scopes.find((scope) => caller.has(scope))
  if (held === undefined) throw new DomainError('forbidden', 'The credential lacks the scope.')
  caller.requireIn(tenantId, held)
}

/** The device itself, and nobody in its place. @throws DomainError `forbidden`. */
export function requireDevice(caller: Caller, tenantId: string, deviceId: string): void {
  if (caller.type === 'DEVICE' && caller.id === deviceId && caller.tenantId === tenantId) return
  throw new DomainError('forbidden', 'Only the device itself may do this.')
}
