import type { Queries } from '#storage/queries.ts'
import type { TrustedIssuerTable } from '#storage/schema.ts'
import { type Builder, statement } from '#storage/statement.ts'
import type { StandingIssuer, TrustedIssuer, TrustedIssuerSettings } from './trusted-issuer.ts'

/** The members that are kept together as JSON. */
type IssuerDocument = Omit<TrustedIssuerSettings, 'issuer' | 'enabled'>

const insert = statement((db, row: TrustedIssuerTable) =>
  db.insertInto('trusted_issuer').values({
    tenant_id: row.tenant_id,
    id: row.id,
    ulid: row.ulid,
    issuer: row.issuer,
    document: row.document,
    enabled: row.enabled,
    created_at: row.created_at,
    updated_at: row.updated_at,
  }),
)

const find = statement((db, p: { tenantId: string; id: string }) =>
  db
    .selectFrom('trusted_issuer')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id),
)

const list = statement((db, p: { tenantId: string; afterUlid: string; limit: number }) =>
  db
    .selectFrom('trusted_issuer')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('ulid', '>', p.afterUlid)
    .orderBy('ulid')
    .limit(p.limit),
)

/** Of tenants that are being deleted there is nothing. */
function standing(db: Builder) {
  return db
    .selectFrom('trusted_issuer as issuer')
    .innerJoin('tenant', 'tenant.tenant_id', 'issuer.tenant_id')
    .selectAll('issuer')
    .select(['tenant.status', 'tenant.settings_version'])
}

const findByIssuer = statement((db, p: { tenantId: string; issuer: string }) =>
  standing(db).where('issuer.tenant_id', '=', p.tenantId).where('issuer.issuer', '=', p.issuer),
)

/** Across tenants: it is asked whose a token is. */
const listByIssuer = statement((db, p: { issuer: string; limit: number }) =>
  standing(db).where('issuer.issuer', '=', p.issuer).orderBy('issuer.tenant_id').limit(p.limit),
)

interface Replacement {
  readonly tenantId: string
  readonly id: string
  readonly seenDocument: string
  readonly seenIssuer: string
  readonly seenEnabled: number
  readonly issuer: string
  readonly document: string
  readonly enabled: number
  readonly nowMs: number
}

const replace = statement((db, p: Replacement) =>
  db
    .updateTable('trusted_issuer')
    .set({ issuer: p.issuer, document: p.document, enabled: p.enabled, updated_at: p.nowMs })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id)
    .where('document', '=', p.seenDocument)
    .where('issuer', '=', p.seenIssuer)
    .where('enabled', '=', p.seenEnabled),
)

const remove = statement((db, p: { tenantId: string; id: string }) =>
  db.deleteFrom('trusted_issuer').where('tenant_id', '=', p.tenantId).where('id', '=', p.id),
)

/** Identity providers that tenants trust. */
export class TrustedIssuerStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** @throws StorageError `taken` for an id or an issuer that the tenant has already. */
  async insert(issuer: TrustedIssuer): Promise<void> {
    await this.#queries.run(insert, {
      tenant_id: issuer.tenantId,
      id: issuer.id,
      ulid: issuer.ulid,
      issuer: issuer.issuer,
      document: documentOf(issuer),
      enabled: issuer.enabled ? 1 : 0,
      created_at: issuer.createdAtMs,
      updated_at: issuer.updatedAtMs,
    })
  }

  async find(tenantId: string, id: string): Promise<TrustedIssuer | undefined> {
    const row = await this.#queries.first(find, { tenantId, id })
    return row && asIssuer(row)
  }

  /** By the exact `iss`, with what else decides about its tokens. */
  async findByIssuer(tenantId: string, issuer: string): Promise<StandingIssuer | undefined> {
    const row = await this.#queries.first(findByIssuer, { tenantId, issuer })
    return row && asStanding(row)
  }

  /** All tenants' with this `iss`. */
  async listByIssuer(issuer: string, limit: number): Promise<StandingIssuer[]> {
    return (await this.#queries.all(listByIssuer, { issuer, limit })).map(asStanding)
  }

  /** In order of creation, behind `afterUlid`. */
  async list(
    tenantId: string,
    { afterUlid, limit }: { afterUlid: string; limit: number },
  ): Promise<TrustedIssuer[]> {
    return (await this.#queries.all(list, { tenantId, afterUlid, limit })).map(asIssuer)
  }

  /**
   * False when the issuer is no longer as it was seen.
   *
   * @throws StorageError `taken` for the `iss` of another issuer of the tenant.
   */
  async replace(
    seen: TrustedIssuer,
    settings: TrustedIssuerSettings,
    nowMs: number,
  ): Promise<boolean> {
    const count = await this.#queries.run(replace, {
      tenantId: seen.tenantId,
      id: seen.id,
      seenDocument: documentOf(seen),
      seenIssuer: seen.issuer,
      seenEnabled: seen.enabled ? 1 : 0,
      issuer: settings.issuer,
      document: documentOf(settings),
      enabled: settings.enabled ? 1 : 0,
      nowMs,
    })
    return count === 1
  }

  /** False when the issuer is gone. */
  async remove(tenantId: string, id: string): Promise<boolean> {
    return (await this.#queries.run(remove, { tenantId, id })) === 1
  }
}

/** Always the same text for the same settings, so that it can be compared with the stored one. */
function documentOf(settings: TrustedIssuerSettings): string {
  const { jwksUri, jwks, audiences, algorithms, claimPath, scopeMap, clientIdClaim } = settings
  const document: IssuerDocument = {
    jwksUri,
    jwks,
    audiences,
    algorithms,
    claimPath,
    scopeMap,
    clientIdClaim,
  }
  return JSON.stringify(document)
}

function asIssuer(row: TrustedIssuerTable): TrustedIssuer {
  return {
    ...(JSON.parse(row.document) as IssuerDocument),
    tenantId: row.tenant_id,
    id: row.id,
    ulid: row.ulid,
    issuer: row.issuer,
    enabled: row.enabled === 1,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
  }
}

function asStanding(
  row: TrustedIssuerTable & { readonly status: string; readonly settings_version: number },
): StandingIssuer {
  return {
    ...asIssuer(row),
    tenantIsActive: row.status === 'ACTIVE',
    settingsVersion: row.settings_version,
  }
}
