import type { Queries } from '#storage/queries.ts'
import { statement } from '#storage/statement.ts'
import type { AclLink } from './acl.ts'

const insert = statement((db, p: AclLink & { nowMs: number }) =>
  db.insertInto('cabinet_acl_link').values({
    tenant_id: p.tenantId,
    acl_id: p.aclId,
    cabinet_id: p.cabinetId,
    ulid: p.id,
    created_at: p.nowMs,
  }),
)

const columns = ['tenant_id', 'acl_id', 'cabinet_id', 'ulid'] as const

const find = statement((db, p: { tenantId: string; id: string }) =>
  db
    .selectFrom('cabinet_acl_link')
    .select(columns)
    .where('tenant_id', '=', p.tenantId)
    .where('ulid', '=', p.id),
)

const list = statement((db, p: { tenantId: string; offset: number; limit: number }) =>
  db
    .selectFrom('cabinet_acl_link')
    .select(columns)
    .where('tenant_id', '=', p.tenantId)
    .orderBy('acl_id')
    .orderBy('cabinet_id')
    .limit(p.limit)
    .offset(p.offset),
)

const remove = statement((db, p: { tenantId: string; aclId: string; cabinetId: string }) =>
  db
    .deleteFrom('cabinet_acl_link')
    .where('tenant_id', '=', p.tenantId)
    .where('acl_id', '=', p.aclId)
    .where('cabinet_id', '=', p.cabinetId),
)

const removeOfAcl = statement((db, p: { tenantId: string; aclId: string }) =>
  db
    .deleteFrom('cabinet_acl_link')
    .where('tenant_id', '=', p.tenantId)
    .where('acl_id', '=', p.aclId),
)

const removeOfCabinet = statement((db, p: { tenantId: string; cabinetId: string }) =>
  db
    .deleteFrom('cabinet_acl_link')
    .where('tenant_id', '=', p.tenantId)
    .where('cabinet_id', '=', p.cabinetId),
)

/** Which cabinet carries which access list. */
export class AclLinkStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** @throws StorageError `taken` when the pair is linked. */
  async insert(link: AclLink, nowMs: number): Promise<void> {
    await this.#queries.run(insert, { ...link, nowMs })
  }

  async find(tenantId: string, id: string): Promise<AclLink | undefined> {
    const row = await this.#queries.first(find, { tenantId, id })
    return row && asLink(row)
  }

  /** In order of the list's id, then of the cabinet's. */
  async list(
    tenantId: string,
    { offset, limit }: { offset: number; limit: number },
  ): Promise<AclLink[]> {
    return (await this.#queries.all(list, { tenantId, offset, limit })).map(asLink)
  }

  /** False when it was gone. */
  async remove({ tenantId, aclId, cabinetId }: AclLink): Promise<boolean> {
    return (await this.#queries.run(remove, { tenantId, aclId, cabinetId })) === 1
  }

  /** @returns how many. */
  async removeOfAcl(tenantId: string, aclId: string): Promise<number> {
    return this.#queries.run(removeOfAcl, { tenantId, aclId })
  }

  /** @returns how many. */
  async removeOfCabinet(tenantId: string, cabinetId: string): Promise<number> {
    return this.#queries.run(removeOfCabinet, { tenantId, cabinetId })
  }
}

function asLink(row: {
  tenant_id: string
  acl_id: string
  cabinet_id: string
  ulid: string
}): AclLink {
  return { tenantId: row.tenant_id, id: row.ulid, aclId: row.acl_id, cabinetId: row.cabinet_id }
}
