import type { Caller } from '../callers/caller.ts'
import type { Scope } from '../callers/scopes.ts'
import { DomainError } from '../errors.ts'

/**
 * The right to do something that several scopes allow.
 *
 * @throws DomainError `forbidden` without any of them; `tenant_not_found` for another tenant's caller.
 */
export function requireOneOf(caller: Caller, tenantId: string, scopes: readonly Scope[]): void {
  const held = scopes.find((scope) => caller.has(scope))
  if (held === undefined) throw new DomainError('forbidden', 'The credential lacks the scope.')
  caller.requireIn(tenantId, held)
}

/**
 * AST has a right of its own to read devices; one that was granted for another door does not count there.
 *
 * @throws DomainError `forbidden`; `tenant_not_found`.
 */
export function requireDeviceReader(caller: Caller, tenantId: string): void {
  const scopes: readonly Scope[] =
    caller.surface === 'ast' ? ['ast:read'] : ['tenant:read', 'verify', 'keyless:backend']
  requireOneOf(caller, tenantId, scopes)
}
