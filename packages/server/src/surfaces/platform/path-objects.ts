import type { Caller } from '#domain/callers/caller.ts'
import type { CheckedPath } from '#http/surface-options.ts'
import type { PlatformCore } from './endpoint.ts'

/**
 * Looks for the objects that a path names, before the body is read: what is not there is 404, whatever was sent to it.
 * Endpoints without a body look themselves.
 *
 * @throws DomainError `..._not_found`.
 */
export async function requirePathObjects(path: CheckedPath<PlatformCore, Caller>): Promise<void> {
  const { core, caller, operation } = path
  const {
    tenantId,
    serviceAccountId,
    issuerId,
    domain,
    userId,
    tokenId,
    endpointId,
    certificateId,
    deviceId,
  } = path.params as Partial<Record<string, string>>
  // Public paths name tenants to anybody.
  if (caller.type === 'ANONYMOUS') return
  if (tenantId !== undefined) await core.tenants.requireVisible(caller, tenantId)
  if (operation.requestBody === undefined) return
  if (serviceAccountId !== undefined)
    await core.serviceAccounts.getVisible(caller, serviceAccountId)
  if (tenantId === undefined) return
  if (issuerId !== undefined) await core.trustedIssuers.get(caller, tenantId, issuerId)
  if (domain !== undefined) await core.userDomains.get(caller, tenantId, domain)
  if (endpointId !== undefined) await core.webhooks.get(caller, tenantId, endpointId)
  if (certificateId !== undefined) await core.pki.certificates.get(caller, tenantId, certificateId)
  if (deviceId !== undefined) await core.devices.get(caller, tenantId, deviceId)
  if (tokenId !== undefined) await core.otpTokens.get(caller, tenantId, tokenId)
  else if (userId !== undefined) await core.users.get(caller, tenantId, userId)
}
