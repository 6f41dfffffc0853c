import type { Queries } from '#storage/queries.ts'
import { statement } from '#storage/statement.ts'
import { aclsPerCabinetMax, permissionsMax, rowsPerCabinetMax } from './acl.ts'
import type { CabinetKey } from './cabinet-store.ts'

/** What is compared with a cabinet's own digests. */
export interface ListDigests {
  readonly lockDigest: string
  readonly userDigestMac: string
}

/** One of the access lists that a cabinet carries, at one version. */
export interface CarriedAcl extends ListDigests {
  readonly id: string
  readonly version: number
}

/** What a cabinet carries, as it was at one moment. */
export interface CarriedAcls {
  /** Of the cabinet's rights: another one means that something changed since. */
  readonly version: number
  /** In order of id. */
  readonly acls: readonly CarriedAcl[]
}

const insert = statement(
  (db, p: { tenantId: string; id: string; lockDigest: string; userDigestMac: string }) =>
    db.insertInto('cabinet_rights').values({
      tenant_id: p.tenantId,
      cabinet_id: p.id,
      version: 1,
      digest_version: 1,
      lock_digest: p.lockDigest,
      user_digest_mac: p.userDigestMac,
    }),
)

const remove = statement((db, p: { tenantId: string; id: string }) =>
  db
    .deleteFrom('cabinet_rights')
    .where('tenant_id', '=', p.tenantId)
    .where('cabinet_id', '=', p.id),
)

const touch = statement((db, p: { tenantId: string; id: string }) =>
  db
    .updateTable('cabinet_rights')
    .set((eb) => ({ version: eb('version', '+', 1) }))
    .where('tenant_id', '=', p.tenantId)
    .where('cabinet_id', '=', p.id),
)

const touchCarriers = statement((db, p: { tenantId: string; aclId: string }) =>
  db
    .updateTable('cabinet_rights')
    .set((eb) => ({ version: eb('version', '+', 1) }))
    .where('tenant_id', '=', p.tenantId)
    .where('cabinet_id', 'in', (eb) =>
      eb
        .selectFrom('cabinet_acl_link')
        .select('cabinet_id')
        .where('tenant_id', '=', p.tenantId)
        .where('acl_id', '=', p.aclId),
    ),
)

const listCarried = statement((db, p: { tenantId: string; id: string }) =>
  db
    .selectFrom('cabinet_rights as rights')
    .leftJoin('cabinet_acl_link as link', (join) =>
      join
        .onRef('link.tenant_id', '=', 'rights.tenant_id')
        .onRef('link.cabinet_id', '=', 'rights.cabinet_id'),
    )
    .leftJoin('cabinet_acl as acl', (join) =>
      join.onRef('acl.tenant_id', '=', 'link.tenant_id').onRef('acl.id', '=', 'link.acl_id'),
    )
    .select([
      'rights.version',
      'acl.id as acl_id',
      'acl.version as acl_version',
      'acl.lock_digest',
      'acl.user_digest_mac',
    ])
    .where('rights.tenant_id', '=', p.tenantId)
    .where('rights.cabinet_id', '=', p.id),
)

const putDigests = statement(
  (
    db,
    p: {
      tenantId: string
      id: string
      version: number
      lockDigest: string
      userDigestMac: string
    },
  ) =>
    db
      .updateTable('cabinet_rights')
      .set({
        digest_version: p.version,
        lock_digest: p.lockDigest,
        user_digest_mac: p.userDigestMac,
      })
      .where('tenant_id', '=', p.tenantId)
      .where('cabinet_id', '=', p.id)
      .where('version', '=', p.version),
)

