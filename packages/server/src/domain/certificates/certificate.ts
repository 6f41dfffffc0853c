import type { ProfileName } from '@countersign/protocol/certificate/profiles.ts'

/** What devices may ask for. */
export type DeviceProfile = 'AST_DEVICE' | 'SIGNATURE' | 'TLS_CLIENT'
/** A certificate that can be asked for by reference; roots have none. */
export type RequestedProfile = Exclude<ProfileName, 'ROOT'>

/** A renewal is REQUESTED again; the certificate it had before works on. */
export type CertificateStatus = 'REQUESTED' | 'ISSUED' | 'FAILED' | 'REVOKED'

/** Reasons of RFC 5280 section 5.3.1 and their numbers. */
export const revocationReasons = {
  UNSPECIFIED: 0,
  KEY_COMPROMISE: 1,
  AFFILIATION_CHANGED: 3,
  SUPERSEDED: 4,
  CESSATION_OF_OPERATION: 5,
  PRIVILEGE_WITHDRAWN: 9,
} as const
export type RevocationReason = keyof typeof revocationReasons

/** A certificate under the reference by which it was requested. */
export interface Certificate {
  readonly tenantId: string
  /** The reference; that of a signer's certificate is the signer's id. */
  readonly id: string
  readonly profile: RequestedProfile
  readonly status: CertificateStatus
  /** `root`, or the id of the signer. */
  readonly issuerId: string
  /** Null for signers, as the device. */
  readonly userId: string | null
  readonly deviceId: string | null
  readonly requestedAtMs: number
  /** Of the present certificate, as everything below; null until the first one is issued. */
  readonly issuedAtMs: number | null
  /** Hex, lower case. */
  readonly serial: string | null
  readonly der: Uint8Array | null
  readonly notBeforeMs: number | null
  readonly notAfterMs: number | null
  readonly revokedAtMs: number | null
  readonly revocationReason: RevocationReason | null
  /** Why it could not be issued. */
  readonly failure: string | null
}

/** A certificate as it was signed, by its serial number. */
export interface IssuedCertificate {
  readonly serial: string
  readonly certificateId: string
  readonly issuerId: string
  readonly shard: number
  readonly der: Uint8Array
  readonly notAfterMs: number
  readonly revokedAtMs: number | null
  readonly revocationReason: RevocationReason | null
}

/** Certificates of an issuer that share a revocation list: bounds what one revocation costs. */
export const shardSize = 4_096

/** The last part of what an issuer has issued; there is always a first one. */
export function lastShardOf(issuedCount: number): number {
  return Math.max(0, Math.ceil(issuedCount / shardSize) - 1)
}
