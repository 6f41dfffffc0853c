import type { Caller } from '#domain/callers/caller.ts'
import { DomainError } from '#domain/errors.ts'

/**
 * The customer of a request: the token's, which whatever names a customer must name.
 *
 * @throws DomainError `tenant_not_found` for another one.
 */
export function customerOf(caller: Caller, ...named: readonly (string | undefined)[]): string {
  const { tenantId } = caller
  const isOwn = named.every((name) => name === undefined || name === tenantId)
  if (tenantId === null || !isOwn) {
    throw new DomainError('tenant_not_found', 'The customer is not that of the token.')
  }
  return tenantId
}

/**
 * A customer that the caller may administer: its own, or any for accounts of the platform.
 *
 * @throws DomainError `tenant_not_found` for another one.
 */
export function customerInReach(caller: Caller, named: string): string {
  return caller.isPlatform ? named : customerOf(caller, named)
}
