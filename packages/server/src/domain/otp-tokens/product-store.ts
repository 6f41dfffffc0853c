import type { Queries } from '#storage/queries.ts'
import type { OtpProductTable } from '#storage/schema.ts'
import { statement } from '#storage/statement.ts'
import type { IdSource } from '../ulid.ts'
import {
  defaultProducts,
  type OtpParameters,
  type Product,
  type ProductCodes,
  type TokenType,
} from './product.ts'

const insert = statement((db, row: OtpProductTable) =>
  db.insertInto('otp_product').values({
    tenant_id: row.tenant_id,
    id: row.id,
    manufacturer_code: row.manufacturer_code,
    product_code: row.product_code,
    name: row.name,
    model: row.model,
    type: row.type,
    algorithm: row.algorithm,
    digits: row.digits,
    period_seconds: row.period_seconds,
    downloadable: row.downloadable,
    accept_window: row.accept_window,
    hint_window: row.hint_window,
    search_window: row.search_window,
    created_at: row.created_at,
  }),
)

const find = statement((db, p: { tenantId: string; id: string }) =>
  db
    .selectFrom('otp_product')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id),
)

const findByCodes = statement(
  (db, p: { tenantId: string; manufacturerCode: string; productCode: string }) =>
    db
      .selectFrom('otp_product')
      .selectAll()
      .where('tenant_id', '=', p.tenantId)
      .where('manufacturer_code', '=', p.manufacturerCode)
      .where('product_code', '=', p.productCode),
)

const list = statement((db, p: { tenantId: string; afterId: string; limit: number }) =>
  db
    .selectFrom('otp_product')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('id', '>', p.afterId)
    .orderBy('id')
    .limit(p.limit),
)

/** Token models. */
export class ProductStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** What a new tenant starts with; to be called in the transaction that makes the tenant. */
  async insertDefaults(tenantId: string, nowMs: number, nextId: IdSource): Promise<void> {
    for (const draft of defaultProducts) {
      await this.insert({ ...draft, tenantId, id: nextId(), createdAtMs: nowMs })
    }
  }

  /** @throws StorageError `taken` when the pair of codes is in use. */
  async insert(product: Product): Promise<void> {
    await this.#queries.run(insert, asRow(product))
  }

  async find(tenantId: string, id: string): Promise<Product | undefined> {
    const row = await this.#queries.first(find, { tenantId, id })
    return row && asProduct(row)
  }

  async findByCodes(tenantId: string, codes: ProductCodes): Promise<Product | undefined> {
    const { manufacturerCode, productCode } = codes
    const row = await this.#queries.first(findByCodes, { tenantId, manufacturerCode, productCode })
    return row && asProduct(row)
  }

  /** In order of id, beginning behind `afterId` (empty: at the first). */
  async list(
    tenantId: string,
    { afterId, limit }: { afterId: string; limit: number },
  ): Promise<Product[]> {
    return (await this.#queries.all(list, { tenantId, afterId, limit })).map(asProduct)
  }
}

function asRow(product: Product): OtpProductTable {
  return {
    tenant_id: product.tenantId,
    id: product.id,
    manufacturer_code: product.manufacturerCode,
    product_code: product.productCode,
    name: product.name,
    model: product.model,
    type: product.type,
    algorithm: product.algorithm,
    digits: product.digits,
    period_seconds: product.periodSeconds,
    downloadable: product.downloadable ? 1 : 0,
    accept_window: product.acceptWindow,
    hint_window: product.hintWindow,
    search_window: product.searchWindow,
    created_at: product.createdAtMs,
  }
}

function asProduct(row: OtpProductTable): Product {
  return {
    tenantId: row.tenant_id,
    id: row.id,
    manufacturerCode: row.manufacturer_code,
    productCode: row.product_code,
    name: row.name,
    model: row.model,
    type: row.type as TokenType,
    algorithm: row.algorithm as OtpParameters['algorithm'],
    digits: row.digits,
    periodSeconds: row.period_seconds,
    downloadable: row.downloadable === 1,
    acceptWindow: row.accept_window,
    hintWindow: row.hint_window,
    searchWindow: row.search_window,
    createdAtMs: row.created_at,
  }
}
