/** The id of a tenant's root among its issuers. */
export const rootId = 'root'
/** Signers count from 0. */
export const rootGeneration = -1

/** ACTIVE issues; RETIRED is only verified by; REVOKED neither, its certificate is erased. */
export type SignerState = 'ACTIVE' | 'RETIRED' | 'REVOKED'

/** A certificate authority of a tenant: its root or one of its signers. */
export interface Issuer {
  readonly tenantId: string
  /** `root`, or a ULID. */
  readonly id: string
  readonly name: string
  /** 0 for the first signer, one more for each that follows; -1 for the root. */
  readonly generation: number
  readonly state: SignerState | 'ROOT'
  /** Its name in DER. */
  readonly subject: Uint8Array
  readonly isUsed: boolean
  readonly issuedCount: number
  /** Undefined until its first certificate is issued. */
  readonly kid: string | undefined
  /** Its certificate in DER; undefined until issued, and after revocation. */
  readonly certificate: Uint8Array | undefined
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

/** A signer as callers see it. */
export interface Signer extends Issuer {
  readonly state: SignerState
}

/** The hashes under which OCSP names an issuer's key, hex. */
export interface KeyHashes {
  readonly sha1: string
  readonly sha256: string
}

export function isSigner(issuer: Issuer | undefined): issuer is Signer {
  return issuer !== undefined && issuer.state !== 'ROOT'
}
