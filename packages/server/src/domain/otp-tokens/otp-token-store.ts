import type { Queries } from '#storage/queries.ts'
import type { OtpTokenTable } from '#storage/schema.ts'
import { type Builder, dynamicStatement, nothing, statement } from '#storage/statement.ts'
import type { OtpToken, TokenOrigin, TokenStatus } from './otp-token.ts'
import type { OtpParameters, TokenType } from './product.ts'

/** What a token looks like to the database: the row, and where its codes begin. */
export interface NewToken {
  readonly tenantId: string
  readonly id: string
  readonly productId: string
  readonly repositoryId: string | null
  readonly serial: string
  readonly identifier: string
  readonly parameters: OtpParameters
  readonly status: TokenStatus
  readonly description: string | null
  readonly origin: TokenOrigin
  readonly startsAtMs: number | null
  readonly expiresAtMs: number | null
  readonly sealedSecret: Uint8Array
  readonly counter: number
  readonly driftSteps: number
  readonly createdAtMs: number
}

/** Members that are there; absent ones are left alone. */
export interface TokenChanges {
  readonly status?: TokenStatus | undefined
  readonly description?: string | null | undefined
  readonly repositoryId?: string | undefined
}

interface TokenRow {
  tenant_id: string
  id: string
  serial: string
  identifier: string
  product_id: string
  manufacturer_code: string
  product_code: string
  downloadable: number
  repository_id: string | null
  type: string
  algorithm: string
  digits: number
  period_seconds: number | null
  status: string
  description: string | null
  origin: string
  confined: number
  starts_at: number | null
  expires_at: number | null
  next_counter: number
  drift_steps: number
  created_at: number
  updated_at: number
}

/** Tokens with what is told about them; never with their secret. */
export function tokensWithProduct(db: Builder) {
  return db
    .selectFrom('otp_token as t')
    .innerJoin('otp_product as p', (join) =>
      join.onRef('p.tenant_id', '=', 't.tenant_id').onRef('p.id', '=', 't.product_id'),
    )
    .innerJoin('otp_factor as f', (join) =>
      join.onRef('f.tenant_id', '=', 't.tenant_id').onRef('f.token_id', '=', 't.id'),
    )
    .select([
      't.tenant_id',
      't.id',
      't.serial',
      't.identifier',
      't.product_id',
      'p.manufacturer_code',
      'p.product_code',
      'p.downloadable',
      't.repository_id',
      't.type',
      't.algorithm',
      't.digits',
      't.period_seconds',
      't.status',
      't.description',
      't.origin',
      't.confined',
      't.starts_at',
      't.expires_at',
      'f.next_counter',
      'f.drift_steps',
      't.created_at',
      't.updated_at',
    ])
}

export const insertToken = statement((db, row: OtpTokenTable) =>
  db
    .insertInto('otp_token')
    .values({
      tenant_id: row.tenant_id,
      id: row.id,
      product_id: row.product_id,
      repository_id: row.repository_id,
      serial: row.serial,
      identifier: row.identifier,
      type: row.type,
      algorithm: row.algorithm,
      digits: row.digits,
      period_seconds: row.period_seconds,
      status: row.status,
      description: row.description,
      origin: row.origin,
      confined: row.confined,
      starts_at: row.starts_at,
      expires_at: row.expires_at,
      sealed_secret: row.sealed_secret,
      created_at: row.created_at,
      updated_at: row.updated_at,
    })
    .onConflict((taken) => taken.columns(['tenant_id', 'serial', 'product_id']).doNothing()),
)

export const insertFactor = statement(
  (db, p: { tenantId: string; tokenId: string; nextCounter: number; driftSteps: number }) =>
    db.insertInto('otp_factor').values({
      tenant_id: p.tenantId,
      token_id: p.tokenId,
      next_counter: p.nextCounter,
      last_step: -1,
      drift_steps: p.driftSteps,
      last_used_at: null,
      last_used_by: null,
    }),
)

const find = statement((db, p: { tenantId: string; id: string }) =>
  tokensWithProduct(db).where('t.tenant_id', '=', p.tenantId).where('t.id', '=', p.id),
)

const findBySerial = statement((db, p: { tenantId: string; productId: string; serial: string }) =>
  tokensWithProduct(db)
    .where('t.tenant_id', '=', p.tenantId)
    .where('t.serial', '=', p.serial)
    .where('t.product_id', '=', p.productId),
)

const sealedSecret = statement((db, p: { tenantId: string; id: string }) =>
  db
    .selectFrom('otp_token')
    .select('sealed_secret')
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id),
)

const hold = statement((db, p: { tenantId: string; id: string }) =>
  db
    .updateTable('otp_token')
    .set((eb) => ({ confined: eb.ref('confined') }))
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id),
)

