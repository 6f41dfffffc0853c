import type { Queries } from '#storage/queries.ts'
import { CertificateListStore } from './certificate-list-store.ts'
import { CertificateStore } from './certificate-store.ts'
import { IssuanceStore } from './issuance-store.ts'
import { IssuerStore } from './issuer-store.ts'
import { PkiSearchStore } from './pki-search-store.ts'
import { RevocationStore } from './revocation-store.ts'

/** The stores of the certificate authority. */
export class PkiStores {
  readonly issuers: IssuerStore
  readonly certificates: CertificateStore
  readonly certificateLists: CertificateListStore
  readonly issuance: IssuanceStore
  readonly revocations: RevocationStore
  readonly search: PkiSearchStore

  constructor(queries: Queries) {
    this.issuers = new IssuerStore(queries)
    this.certificates = new CertificateStore(queries)
    this.certificateLists = new CertificateListStore(queries)
    this.issuance = new IssuanceStore(queries)
    this.revocations = new RevocationStore(queries)
    this.search = new PkiSearchStore(queries)
  }
}
