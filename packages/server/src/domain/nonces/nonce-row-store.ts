import type { Queries } from '#storage/queries.ts'
import type { PortalNonceTable } from '#storage/schema/nonces.ts'
import { statement } from '#storage/statement.ts'
import { type Nonce, type NonceAction, readNonceTms, writeNonceTms } from './nonce.ts'

/** Who redeems a nonce, and when. */
export interface Redeemed {
  readonly userId: string
  readonly deviceId: string
  readonly nowMs: number
}

const insert = statement((db, row: PortalNonceTable) =>
  db
    .insertInto('portal_nonce')
    .values({
      tenant_id: row.tenant_id,
      nonce_hash: row.nonce_hash,
      id: row.id,
      action: row.action,
      portal_session_id: row.portal_session_id,
      callback_url: row.callback_url,
      tms: row.tms,
      created_by: row.created_by,
      created_at: row.created_at,
      expires_at: row.expires_at,
      redeemed_at: null,
      device_id: null,
      user_id: null,
    })
    .onConflict((taken) => taken.doNothing()),
)

const find = statement((db, p: { tenantId: string; hash: string }) =>
  db
    .selectFrom('portal_nonce')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('nonce_hash', '=', p.hash),
)

const spend = statement(
  (db, p: Redeemed & { tenantId: string; hash: string; id: string; action: string }) =>
    db
      .updateTable('portal_nonce')
      .set({ redeemed_at: p.nowMs, device_id: p.deviceId, user_id: p.userId })
      .where('tenant_id', '=', p.tenantId)
      .where('nonce_hash', '=', p.hash)
      .where('id', '=', p.id)
      .where('action', '=', p.action)
      .where('redeemed_at', 'is', null)
      .where('expires_at', '>', p.nowMs),
)

const removeExpired = statement((db, p: { beforeMs: number; limit: number }) =>
  db
    .deleteFrom('portal_nonce')
    .where(({ eb, refTuple }) =>
      eb(
        refTuple('tenant_id', 'nonce_hash'),
        'in',
        eb
          .selectFrom('portal_nonce')
          .select(['tenant_id', 'nonce_hash'])
          .where('expires_at', '<=', p.beforeMs)
          .orderBy('expires_at')
          .limit(p.limit)
          .$asTuple('tenant_id', 'nonce_hash'),
      ),
    ),
)

/** Nonces, by the hash of what is shown. */
export class NonceRowStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** @returns false when the same nonce is here already, open or not: the primary key decides. */
  async insert(nonce: Nonce): Promise<boolean> {
    return (await this.#queries.run(insert, asRow(nonce))) === 1
  }

  async find(tenantId: string, hash: string): Promise<Nonce | undefined> {
    const row = await this.#queries.first(find, { tenantId, hash })
    return row && asNonce(row)
  }

  /** True for whoever comes first, for this action, while it is open. One statement, so that nobody else does. */
  async spend(
    { tenantId, hash, id }: Nonce,
    action: NonceAction,
    redeemed: Redeemed,
  ): Promise<boolean> {
    return (await this.#queries.run(spend, { tenantId, hash, id, action, ...redeemed })) === 1
  }

  /** Of all tenants, redeemed or not. @returns how many rows went; none: nothing more is due. */
  removeExpired(beforeMs: number, limit: number): Promise<number> {
    return this.#queries.run(removeExpired, { beforeMs, limit })
  }
}

function asRow(nonce: Nonce): PortalNonceTable {
  return {
    tenant_id: nonce.tenantId,
    nonce_hash: nonce.hash,
    id: nonce.id,
    action: nonce.action,
    portal_session_id: nonce.portalSessionId,
    callback_url: nonce.callbackUrl,
    tms: nonce.tms === null ? null : writeNonceTms(nonce.tms),
    created_by: nonce.createdBy,
    created_at: nonce.createdAtMs,
    expires_at: nonce.expiresAtMs,
    redeemed_at: null,
    device_id: null,
    user_id: null,
  }
}

function asNonce(row: PortalNonceTable): Nonce {
  return {
    tenantId: row.tenant_id,
    id: row.id,
    hash: row.nonce_hash,
    action: row.action as NonceAction,
    portalSessionId: row.portal_session_id,
    callbackUrl: row.callback_url,
    tms: row.tms === null ? null : readNonceTms(row.tms),
    createdBy: row.created_by,
    createdAtMs: row.created_at,
    expiresAtMs: row.expires_at,
    redeemedAtMs: row.redeemed_at,
  }
}
