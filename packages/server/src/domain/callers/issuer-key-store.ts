import type { Queries } from '#storage/queries.ts'
import { statement } from '#storage/statement.ts'
import type { PublicJwk } from './public-jwk.ts'

/** Keys that an issuer published at some moment. */
export interface FetchedKeys {
  readonly tenantId: string
  readonly issuerId: string
  /** Where they came from: keys of another address do not count. */
  readonly jwksUri: string
  readonly keys: readonly PublicJwk[]
  readonly fetchedAtMs: number
}

interface Row {
  readonly tenantId: string
  readonly issuerId: string
  readonly jwksUri: string
  readonly document: string
  readonly fetchedAtMs: number
}

const find = statement((db, p: { tenantId: string; issuerId: string; jwksUri: string }) =>
  db
    .selectFrom('trusted_issuer_keys')
    .select(['document', 'fetched_at'])
    .where('tenant_id', '=', p.tenantId)
    .where('issuer_id', '=', p.issuerId)
    .where('jwks_uri', '=', p.jwksUri),
)

const confirm = statement((db, p: Row) =>
  db
    .updateTable('trusted_issuer_keys')
    .set({ fetched_at: p.fetchedAtMs })
    .where('tenant_id', '=', p.tenantId)
    .where('issuer_id', '=', p.issuerId)
    .where('jwks_uri', '=', p.jwksUri)
    .where('document', '=', p.document),
)

const replace = statement((db, p: Row) =>
  db
    .insertInto('trusted_issuer_keys')
    .values({
      tenant_id: p.tenantId,
      issuer_id: p.issuerId,
      jwks_uri: p.jwksUri,
      document: p.document,
      fetched_at: p.fetchedAtMs,
    })
    .onConflict((conflict) =>
      conflict
        .columns(['tenant_id', 'issuer_id'])
        .doUpdateSet({
          jwks_uri: p.jwksUri,
          document: p.document,
          fetched_at: p.fetchedAtMs,
        })
        // Of two processes that saw the change one says so.
        .where(({ eb, or }) =>
          or([
            eb('trusted_issuer_keys.document', '<>', p.document),
            eb('trusted_issuer_keys.jwks_uri', '<>', p.jwksUri),
          ]),
        ),
    ),
)

const remove = statement((db, p: { tenantId: string; issuerId: string }) =>
  db
    .deleteFrom('trusted_issuer_keys')
    .where('tenant_id', '=', p.tenantId)
    .where('issuer_id', '=', p.issuerId),
)

/** The last good keys of issuers, so that a start during an outage of theirs does not lose them. */
export class IssuerKeyStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  async find(of: {
    tenantId: string
    issuerId: string
    jwksUri: string
  }): Promise<FetchedKeys | undefined> {
    const row = await this.#queries.first(find, of)
    if (row === undefined) return undefined
    const keys = JSON.parse(row.document) as readonly PublicJwk[]
    return { ...of, keys, fetchedAtMs: row.fetched_at }
  }

  /** @returns true when they are not the ones that were there. */
  async save({ keys, ...fetched }: FetchedKeys): Promise<boolean> {
    const row = { ...fetched, document: JSON.stringify(keys) }
    if ((await this.#queries.run(confirm, row)) === 1) return false
    return (await this.#queries.run(replace, row)) === 1
  }

  async remove(tenantId: string, issuerId: string): Promise<void> {
    await this.#queries.run(remove, { tenantId, issuerId })
  }
}
