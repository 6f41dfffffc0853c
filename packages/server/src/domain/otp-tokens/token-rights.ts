import type { Caller } from '../callers/caller.ts'
import type { Scope } from '../callers/scopes.ts'

/** DualShield has a right of its own over tokens; one that was granted for another door does not count there. */
function scopeFor(caller: Caller, native: Scope): Scope {
  return caller.surface === 'dualshield' ? 'dualshield:management' : native
}

/** The right to see products, repositories, tokens and assignments. @throws DomainError `forbidden`; `tenant_not_found`. */
export function requireTokenReader(caller: Caller, tenantId: string): void {
  caller.requireIn(tenantId, scopeFor(caller, 'tenant:read'))
}

/** The right to change them. @throws DomainError `forbidden`; `tenant_not_found`. */
export function requireTokenAdmin(caller: Caller, tenantId: string): void {
  caller.requireIn(tenantId, scopeFor(caller, 'tenant:write'))
}
