import type { Caller } from '../callers/caller.ts'
import type { Stores } from '../storage.ts'
import type { Certificate, RevocationReason } from './certificate.ts'
import { nativeCertificate } from './certificate-form.ts'

/**
 * Revokes everything that was ever issued under a reference, in the running transaction: on the next list and OCSP
 * answer at once.
 *
 * @returns false when it was revoked before, or nothing was issued.
 */
export async function revokeCertificate(
  stores: Stores,
  caller: Caller,
  certificate: Certificate,
  { reason, nowMs }: { reason: RevocationReason; nowMs: number },
): Promise<boolean> {
  const { tenantId, id, userId, profile, deviceId } = certificate
  if (!(await stores.pki.certificates.revoke({ tenantId, id, reason, nowMs }))) return false
  for (const { serial, issuerId, shard } of await stores.pki.issuance.listUnrevoked(tenantId, id)) {
    await stores.pki.revocations.revoke(
      { tenantId, issuerId, shard },
      { serial, reason, atMs: nowMs },
    )
  }
  await stores.journal.append(caller, tenantId, {
    action: 'certificate.revoked',
    target: { type: 'certificate', id },
    ...(userId === null ? {} : { userId }),
    detail: { profile, reason, serialNumber: certificate.serial, deviceId },
  })
  await stores.events.append(tenantId, {
    type: 'certificate.revoked',
    data: async () => {
      const present = await stores.pki.certificates.find(tenantId, id)
      return { certificate: nativeCertificate(present ?? certificate) }
    },
  })
  return true
}

/**
 * Ends a reference in the running transaction: revokes what was issued, else fails what was asked for.
 *
 * @param ending.failure what the request says then.
 */
export async function endCertificate(
  stores: Stores,
  caller: Caller,
  certificate: Certificate,
  ending: { reason: RevocationReason; failure: string; nowMs: number },
): Promise<void> {
  const { tenantId, id } = certificate
  const { failure, nowMs } = ending
  if (await revokeCertificate(stores, caller, certificate, ending)) return
  if (await stores.pki.certificates.fail({ tenantId, id, failure, nowMs })) return
  // It was issued between the two.
  await revokeCertificate(stores, caller, certificate, ending)
}
