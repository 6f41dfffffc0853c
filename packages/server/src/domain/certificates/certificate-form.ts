import { toPem } from '@countersign/protocol/certificate/pem.ts'
import type { Certificate } from './certificate.ts'

/** A certificate as the platform API and its events show it. */
export function nativeCertificate(certificate: Certificate) {
  const { der } = certificate
  return {
    id: certificate.id,
    profile: certificate.profile,
    status: certificate.status,
    issuer: certificate.issuerId,
    userId: certificate.userId,
    deviceId: certificate.deviceId,
    serialNumber: certificate.serial,
    notBefore: instant(certificate.notBeforeMs),
    notAfter: instant(certificate.notAfterMs),
    requestedAt: new Date(certificate.requestedAtMs).toISOString(),
    issuedAt: instant(certificate.issuedAtMs),
    revokedAt: instant(certificate.revokedAtMs),
    revocationReason: certificate.revocationReason,
    pem: der === null ? null : toPem('CERTIFICATE', der),
  }
}

function instant(atMs: number | null): string | null {
  return atMs === null ? null : new Date(atMs).toISOString()
}
