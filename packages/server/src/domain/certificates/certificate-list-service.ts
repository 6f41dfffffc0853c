import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { decodeCursor, type Page, type PageRequest, pageOf } from '../paging.ts'
import type { Storage } from '../storage.ts'
import type { Certificate } from './certificate.ts'
import type { CertificateFilters } from './certificate-list-store.ts'
import { requirePkiReader } from './pki-rights.ts'

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
}