const setConfined = statement(
  (db, p: { tenantId: string; id: string; confined: number; nowMs: number }) =>
    db
      .updateTable('otp_token')
      .set({ confined: p.confined, updated_at: p.nowMs })
      .where('tenant_id', '=', p.tenantId)
      .where('id', '=', p.id),
)

const removeToken = statement((db, p: { tenantId: string; id: string }) =>
  db.deleteFrom('otp_token').where('tenant_id', '=', p.tenantId).where('id', '=', p.id),
)

const removeFactor = statement((db, p: { tenantId: string; id: string }) =>
  db.deleteFrom('otp_factor').where('tenant_id', '=', p.tenantId).where('token_id', '=', p.id),
)

/** OATH tokens. Their moving factors are moved by `FactorStore` and by verification. */
export class OtpTokenStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** @returns false when the product has a token with this serial; nothing is stored then. */
  async insert(token: NewToken): Promise<boolean> {
    const { tenantId, counter, driftSteps } = token
    if ((await this.#queries.run(insertToken, asRow(token))) === 0) return false
    const factor = { tenantId, tokenId: token.id, nextCounter: counter, driftSteps }
    await this.#queries.run(insertFactor, factor)
    return true
  }

  async find(tenantId: string, id: string): Promise<OtpToken | undefined> {
    const row = await this.#queries.first(find, { tenantId, id })
    return row && asToken(row)
  }

  async findBySerial(
    tenantId: string,
    { productId, serial }: { productId: string; serial: string },
  ): Promise<OtpToken | undefined> {
    const row = await this.#queries.first(findBySerial, { tenantId, productId, serial })
    return row && asToken(row)
  }

  async findSealedSecret(tenantId: string, id: string): Promise<Uint8Array | undefined> {
    return (await this.#queries.first(sealedSecret, { tenantId, id }))?.sealed_secret
  }

  /**
   * Keeps everybody else from changing the token, its assignments and its tickets until the transaction ends: what is
   * read afterwards stays true.
   *
   * @returns false when there is no such token.
   */
  async hold(tenantId: string, id: string): Promise<boolean> {
    return (await this.#queries.run(hold, { tenantId, id })) === 1
  }

  async update(
    { tenantId, id }: OtpToken,
    { status, description, repositoryId }: TokenChanges,
    nowMs: number,
  ): Promise<void> {
    const update = dynamicStatement((db) =>
      db
        .updateTable('otp_token')
        .set({
          ...(status !== undefined && { status }),
          ...(description !== undefined && { description }),
          ...(repositoryId !== undefined && { repository_id: repositoryId }),
          updated_at: nowMs,
        })
        .where('tenant_id', '=', tenantId)
        .where('id', '=', id),
    )
    await this.#queries.run(update, nothing)
  }

  async setConfined({ tenantId, id }: OtpToken, confined: boolean, nowMs: number): Promise<void> {
    await this.#queries.run(setConfined, { tenantId, id, confined: confined ? 1 : 0, nowMs })
  }

  /** Removes the token with its secret and moving factor; false when there is none. */
  async remove(tenantId: string, id: string): Promise<boolean> {
    if ((await this.#queries.run(removeToken, { tenantId, id })) === 0) return false
    await this.#queries.run(removeFactor, { tenantId, id })
    return true
  }
}

export function asRow(token: NewToken): OtpTokenTable {
  return {
    tenant_id: token.tenantId,
    id: token.id,
    product_id: token.productId,
    repository_id: token.repositoryId,
    serial: token.serial,
    identifier: token.identifier,
    type: token.parameters.type,
    algorithm: token.parameters.algorithm,
    digits: token.parameters.digits,
    period_seconds: token.parameters.periodSeconds,
    status: token.status,
    description: token.description,
    origin: token.origin,
    confined: 0,
    starts_at: token.startsAtMs,
    expires_at: token.expiresAtMs,
    sealed_secret: token.sealedSecret,
    created_at: token.createdAtMs,
    updated_at: token.createdAtMs,
  }
}

export function asToken(row: TokenRow): OtpToken {
  return {
    tenantId: row.tenant_id,
    id: row.id,
    serial: row.serial,
    identifier: row.identifier,
    product: {
      id: row.product_id,
      manufacturerCode: row.manufacturer_code,
      productCode: row.product_code,
      downloadable: row.downloadable === 1,
    },
    repositoryId: row.repository_id,
    type: row.type as TokenType,
    algorithm: row.algorithm as OtpParameters['algorithm'],
    digits: row.digits,
    periodSeconds: row.period_seconds,
    status: row.status as TokenStatus,
    description: row.description,
    origin: row.origin as TokenOrigin,
    confined: row.confined === 1,
    startsAtMs: row.starts_at,
    expiresAtMs: row.expires_at,
    counter: row.type === 'HOTP' ? row.next_counter : null,
    driftSteps: row.type === 'TOTP' ? row.drift_steps : null,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
  }
}
