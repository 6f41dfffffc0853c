import { DomainError } from '../errors.ts'
import type { Storage } from '../storage.ts'
import type { SigningKey } from '../tenants/signing-key-store.ts'
import { type Issuer, rootId } from './issuer.ts'
import type { RootService } from './root-service.ts'

/** What devices of a tenant trust. */
export interface Trust {
  readonly anchor: Uint8Array
  readonly signers: readonly {
    readonly id: string
    readonly state: 'ACTIVE' | 'RETIRED'
    readonly certificate: Uint8Array
  }[]
}

/** More than a tenant has in a century of yearly rotation. */
const trustedSignersMax = 200

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

  /**
   * The issuer whose revocation lists are asked for; a revoked signer keeps its last ones.
   *
   * @throws DomainError as `get`.
   */
  async withLists(tenantId: string, issuerId: string): Promise<Issuer> {
    if (issuerId === rootId) return this.#roots.ensure(tenantId)
    const issuer = await this.#storage.read.pki.issuers.find(tenantId, issuerId)
    const hasLists = issuer?.certificate !== undefined || issuer?.state === 'REVOKED'
    if (issuer === undefined || !hasLists) throw noSuchSigner()
    return issuer
  }

  /** The issuer's certificate and those above it, DER. @throws DomainError as `get`. */
  async chain(tenantId: string, issuerId: string): Promise<Uint8Array[]> {
    const { certificate } = await this.get(tenantId, issuerId)
    return issuerId === rootId ? [certificate] : [certificate, await this.#roots.anchor(tenantId)]
  }

  /** What a device trusts: the anchor, and the signers that are ACTIVE or RETIRED, newest first; all DER. */
  async trust(tenantId: string): Promise<Trust> {
    const anchor = await this.#roots.anchor(tenantId)
    const trusted = await this.#storage.read.pki.issuers.listTrusted(tenantId, trustedSignersMax)
    const signers = trusted.flatMap(({ id, state, certificate }) =>
      certificate === undefined || (state !== 'ACTIVE' && state !== 'RETIRED')
        ? []
        : [{ id, state, certificate }],
    )
    return { anchor, signers }
  }

  /** The key with which an issuer answers for what it issued. @throws DomainError `signer_not_found`. */
  async signingKey({ tenantId, kid }: Issuer): Promise<SigningKey> {
    const key = await this.#findKey(tenantId, kid)
    if (key === undefined) throw noSuchSigner()
    return key
  }

  /** True for a revoked signer that signs nothing any more, not even lists. */
  async isClosed({ tenantId, state, kid }: Issuer): Promise<boolean> {
    return state === 'REVOKED' && (await this.#findKey(tenantId, kid)) === undefined
  }

  async #findKey(tenantId: string, kid: string | undefined): Promise<SigningKey | undefined> {
    return kid === undefined ? undefined : this.#storage.read.signingKeys.find(tenantId, kid)
  }
}

function noSuchSigner(): DomainError {
  return new DomainError('signer_not_found', 'No such signer.')
}
