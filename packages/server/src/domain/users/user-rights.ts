import type { Caller, SurfaceName } from '../callers/caller.ts'
import type { Scope } from '../callers/scopes.ts'

interface Rights {
  readonly read: Scope
  readonly write: Scope
}

const native: Rights = { read: 'tenant:read', write: 'tenant:write' }

/** Each door has its own right over users (platform.md, section 2): one that was granted for another does not count. */
const rightsBySurface: Record<SurfaceName, Rights> = {
  native,
  system: native,
  device: native,
  okm: native,
  ast: { read: 'ast:read', write: 'ast:write' },
  dualshield: { read: 'dualshield:management', write: 'dualshield:management' },
  'otp-server': { read: 'otp-server:verify', write: 'otp-server:admin' },
  keyless: { read: 'keyless:backend', write: 'keyless:backend' },
}

/** @throws DomainError `forbidden`; `tenant_not_found`. */
export function requireUserReader(caller: Caller, tenantId: string): void {
  caller.requireIn(tenantId, rightsBySurface[caller.surface].read)
}

/** @throws DomainError `forbidden`; `tenant_not_found`. */
export function requireUserWriter(caller: Caller, tenantId: string): void {
  caller.requireIn(tenantId, rightsBySurface[caller.surface].write)
}
