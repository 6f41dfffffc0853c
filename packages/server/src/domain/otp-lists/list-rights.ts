import type { Caller } from '../callers/caller.ts'
import type { Scope } from '../callers/scopes.ts'

/** The OTP Server has rights of its own over lists; one that was granted for another door does not count there. */
function scopeFor(caller: Caller, native: Scope, otpServer: Scope): Scope {
  return caller.surface === 'otp-server' ? otpServer : native
}

/** The right to see methods and lists. @throws DomainError `forbidden`; `tenant_not_found`. */
export function requireListReader(caller: Caller, tenantId: string): void {
  caller.requireIn(tenantId, scopeFor(caller, 'tenant:read', 'otp-server:admin'))
}

/** The right to know one method by its name. @throws DomainError `forbidden`; `tenant_not_found`. */
export function requireMethodReader(caller: Caller, tenantId: string): void {
  caller.requireIn(tenantId, scopeFor(caller, 'tenant:read', 'otp-server:verify'))
}

/** The right to change them. @throws DomainError `forbidden`; `tenant_not_found`. */
export function requireListWriter(caller: Caller, tenantId: string): void {
  caller.requireIn(tenantId, scopeFor(caller, 'tenant:write', 'otp-server:admin'))
}

/** The right to see which lists one user has. @throws DomainError `forbidden`; `tenant_not_found`. */
export function requireUserInfoReader(caller: Caller, tenantId: string): void {
  caller.requireIn(tenantId, scopeFor(caller, 'tenant:read', 'otp-server:verify'))
}
