import type { Queries } from '#storage/queries.ts'
import type { IssuedCertificateTable } from '#storage/schema/certificates.ts'
import { statement } from '#storage/statement.ts'
import type { IssuedCertificate, RequestedProfile, RevocationReason } from './certificate.ts'

/** Requests that one claim takes. */
export const claimedAtOnce = 64

/** A request that somebody has claimed to issue. */
export interface ClaimedRequest {
  readonly tenantId: string
  readonly id: string
  readonly profile: RequestedProfile
  readonly issuerId: string
  readonly userId: string | null
  readonly deviceId: string | null
  readonly publicKey: Uint8Array | null
}

interface Claimed {
  readonly tenantId: string
  readonly id: string
  readonly claim: string
}

const findDue = statement((db, p: { nowMs: number }) =>
  db
    .selectFrom('certificate')
    .select('id')
    .where('status', '=', 'REQUESTED')
    .where('due_at', '<=', p.nowMs)
    .limit(1),
)

/** Across tenants: whatever is due first. */
const claimDue = statement((db, p: { nowMs: number; untilMs: number; claim: string }) =>
  db
    .updateTable('certificate')
    .set({ due_at: p.untilMs, claim: p.claim })
    .where('status', '=', 'REQUESTED')
    .where('due_at', '<=', p.nowMs)
    .where(({ eb, refTuple }) =>
      eb(
        refTuple('tenant_id', 'id'),
        'in',
        db
          .selectFrom('certificate')
          .select(['tenant_id', 'id'])
          .where('status', '=', 'REQUESTED')
          .where('due_at', '<=', p.nowMs)
          .orderBy('due_at')
          .limit(claimedAtOnce)
          .$asTuple('tenant_id', 'id'),
      ),
    )
    .returning(['tenant_id', 'id', 'profile', 'issuer_id', 'user_id', 'device_id', 'public_key']),
)

const putBack = statement((db, p: Claimed & { dueAtMs: number }) =>
  db
    .updateTable('certificate')
    .set({ due_at: p.dueAtMs, claim: null })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id)
    .where('status', '=', 'REQUESTED')
    .where('claim', '=', p.claim),
)

const reassign = statement((db, p: Claimed & { issuerId: string }) =>
  db
    .updateTable('certificate')
    .set({ issuer_id: p.issuerId })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id)
    .where('claim', '=', p.claim),
)

const hasten = statement((db, p: { tenantId: string; issuerId: string; nowMs: number }) =>
  db
    .updateTable('certificate')
    .set({ due_at: p.nowMs })
    .where('tenant_id', '=', p.tenantId)
    .where('issuer_id', '=', p.issuerId)
    .where('status', '=', 'REQUESTED')
    .where('claim', 'is', null),
)

const finish = statement((db, p: Claimed & { serial: string; notAfterMs: number; nowMs: number }) =>
  db
    .updateTable('certificate')
    .set({
      status: 'ISSUED',
      serial: p.serial,
      not_after: p.notAfterMs,
      issued_at: p.nowMs,
      claim: null,
      updated_at: p.nowMs,
    })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id)
    .where('status', '=', 'REQUESTED')
    .where('claim', '=', p.claim),
)

const insertIssued = statement(
  (
    db,
    row: Omit<IssuedCertificateTable, 'revoked_at' | 'revocation_reason' | 'revocation_number'>,
  ) =>
    db.insertInto('issued_certificate').values({
      tenant_id: row.tenant_id,
      serial: row.serial,
      certificate_id: row.certificate_id,
      issuer_id: row.issuer_id,
      shard: row.shard,
      der: row.der,
      not_before: row.not_before,
      not_after: row.not_after,
      issued_at: row.issued_at,
      revoked_at: null,
      revocation_reason: null,
      revocation_number: null,
    }),
)

const findIssued = statement((db, p: { tenantId: string; serial: string }) =>
  db
    .selectFrom('issued_certificate')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('serial', '=', p.serial),
)

const listUnrevoked = statement((db, p: { tenantId: string; certificateId: string }) =>
  db
    .selectFrom('issued_certificate')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('certificate_id', '=', p.certificateId)
    .where('revoked_at', 'is', null),
)

/** The queue of requests, and what was issued. */
export class IssuanceStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  async isAnyDue(nowMs: number): Promise<boolean> {
    return (await this.#queries.first(findDue, { nowMs })) !== undefined
  }

  /** Takes requests that nobody issues yet, until `untilMs`: then they are due again. */
  async claimDue(claim: {
    nowMs: number
    untilMs: number
    claim: string
  }): Promise<ClaimedRequest[]> {
    return (await this.#queries.all(claimDue, claim)).map((row) => ({
      tenantId: row.tenant_id,
      id: row.id,
      profile: row.profile as RequestedProfile,
      issuerId: row.issuer_id,
      userId: row.user_id,
      deviceId: row.device_id,
      publicKey: row.public_key,
    }))
  }

  async putBack(claimed: Claimed & { dueAtMs: number }): Promise<void> {
    await this.#queries.run(putBack, claimed)
  }

  /** Lets another signer issue it. */
  async reassign(claimed: Claimed & { issuerId: string }): Promise<void> {
    await this.#queries.run(reassign, claimed)
  }

  /** What waits for an issuer's certificate waits no longer. */
  async hasten(waiting: { tenantId: string; issuerId: string; nowMs: number }): Promise<void> {
    await this.#queries.run(hasten, waiting)
  }

  /** True for whoever claimed it last, while it is still wanted. */
  async finish(
    claimed: Claimed & { serial: string; notAfterMs: number; nowMs: number },
  ): Promise<boolean> {
    return (await this.#queries.run(finish, claimed)) === 1
  }

  /** @throws StorageError `taken` for a serial number that was drawn before. */
  async insertIssued(certificate: {
    tenantId: string
    serial: string
    certificateId: string
    issuerId: string
    shard: number
    der: Uint8Array
    notBeforeMs: number
    notAfterMs: number
    nowMs: number
  }): Promise<void> {
    await this.#queries.run(insertIssued, {
      tenant_id: certificate.tenantId,
      serial: certificate.serial,
      certificate_id: certificate.certificateId,
      issuer_id: certificate.issuerId,
      shard: certificate.shard,
      der: certificate.der,
      not_before: certificate.notBeforeMs,
      not_after: certificate.notAfterMs,
      issued_at: certificate.nowMs,
    })
  }

  async findIssued(tenantId: string, serial: string): Promise<IssuedCertificate | undefined> {
    const row = await this.#queries.first(findIssued, { tenantId, serial })
    return row && asIssued(row)
  }

  /** All certificates of a reference that are not revoked: the present one, and those before its renewals. */
  async listUnrevoked(tenantId: string, certificateId: string): Promise<IssuedCertificate[]> {
    return (await this.#queries.all(listUnrevoked, { tenantId, certificateId })).map(asIssued)
  }
}

function asIssued(row: IssuedCertificateTable): IssuedCertificate {
  return {
    serial: row.serial,
    certificateId: row.certificate_id,
    issuerId: row.issuer_id,
    shard: row.shard,
    der: row.der,
    notAfterMs: row.not_after,
    revokedAtMs: row.revoked_at,
    revocationReason: row.revocation_reason as RevocationReason | null,
  }
}
