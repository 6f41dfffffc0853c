import type { Queries } from '#storage/queries.ts'
import { statement } from '#storage/statement.ts'
import { platformTenantId } from '../callers/caller.ts'

export interface EnrolledKey {
  readonly thumbprint: string
  readonly ownerTenantId: string
  readonly deviceId: string
  readonly purpose: 'DEVICE' | 'BIO'
}

const take = statement((db, p: EnrolledKey & { tenantId: string; nowMs: number }) =>
  db
    .insertInto('enrolled_key')
    .values({
      tenant_id: p.tenantId,
      thumbprint: p.thumbprint,
      owner_tenant_id: p.ownerTenantId,
      device_id: p.deviceId,
      purpose: p.purpose,
      created_at: p.nowMs,
    })
    .onConflict((known) => known.doNothing()),
)

const find = statement((db, p: { tenantId: string; thumbprint: string }) =>
  db
    .selectFrom('enrolled_key')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('thumbprint', '=', p.thumbprint),
)

/** Every key that ever was enrolled on this server, in whatever tenant. None is ever forgotten. */
export class EnrolledKeyStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** @returns false when the key is known: the primary key decides. */
  async take(key: EnrolledKey, nowMs: number): Promise<boolean> {
    return (await this.#queries.run(take, { ...key, tenantId: platformTenantId, nowMs })) === 1
  }

  /** Whose key it is, or was. */
  async find(thumbprint: string): Promise<EnrolledKey | undefined> {
    const row = await this.#queries.first(find, { tenantId: platformTenantId, thumbprint })
    return (
      row && {
        thumbprint: row.thumbprint,
        ownerTenantId: row.owner_tenant_id,
        deviceId: row.device_id,
        purpose: row.purpose as EnrolledKey['purpose'],
      }
    )
  }
}