const findOverloaded = statement((db, p: { tenantId: string; aclId: string }) =>
  db
    .selectFrom('cabinet_acl_link as link')
    .crossJoin('cabinet_acl_link as other')
    .crossJoin('cabinet_acl as acl')
    .select('link.cabinet_id')
    .where('link.tenant_id', '=', p.tenantId)
    .where('link.acl_id', '=', p.aclId)
    .where('other.tenant_id', '=', p.tenantId)
    .whereRef('other.cabinet_id', '=', 'link.cabinet_id')
    .where('acl.tenant_id', '=', p.tenantId)
    .whereRef('acl.id', '=', 'other.acl_id')
    .groupBy('link.cabinet_id')
    .having((eb) =>
      eb.or([
        eb(eb.fn.countAll(), '>', aclsPerCabinetMax),
        eb(eb.fn.sum('acl.user_count'), '>', rowsPerCabinetMax),
        eb(eb.fn.sum('acl.lock_count'), '>', rowsPerCabinetMax),
        eb(eb(eb.fn.sum('acl.user_count'), '*', eb.fn.sum('acl.lock_count')), '>', permissionsMax),
      ]),
    )
    .limit(1),
)

const findOverload = statement((db, p: { tenantId: string; id: string }) =>
  db
    .selectFrom('cabinet_acl_link as link')
    .crossJoin('cabinet_acl as acl')
    .select('link.cabinet_id')
    .where('link.tenant_id', '=', p.tenantId)
    .where('link.cabinet_id', '=', p.id)
    .where('acl.tenant_id', '=', p.tenantId)
    .whereRef('acl.id', '=', 'link.acl_id')
    .groupBy('link.cabinet_id')
    .having((eb) =>
      eb.or([
        eb(eb.fn.countAll(), '>', aclsPerCabinetMax),
        eb(eb.fn.sum('acl.user_count'), '>', rowsPerCabinetMax),
        eb(eb.fn.sum('acl.lock_count'), '>', rowsPerCabinetMax),
        eb(eb(eb.fn.sum('acl.user_count'), '*', eb.fn.sum('acl.lock_count')), '>', permissionsMax),
      ]),
    ),
)

/**
 * Says of each cabinet whether its digests are those of what it carries now. A change counts the version of every cabinet
 * concerned up, in its own transaction; digests are stored for the version that they were computed from, or not at all.
 */
export class RightsStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** @param digests of the empty lists. */
  async insert({ tenantId, id }: CabinetKey, digests: ListDigests): Promise<void> {
    await this.#queries.run(insert, { tenantId, id, ...digests })
  }

  async remove(key: CabinetKey): Promise<void> {
    await this.#queries.run(remove, key)
  }

  /** The cabinet carries another set of lists. */
  async touch(key: CabinetKey): Promise<void> {
    await this.#queries.run(touch, key)
  }

  /** A list changed: so did what every cabinet that carries it decides by. @returns how many. */
  async touchCarriers(tenantId: string, aclId: string): Promise<number> {
    return this.#queries.run(touchCarriers, { tenantId, aclId })
  }

  /** One statement, so that all of it is of one moment; undefined for no registered cabinet. */
  async listCarried(key: CabinetKey): Promise<CarriedAcls | undefined> {
    const rows = await this.#queries.all(listCarried, key)
    const [first] = rows
    if (first === undefined) return undefined
    const acls = rows.flatMap((row): CarriedAcl[] =>
      row.acl_id === null
        ? []
        : [
            {
              id: row.acl_id,
              version: row.acl_version ?? 0,
              lockDigest: row.lock_digest ?? '',
              userDigestMac: row.user_digest_mac ?? '',
            },
          ],
    )
    return { version: first.version, acls: acls.sort((one, other) => (one.id < other.id ? -1 : 1)) }
  }

  /** False when something changed since `version`: the digests are of the past then. */
  async putDigests(key: CabinetKey, version: number, digests: ListDigests): Promise<boolean> {
    return (await this.#queries.run(putDigests, { ...key, version, ...digests })) === 1
  }

  /** A cabinet with this list that carries more than a server merges; undefined when there is none. */
  async findOverloaded(tenantId: string, aclId: string): Promise<string | undefined> {
    return (await this.#queries.first(findOverloaded, { tenantId, aclId }))?.cabinet_id
  }

  /** True for a cabinet that carries more than a server merges. */
  async isOverloaded(key: CabinetKey): Promise<boolean> {
    return (await this.#queries.first(findOverload, key)) !== undefined
  }
}
