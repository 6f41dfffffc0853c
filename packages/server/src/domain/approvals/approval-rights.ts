import type { Caller } from '../callers/caller.ts'
import type { Scope } from '../callers/scopes.ts'
import { requireOneOf } from '../devices/device-rights.ts'

interface Rights {
  readonly read: readonly Scope[]
  readonly write: readonly Scope[]
  /** Whoever has none of these sees only what it made itself. */
  readonly all: readonly Scope[]
}

const native: Rights = {
  read: ['tenant:read', 'verify'],
  write: ['tenant:write', 'verify'],
  all: ['tenant:read'],
}

/** Each door has its own right over approvals; one that was granted for another does not count. */
function rightsOf({ surface }: Caller): Rights {
  if (surface === 'ast') return { read: ['ast:read'], write: ['ast:write'], all: ['ast:read'] }
  if (surface === 'keyless') {
    return { read: ['keyless:backend'], write: ['keyless:backend'], all: ['keyless:backend'] }
  }
  return native
}

/** @throws DomainError `forbidden`; `tenant_not_found`. */
export function requireApprovalReader(caller: Caller, tenantId: string): void {
  requireOneOf(caller, tenantId, rightsOf(caller).read)
}

/** @throws DomainError `forbidden`; `tenant_not_found`. */
export function requireApprovalWriter(caller: Caller, tenantId: string): void {
  requireOneOf(caller, tenantId, rightsOf(caller).write)
}

/** @returns false for a caller that reaches only what it made itself. */
export function seesAllApprovals(caller: Caller): boolean {
  return rightsOf(caller).all.some((scope) => caller.has(scope))
}
