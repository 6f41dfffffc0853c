import type { Queries } from '#storage/queries.ts'
import { dynamicStatement, nothing } from '#storage/statement.ts'
import type { Certificate, CertificateStatus } from './certificate.ts'
import { asCertificate, certificatesWithDer } from './certificate-store.ts'

export interface CertificateFilters {
  readonly userId?: string | undefined
  readonly deviceId?: string | undefined
  readonly status?: CertificateStatus | undefined
  /** `root`, or a signer's id. */
  readonly issuer?: string | undefined
}

/** The inventory. Every filter has an index, and a user and a device have few certificates. */
export class CertificateListStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** In order of id, which is that of the first request. */
  async list(
    tenantId: string,
    { userId, deviceId, status, issuer }: CertificateFilters,
    { afterId, limit }: { afterId: string; limit: number },
  ): Promise<Certificate[]> {
    const query = dynamicStatement((db) => {
      let rows = certificatesWithDer(db)
        .where('c.tenant_id', '=', tenantId)
        .where('c.id', '>', afterId)
        .orderBy('c.id')
        .limit(limit)
      if (userId !== undefined) rows = rows.where('c.user_id', '=', userId)
      if (deviceId !== undefined) rows = rows.where('c.device_id', '=', deviceId)
      if (status !== undefined) rows = rows.where('c.status', '=', status)
      if (issuer !== undefined) rows = rows.where('c.issuer_id', '=', issuer)
      return rows
    })
    return (await this.#queries.all(query, nothing)).map(asCertificate)
  }

  /** By the end of their validity, soonest first, behind a moment and an id; up to a moment. */
  async listExpiring(
    tenantId: string,
    {
      untilMs,
      afterMs,
      afterId,
      limit,
    }: {
      untilMs: number
      afterMs: number
      afterId: string
      limit: number
    },
  ): Promise<Certificate[]> {
    const query = dynamicStatement((db) =>
      certificatesWithDer(db)
        .where('c.tenant_id', '=', tenantId)
        .where(({ eb, refTuple, tuple }) =>
          eb(refTuple('c.not_after', 'c.id'), '>', tuple(afterMs, afterId)),
        )
        .where('c.not_after', '<=', untilMs)
        .orderBy('c.not_after')
        .orderBy('c.id')
        .limit(limit),
    )
    return (await this.#queries.all(query, nothing)).map(asCertificate)
  }
}
