import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import type { Condition } from '../conditions/condition.ts'
import { decodeCursor, type Page, type PageRequest, pageOf } from '../paging.ts'
import type { Storage } from '../storage.ts'
import type { Certificate } from './certificate.ts'
import type { CertificateFilters } from './certificate-list-store.ts'
import { isSigner, type Signer } from './issuer.ts'
import { requirePkiReader } from './pki-rights.ts'
import type { FoundPage } from './pki-search-store.ts'

/** A page by number, and what is on it. */
export interface Search {
  readonly condition?: Condition | undefined
  /** From 1. */
  readonly page: number
  readonly pageSize: number
}

/** The inventory of certificates. */
export class CertificateListService {
  readonly #storage: Storage
  readonly #clock: Clock

  constructor(dependencies: { storage: Storage; clock: Clock }) {
    this.#storage = dependencies.storage
    this.#clock = dependencies.clock
  }

  /**
   * Certificates and requests in order of their first request, those that fit every filter.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `cursor_invalid`.
   */
  async list(
    caller: Caller,
    tenantId: string,
    { filters, limit, cursor }: PageRequest & { filters: CertificateFilters },
  ): Promise<Page<Certificate>> {
    requirePkiReader(caller, tenantId)
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    const { userId, deviceId, status, issuer } = filters
    const scope = {
      list: 'certificates',
      tenantId,
      filters: { userId, deviceId, status, issuer },
      nowMs: this.#clock(),
    }
    const [afterId = ''] = decodeCursor(cursor, ['text'], scope) ?? []
    const rows = await this.#storage.read.pki.certificateLists.list(tenantId, filters, {
      afterId,
      limit: limit + 1,
    })
    return pageOf(
      rows,
      limit,
      scope,
      ({ id }) => [id],
      (certificate) => certificate,
    )
  }

  /**
   * Certificates whose validity ends by a moment, soonest first; those that ended are among them.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `cursor_invalid`.
   */
  async listExpiring(
    caller: Caller,
    tenantId: string,
    { untilMs, limit, cursor }: PageRequest & { untilMs: number },
  ): Promise<Page<Certificate>> {
    requirePkiReader(caller, tenantId)
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    const scope = {
      list: 'expiring-certificates',
      tenantId,
      filters: { untilMs },
      nowMs: this.#clock(),
    }
    const [afterMs = 0, afterId = ''] = decodeCursor(cursor, ['integer', 'text'], scope) ?? []
    const rows = await this.#storage.read.pki.certificateLists.listExpiring(tenantId, {
      untilMs,
      afterMs,
      afterId,
      limit: limit + 1,
    })
    return pageOf(
      rows,
      limit,
      scope,
      ({ notAfterMs, id }) => [notAfterMs ?? 0, id],
      (certificate) => certificate,
    )
  }

  /**
   * Certificates and requests that fit a condition, newest first, by number of page.
   *
   * @param search.condition fields: id, profile, issuer, user, device, status, and requestStatus, which has no REVOKED.
   * @throws DomainError `forbidden`, `tenant_not_found`; `invalid_request` for a condition that cannot be asked.
   */
  async search(caller: Caller, tenantId: string, search: Search): Promise<FoundPage<Certificate>> {
    requirePkiReader(caller, tenantId)
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    const { condition, page, pageSize } = search
    return this.#storage.read.pki.search.searchCertificates(tenantId, condition, {
      offset: (page - 1) * pageSize,
      limit: pageSize,
    })
  }

  /**
   * Signers that fit a condition, newest first, by number of page.
   *
   * @param search.condition fields: id, name, generation, state, createdAt and updatedAt (epoch milliseconds).
   * @throws DomainError as `search`.
   */
  async searchSigners(
    caller: Caller,
    tenantId: string,
    search: Search,
  ): Promise<FoundPage<Signer>> {
    requirePkiReader(caller, tenantId)
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    const { condition, page, pageSize } = search
    const found = await this.#storage.read.pki.search.searchSigners(tenantId, condition, {
      offset: (page - 1) * pageSize,
      limit: pageSize,
    })
    return { ...found, items: found.items.filter(isSigner) }
  }
}
