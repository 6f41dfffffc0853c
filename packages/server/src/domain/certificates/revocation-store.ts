import type { Queries } from '#storage/queries.ts'
import { statement } from '#storage/statement.ts'
import type { RevocationReason } from './certificate.ts'

interface Shard {
  readonly tenantId: string
  readonly issuerId: string
  readonly shard: number
}

/** A revocation list as stored. */
export interface StoredList {
  readonly revokedCount: number
  readonly listedCount: number
  readonly crlNumber: number
  readonly entries: Uint8Array
  readonly der: Uint8Array | undefined
  readonly isPartial: boolean
  readonly thisUpdateMs: number
}

export interface RevokedSerial {
  readonly serial: string
  readonly revokedAtMs: number
  readonly reason: RevocationReason
}

const insertShard = statement((db, p: Shard) =>
  db
    .insertInto('crl_shard')
    .values({
      tenant_id: p.tenantId,
      issuer_id: p.issuerId,
      shard: p.shard,
      revoked_count: 0,
      listed_count: 0,
      crl_number: 0,
      entries: new Uint8Array(),
      der: null,
      is_partial: 0,
      this_update: 0,
    })
    .onConflict((conflict) => conflict.doNothing()),
)

const countUp = statement((db, p: Shard) =>
  db
    .updateTable('crl_shard')
    .set((eb) => ({ revoked_count: eb('revoked_count', '+', 1) }))
    .where('tenant_id', '=', p.tenantId)
    .where('issuer_id', '=', p.issuerId)
    .where('shard', '=', p.shard)
    .returning('revoked_count'),
)

const markRevoked = statement(
  (db, p: { tenantId: string; serial: string; reason: string; atMs: number; number: number }) =>
    db
      .updateTable('issued_certificate')
      .set({ revoked_at: p.atMs, revocation_reason: p.reason, revocation_number: p.number })
      .where('tenant_id', '=', p.tenantId)
      .where('serial', '=', p.serial),
)

const find = statement((db, p: Shard) =>
  db
    .selectFrom('crl_shard')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('issuer_id', '=', p.issuerId)
    .where('shard', '=', p.shard),
)

const listRevoked = statement((db, p: Shard & { after: number; limit: number }) =>
  db
    .selectFrom('issued_certificate')
    .select(['serial', 'revoked_at', 'revocation_reason', 'revocation_number'])
    .where('tenant_id', '=', p.tenantId)
    .where('issuer_id', '=', p.issuerId)
    .where('shard', '=', p.shard)
    .where('revocation_number', '>', p.after)
    .orderBy('revocation_number')
    .limit(p.limit),
)

const replace = statement(
  (
    db,
    p: Shard & {
      seenNumber: number
      listedCount: number
      crlNumber: number
      entries: Uint8Array
      der: Uint8Array
      isPartial: number
      thisUpdateMs: number
    },
  ) =>
    db
      .updateTable('crl_shard')
      .set({
        listed_count: p.listedCount,
        crl_number: p.crlNumber,
        entries: p.entries,
        der: p.der,
        is_partial: p.isPartial,
        this_update: p.thisUpdateMs,
      })
      .where('tenant_id', '=', p.tenantId)
      .where('issuer_id', '=', p.issuerId)
      .where('shard', '=', p.shard)
      .where('crl_number', '=', p.seenNumber),
)

/** What was revoked, part by part of an issuer's certificates. */
export class RevocationStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /**
   * Puts a certificate that is not revoked on the list of its shard. The number in the shard is drawn with the shard's
   * row held, so that readers never meet a gap.
   */
  async revoke(
    shard: Shard,
    revoked: { serial: string; reason: RevocationReason; atMs: number },
  ): Promise<void> {
    await this.#queries.run(insertShard, shard)
    const row = await this.#queries.first(countUp, shard)
    if (row === undefined) throw new Error('A revocation list vanished.')
    const { tenantId } = shard
    await this.#queries.run(markRevoked, { tenantId, ...revoked, number: row.revoked_count })
  }

  async ensureShard(shard: Shard): Promise<void> {
    await this.#queries.run(insertShard, shard)
  }

  async find(shard: Shard): Promise<StoredList | undefined> {
    const row = await this.#queries.first(find, shard)
    if (row === undefined) return undefined
    return {
      revokedCount: row.revoked_count,
      listedCount: row.listed_count,
      crlNumber: row.crl_number,
      entries: row.entries,
      der: row.der ?? undefined,
      isPartial: row.is_partial === 1,
      thisUpdateMs: row.this_update,
    }
  }

  /** In the order of revocation, behind the first `after`. */
  async listRevoked(shard: Shard, after: number, limit: number): Promise<RevokedSerial[]> {
    const rows = await this.#queries.all(listRevoked, { ...shard, after, limit })
    return rows.map((row) => ({
      serial: row.serial,
      revokedAtMs: row.revoked_at ?? 0,
      reason: (row.revocation_reason ?? 'UNSPECIFIED') as RevocationReason,
    }))
  }

  /** False when somebody else has signed a list after the one with `seenNumber`. */
  async replace(
    shard: Shard,
    list: {
      seenNumber: number
      listedCount: number
      entries: Uint8Array
      der: Uint8Array
      isPartial: boolean
      thisUpdateMs: number
    },
  ): Promise<boolean> {
    const crlNumber = list.seenNumber + 1
    const isPartial = list.isPartial ? 1 : 0
    return (await this.#queries.run(replace, { ...shard, ...list, crlNumber, isPartial })) === 1
  }
}
