import type { Caller } from '../callers/caller.ts'
import type { Scope } from '../callers/scopes.ts'
import { requireOneOf } from '../devices/device-rights.ts'
import { DomainError } from '../errors.ts'
import type { Approval } from './approval.ts'

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

/** Auditors too. @throws DomainError `forbidden`; `tenant_not_found`. */
export function requireEvidenceReader(caller: Caller, tenantId: string): void {
  requireOneOf(caller, tenantId, [...rightsOf(caller).read, 'audit:read'])
}

/** @throws DomainError `forbidden`; `tenant_not_found`. */
export function requireApprovalWriter(caller: Caller, tenantId: string): void {
  requireOneOf(caller, tenantId, rightsOf(caller).write)
}

/**
 * What a caller may see of what was found.
 *
 * @param also a scope that lets it see everything here.
 * @throws DomainError `approval_not_found`, also for one that somebody else made.
 */
export function visibleApproval(
  caller: Caller,
  approval: Approval | undefined,
  also?: Scope,
): Approval {
  const seesAll = seesAllApprovals(caller) || (also !== undefined && caller.has(also))
  if (approval === undefined || !(seesAll || approval.createdBy === caller.id)) {
    throw approvalNotFound()
  }
  return approval
}

export function approvalNotFound(): DomainError {
  return new DomainError('approval_not_found', 'No such approval.')
}

/** @returns false for a caller that reaches only what it made itself. */
export function seesAllApprovals(caller: Caller): boolean {
  return rightsOf(caller).all.some((scope) => caller.has(scope))
}
