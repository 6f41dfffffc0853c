import type { Queries } from '#storage/queries.ts'
import { statement } from '#storage/statement.ts'
import type { JsonObject } from './cabinet.ts'

/** What can be told of a stored access list without opening it. */
export interface AclHead {
  readonly id: string
  readonly version: number
  readonly userCount: number
  readonly lockCount: number
}

/** An access list as it is stored. */
export interface SealedAcl {
  readonly tenantId: string
  readonly id: string
  readonly version: number
  readonly writtenAtMs: number
  readonly userData: JsonObject
  readonly sealedContent: Uint8Array
}

export interface AclWrite {
  readonly tenantId: string
  readonly id: string
  readonly version: number
  readonly userCount: number
  readonly lockCount: number
  readonly lockDigest: string
  readonly userDigestMac: string
  readonly userData: JsonObject
  readonly sealedContent: Uint8Array
  readonly nowMs: number
}

interface Parameters {
  readonly tenantId: string
  readonly id: string
  readonly version: number
  readonly userCount: number
  readonly lockCount: number
  readonly lockDigest: string
  readonly userDigestMac: string
  readonly userData: string
  readonly sealedContent: Uint8Array
  readonly nowMs: number
}

const insert = statement((db, p: Parameters & { ulid: string }) =>
  db.insertInto('cabinet_acl').values({
    tenant_id: p.tenantId,
    id: p.id,
    ulid: p.ulid,
    version: p.version,
    user_count: p.userCount,
    lock_count: p.lockCount,
    lock_digest: p.lockDigest,
    user_digest_mac: p.userDigestMac,
    written_at: p.nowMs,
    created_at: p.nowMs,
    user_data: p.userData,
    sealed_content: p.sealedContent,
  }),
)

const overwrite = statement((db, p: Parameters) =>
  db
    .updateTable('cabinet_acl')
    .set({
      version: p.version,
      user_count: p.userCount,
      lock_count: p.lockCount,
      lock_digest: p.lockDigest,
      user_digest_mac: p.userDigestMac,
      written_at: p.nowMs,
      user_data: p.userData,
      sealed_content: p.sealedContent,
    })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id),
)

const remove = statement((db, p: { tenantId: string; id: string }) =>
  db.deleteFrom('cabinet_acl').where('tenant_id', '=', p.tenantId).where('id', '=', p.id),
)

const findHead = statement((db, p: { tenantId: string; id: string }) =>
  db
    .selectFrom('cabinet_acl')
    .select(['id', 'version', 'user_count', 'lock_count'])
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id),
)

const columns = ['tenant_id', 'id', 'version', 'written_at', 'user_data', 'sealed_content'] as const

const find = statement((db, p: { tenantId: string; id: string }) =>
  db
    .selectFrom('cabinet_acl')
    .select(columns)
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id),
)

const listHeads = statement((db, p: { tenantId: string; offset: number; limit: number }) =>
  db
    .selectFrom('cabinet_acl')
    .select(['id', 'version', 'user_count', 'lock_count'])
    .where('tenant_id', '=', p.tenantId)
    .orderBy('id')
    .limit(p.limit)
    .offset(p.offset),
)

/** Access lists; their content is sealed. */
export class AclStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  async insert(acl: AclWrite, ulid: string): Promise<void> {
    await this.#queries.run(insert, { ...asParameters(acl), ulid })
  }

  /** False when there is no such list. */
  async overwrite(acl: AclWrite): Promise<boolean> {
    return (await this.#queries.run(overwrite, asParameters(acl))) === 1
  }

  /** False when it was gone. */
  async remove(tenantId: string, id: string): Promise<boolean> {
    return (await this.#queries.run(remove, { tenantId, id })) === 1
  }

  async findHead(tenantId: string, id: string): Promise<AclHead | undefined> {
    const row = await this.#queries.first(findHead, { tenantId, id })
    return row && asHead(row)
  }

  async find(tenantId: string, id: string): Promise<SealedAcl | undefined> {
    const row = await this.#queries.first(find, { tenantId, id })
    return (
      row && {
        tenantId: row.tenant_id,
        id: row.id,
        version: row.version,
        writtenAtMs: row.written_at,
        userData: JSON.parse(row.user_data) as JsonObject,
        sealedContent: row.sealed_content,
      }
    )
  }

  /** In order of id. */
  async listHeads(
    tenantId: string,
    { offset, limit }: { offset: number; limit: number },
  ): Promise<AclHead[]> {
    return (await this.#queries.all(listHeads, { tenantId, offset, limit })).map(asHead)
  }
}

function asHead(row: {
  id: string
  version: number
  user_count: number
  lock_count: number
}): AclHead {
  return { id: row.id, version: row.version, userCount: row.user_count, lockCount: row.lock_count }
}

function asParameters(acl: AclWrite): Parameters {
  return { ...acl, userData: JSON.stringify(acl.userData) }
}
