import type { Queries } from '#storage/queries.ts'
import { dynamicStatement, nothing, statement } from '#storage/statement.ts'
import type { OtpToken } from './otp-token.ts'
import { asToken, tokensWithProduct } from './otp-token-store.ts'

const ofProduct = statement(
  (db, p: { tenantId: string; productId: string; afterId: string; limit: number }) =>
    tokensWithProduct(db)
      .where('t.tenant_id', '=', p.tenantId)
      .where('t.product_id', '=', p.productId)
      .where('t.id', '>', p.afterId)
      .orderBy('t.id')
      .limit(p.limit),
)

/** Many tokens, and their sealed secrets. */
export class TokenExportStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** In order of id, beginning behind `afterId` (empty: at the first). */
  async listOfProduct(
    tenantId: string,
    productId: string,
    { afterId, limit }: { afterId: string; limit: number },
  ): Promise<OtpToken[]> {
    const page = { tenantId, productId, afterId, limit }
    return (await this.#queries.all(ofProduct, page)).map(asToken)
  }

  /** Those that are there, in order of id. */
  async listNamed(tenantId: string, ids: readonly string[]): Promise<OtpToken[]> {
    const list = dynamicStatement((db) =>
      tokensWithProduct(db)
        .where('t.tenant_id', '=', tenantId)
        .where('t.id', 'in', ids)
        .orderBy('t.id'),
    )
    return (await this.#queries.all(list, nothing)).map(asToken)
  }

  async findSecrets(tenantId: string, ids: readonly string[]): Promise<Map<string, Uint8Array>> {
    const list = dynamicStatement((db) =>
      db
        .selectFrom('otp_token')
        .select(['id', 'sealed_secret'])
        .where('tenant_id', '=', tenantId)
        .where('id', 'in', ids),
    )
    const rows = await this.#queries.all(list, nothing)
    return new Map(rows.map(({ id, sealed_secret: sealed }) => [id, sealed]))
  }
}
