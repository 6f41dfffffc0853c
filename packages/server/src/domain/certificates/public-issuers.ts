import { DomainError } from '../errors.ts'
import type { Storage } from '../storage.ts'
import type { SigningKey } from '../tenants/signing-key-store.ts'
import { type Issuer, rootId } from './issuer.ts'
import type { RootService } from './root-service.ts'

/** Issuers as anybody may see them: those that have a certificate. */
export class PublicIssuers {
  readonly #storage: Storage
  readonly #roots: RootService

  constructor(dependencies: { storage: Storage; roots: RootService }) {
    this.#storage = dependencies.storage
    this.#roots = dependencies.roots
  }

  /** @throws DomainError `tenant_not_found`; `signer_not_found`, also for one without certificate. */
  async get(tenantId: string, issuerId: string): Promise<Issuer & { certificate: Uint8Array }> {
    const issuer =
      issuerId === rootId
        ? await this.#roots.ensure(tenantId)
        : await this.#storage.read.pki.issuers.find(tenantId, issuerId)
    const certificate = issuer?.certificate
    if (issuer === undefined || certificate === undefined) throw noSuchSigner()
    return { ...issuer, certificate }
  }

  /** The issuer's certificate and those above it, DER. @throws DomainError as `get`. */
  async chain(tenantId: string, issuerId: string): Promise<Uint8Array[]> {
    const { certificate } = await this.get(tenantId, issuerId)
    return issuerId === rootId ? [certificate] : [certificate, await this.#roots.anchor(tenantId)]
  }

  /** The key with which an issuer answers for what it issued. @throws DomainError `signer_not_found`. */
  async signingKey({ tenantId, kid }: Issuer): Promise<SigningKey> {
    const key =
      kid === undefined ? undefined : await this.#storage.read.signingKeys.find(tenantId, kid)
    if (key === undefined) throw noSuchSigner()
    return key
  }
}

function noSuchSigner(): DomainError {
  return new DomainError('signer_not_found', 'No such signer.')
}
