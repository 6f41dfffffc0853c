import { EcdsaVerifier, KeyCustody } from '#custody/key-custody.ts'
import type { Randomness } from '#custody/randomness.ts'
import type { Vault } from '#custody/vault.ts'
import type { Clock } from '../clock.ts'
import type { Storage } from '../storage.ts'
import type { IdSource } from '../ulid.ts'
import { ActiveSigner } from './active-signer.ts'
import { CertificateListService } from './certificate-list-service.ts'
import { CertificateService } from './certificate-service.ts'
import { CustomerKeys } from './customer-keys.ts'
import { Issuance, type IssuanceObserver } from './issuance.ts'
import { OcspService } from './ocsp-service.ts'
import { PkiUrls } from './pki-urls.ts'
import { PublicIssuers } from './public-issuers.ts'
import { RevocationListService } from './revocation-list-service.ts'
import { RootService } from './root-service.ts'
import { SdkConfigService } from './sdk-config-service.ts'
import { SignatureCertificates } from './signature-certificates.ts'
import { SignerClosing } from './signer-closing.ts'
import { SignerService } from './signer-service.ts'

/** Everything of the certificate authority. */
export interface CertificateParts {
  readonly custody: KeyCustody
  readonly verifier: EcdsaVerifier
  readonly roots: RootService
  readonly issuance: Issuance
  readonly certificates: CertificateService
  readonly certificateLists: CertificateListService
  readonly signers: SignerService
  readonly signerClosing: SignerClosing
  readonly publicIssuers: PublicIssuers
  readonly revocationLists: RevocationListService
  readonly ocsp: OcspService
  readonly signatureCertificates: SignatureCertificates
  readonly customerKeys: CustomerKeys
  readonly sdkConfigs: SdkConfigService
  readonly activeSigner: ActiveSigner
}

/** Builds the certificate authority by plain constructors. */
export function composeCertificates(dependencies: {
  storage: Storage
  vault: Vault
  randomness: Randomness
  clock: Clock
  nextId: IdSource
  publicUrl: () => string
  /** How long a transaction may be under way that has looked at the clock. */
  lateCommitMs: number
  observer: IssuanceObserver
}): CertificateParts {
  const custody = new KeyCustody(dependencies.vault)
  const verifier = new EcdsaVerifier()
  const urls = new PkiUrls(dependencies.publicUrl)
  const base = { ...dependencies, custody, verifier, urls }
  const roots = new RootService(base)
  const issuance = new Issuance({ ...base, roots })
  const issuers = new PublicIssuers({ ...base, roots })
  const activeSigner = new ActiveSigner({ ...base, roots })
  const revocationLists = new RevocationListService({ ...base, issuers })
  return {
    custody,
    verifier,
    roots,
    issuance,
    certificates: new CertificateService({ ...base, issuance }),
    certificateLists: new CertificateListService(base),
    signers: new SignerService({ ...base, roots, issuance }),
    signerClosing: new SignerClosing({ ...base, revocationLists }),
    publicIssuers: issuers,
    revocationLists,
    ocsp: new OcspService({ ...base, issuers }),
    signatureCertificates: new SignatureCertificates({ ...base, roots }),
    customerKeys: new CustomerKeys(base),
    sdkConfigs: new SdkConfigService({ ...base, activeSigner }),
    activeSigner,
  }
}
