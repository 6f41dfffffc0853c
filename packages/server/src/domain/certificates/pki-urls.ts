import type { IssuerUrls } from '@countersign/protocol/certificate/profiles.ts'

/** Where what we issue says that its issuer, its lists and OCSP are. */
export class PkiUrls {
  readonly #publicUrl: () => string

  constructor(publicUrl: () => string) {
    this.#publicUrl = publicUrl
  }

  /** What a certificate of this issuer says. */
  of(tenantId: string, issuerId: string, shard: number): IssuerUrls {
    const pki = this.#pki(tenantId)
    return {
      crl: this.crl(tenantId, issuerId, shard),
      ocsp: `${pki}/ocsp`,
      caIssuers: `${pki}/issuers/${issuerId}/certificate`,
    }
  }

  /** The revocation list of one part of an issuer's certificates; the first part has the list's plain address. */
  crl(tenantId: string, issuerId: string, shard: number): string {
    const list = `${this.#pki(tenantId)}/issuers/${issuerId}/crl`
    return shard === 0 ? list : `${list}/${shard}`
  }

  #pki(tenantId: string): string {
    return `${this.#publicUrl()}/pki/${encodeURIComponent(tenantId)}`
  }
}
