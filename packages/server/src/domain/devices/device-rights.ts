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
