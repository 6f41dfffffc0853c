/** Roots and signers, certificates, and what was revoked. */
export interface CertificateTables {
  certificate_issuer: CertificateIssuerTable
  certificate: CertificateTable
  certified_key: CertifiedKeyTable
  issued_certificate: IssuedCertificateTable
  crl_shard: CrlShardTable
}

/** The root, `root`, and the signers of a tenant. */
export interface CertificateIssuerTable {
  tenant_id: string
  id: string
  name: string
  /** -1 for the root; 0 for the first signer. */
  generation: number
  /** ROOT; ACTIVE (at most one), RETIRED, REVOKED. */
  state: string
  /** Its name in DER. */
  subject: Uint8Array
  /** 1 once a certificate was requested from it. */
  is_used: number
  /** Serial numbers given out, those included that were never used: tells which shard comes next. */
  issued_count: number
  /** Its key in `signing_key`; null until its first certificate is issued. */
  kid: string | null
  /** Hashes of its public point, hex: how OCSP names it. */
  key_sha1: string | null
  key_sha256: string | null
  /** DER; null until issued, and after revocation. */
  certificate: Uint8Array | null
  not_before: number | null
  not_after: number | null
  created_at: number
  updated_at: number
}

/** A certificate under the reference by which it was requested; that of a signer has the signer's id. */
export interface CertificateTable {
  tenant_id: string
  id: string
  profile: string
  /** REQUESTED, ISSUED, FAILED, REVOKED. A renewal is REQUESTED again, with the serial of the old certificate. */
  status: string
  issuer_id: string
  user_id: string | null
  device_id: string | null
  /** SubjectPublicKeyInfo that was asked for; null for signers. */
  public_key: Uint8Array | null
  requested_at: number
  issued_at: number | null
  /** Hex: of the certificate that is valid now. */
  serial: string | null
  not_after: number | null
  revoked_at: number | null
  revocation_reason: string | null
  failure: string | null
  /** When it is to be issued, while REQUESTED; somebody who issues it moves it ahead. */
  due_at: number
  claim: string | null
  updated_at: number
}

/** Whose key it is: nobody else gets a certificate for it. */
export interface CertifiedKeyTable {
  tenant_id: string
  /** RFC 7638, base64url. */
  thumbprint: string
  device_id: string
  user_id: string
}

/** Every certificate that was ever signed. */
export interface IssuedCertificateTable {
  tenant_id: string
  /** Hex, lower case, without leading zeros. */
  serial: string
  certificate_id: string
  issuer_id: string
  /** Which of the issuer's revocation lists it would be on. */
  shard: number
  der: Uint8Array
  not_before: number
  not_after: number
  issued_at: number
  revoked_at: number | null
  revocation_reason: string | null
  /** 1, 2, 3 in its shard. */
  revocation_number: number | null
}

/** A revocation list for a bounded part of an issuer's certificates. */
export interface CrlShardTable {
  tenant_id: string
  issuer_id: string
  shard: number
  revoked_count: number
  /** How many of them `entries` has. */
  listed_count: number
  crl_number: number
  /** Entries in DER, one after another. */
  entries: Uint8Array
  /** The list as signed last; null before the first time. */
  der: Uint8Array | null
  /** 1 when it says which part of the certificates it is about. */
  is_partial: number
  this_update: number
}
