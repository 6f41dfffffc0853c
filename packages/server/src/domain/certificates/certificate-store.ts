import type { Queries } from '#storage/queries.ts'
import type { CertificateTable } from '#storage/schema/certificates.ts'
import { type Builder, statement } from '#storage/statement.ts'
import { platformTenantId } from '../callers/caller.ts'
import type {
  Certificate,
  CertificateStatus,
  RequestedProfile,
  RevocationReason,
} from './certificate.ts'

interface Key {
  readonly tenantId: string
  readonly id: string
}

/** A request to be stored; null members: of a signer. */
export interface NewRequest extends Key {
  readonly profile: RequestedProfile
  readonly issuerId: string
  readonly userId: string | null
  readonly deviceId: string | null
  readonly publicKey: Uint8Array | null
  readonly nowMs: number
}

const insert = statement((db, p: NewRequest) =>
  db.insertInto('certificate').values({
    tenant_id: p.tenantId,
    id: p.id,
    profile: p.profile,
    status: 'REQUESTED',
    issuer_id: p.issuerId,
    user_id: p.userId,
    device_id: p.deviceId,
    public_key: p.publicKey,
    requested_at: p.nowMs,
    issued_at: null,
    serial: null,
    not_after: null,
    revoked_at: null,
    revocation_reason: null,
    failure: null,
    due_at: p.nowMs,
    claim: null,
    updated_at: p.nowMs,
  }),
)

/** A request of a user on a device, if it is one of `countMax` at most. */
const insertWithin = statement(
  (
    db,
    p: NewRequest & {
      userId: string
      deviceId: string
      publicKey: Uint8Array
      passedOver: number
    },
  ) =>
    db
      .insertInto('certificate')
      .columns([
        'tenant_id',
        'id',
        'profile',
        'status',
        'issuer_id',
        'user_id',
        'device_id',
        'public_key',
        'requested_at',
        'due_at',
        'updated_at',
      ])
      .expression(
        db
          .selectNoFrom((eb) => [
            eb.val(p.tenantId).as('tenant_id'),
            eb.val(p.id).as('id'),
            eb.val(p.profile).as('profile'),
            eb.val('REQUESTED').as('status'),
            eb.val(p.issuerId).as('issuer_id'),
            eb.val(p.userId).as('user_id'),
            eb.val(p.deviceId).as('device_id'),
            eb.val(p.publicKey).as('public_key'),
            eb.val(p.nowMs).as('requested_at'),
            eb.val(p.nowMs).as('due_at'),
            eb.val(p.nowMs).as('updated_at'),
          ])
          // There is no countMax-th one.
          .where(({ not, exists }) =>
            not(
              exists(
                db
                  .selectFrom('certificate')
                  .select('id')
                  .where('tenant_id', '=', p.tenantId)
                  .where('device_id', '=', p.deviceId)
                  .where('status', '<>', 'REVOKED')
                  .where(({ or, eb }) =>
                    or([eb('status', '<>', 'FAILED'), eb('serial', 'is not', null)]),
                  )
                  .where('user_id', '=', p.userId)
                  .limit(1)
                  .offset(p.passedOver),
              ),
            ),
          ),
      ),
)

/** With the present certificate, where there is one. */
export function certificatesWithDer(db: Builder) {
  return db
    .selectFrom('certificate as c')
    .leftJoin('issued_certificate as i', (join) =>
      join.onRef('i.tenant_id', '=', 'c.tenant_id').onRef('i.serial', '=', 'c.serial'),
    )
    .select([
      'c.tenant_id',
      'c.id',
      'c.profile',
      'c.status',
      'c.issuer_id',
      'c.user_id',
      'c.device_id',
      'c.requested_at',
      'c.issued_at',
      'c.serial',
      'c.not_after',
      'c.revoked_at',
      'c.revocation_reason',
      'c.failure',
      'i.der',
      'i.not_before',
    ])
}

export type CertificateRow = Omit<
  CertificateTable,
  'public_key' | 'due_at' | 'claim' | 'updated_at'
> & { readonly der: Uint8Array | null; readonly not_before: number | null }

const find = statement((db, p: Key) =>
  certificatesWithDer(db).where('c.tenant_id', '=', p.tenantId).where('c.id', '=', p.id),
)

/** Newest first, of one device: a user's, or all. */
const listOfDevice = statement((db, p: { tenantId: string; deviceId: string; limit: number }) =>
  certificatesWithDer(db)
    .where('c.tenant_id', '=', p.tenantId)
    .where('c.device_id', '=', p.deviceId)
    .orderBy('c.id', 'desc')
    .limit(p.limit),
)

/** What can still be revoked or issued. */
const listLiveOfDevice = statement(
  (db, p: { tenantId: string; deviceId: string; userId: string; anyUser: number; limit: number }) =>
    certificatesWithDer(db)
      .where('c.tenant_id', '=', p.tenantId)
      .where('c.device_id', '=', p.deviceId)
      .where('c.status', '<>', 'REVOKED')
      .where((eb) => eb.or([eb('c.status', '<>', 'FAILED'), eb('c.serial', 'is not', null)]))
      .where((eb) => eb.or([eb('c.user_id', '=', p.userId), eb(eb.val(p.anyUser), '=', 1)]))
      .orderBy('c.id')
      .limit(p.limit),
)

const findEnrolledKey = statement((db, p: { platformId: string; thumbprint: string }) =>
  db
    .selectFrom('enrolled_key')
    .select('device_id')
    .where('tenant_id', '=', p.platformId)
    .where('thumbprint', '=', p.thumbprint),
)

const request = statement(
  (db, p: Key & { issuerId: string; publicKey: Uint8Array | null; nowMs: number }) =>
    db
      .updateTable('certificate')
      .set({
        status: 'REQUESTED',
        issuer_id: p.issuerId,
        public_key: p.publicKey,
        requested_at: p.nowMs,
        failure: null,
        due_at: p.nowMs,
        claim: null,
        updated_at: p.nowMs,
      })
      .where('tenant_id', '=', p.tenantId)
      .where('id', '=', p.id)
      .where('status', 'in', ['ISSUED', 'FAILED']),
)

const revoke = statement((db, p: Key & { reason: string; nowMs: number }) =>
  db
    .updateTable('certificate')
    .set({
      status: 'REVOKED',
      revoked_at: p.nowMs,
      revocation_reason: p.reason,
      claim: null,
      updated_at: p.nowMs,
    })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id)
    .where('serial', 'is not', null)
    .where('status', '<>', 'REVOKED'),
)

const fail = statement((db, p: Key & { failure: string; nowMs: number }) =>
  db
    .updateTable('certificate')
    .set({ status: 'FAILED', failure: p.failure, claim: null, updated_at: p.nowMs })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id)
    .where('status', '=', 'REQUESTED'),
)

const remove = statement((db, p: Key) =>
  db.deleteFrom('certificate').where('tenant_id', '=', p.tenantId).where('id', '=', p.id),
)

const claimKey = statement(
  (db, p: { tenantId: string; thumbprint: string; deviceId: string; userId: string }) =>
    db
      .insertInto('certified_key')
      .values({
        tenant_id: p.tenantId,
        thumbprint: p.thumbprint,
        device_id: p.deviceId,
        user_id: p.userId,
      })
      .onConflict((conflict) => conflict.doNothing()),
)

const findKeyOwner = statement((db, p: { tenantId: string; thumbprint: string }) =>
  db
    .selectFrom('certified_key')
    .select(['device_id', 'user_id'])
    .where('tenant_id', '=', p.tenantId)
    .where('thumbprint', '=', p.thumbprint),
)

/** Certificates by the reference of their request. */
export class CertificateStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  async insert(certificate: NewRequest): Promise<void> {
    await this.#queries.run(insert, certificate)
  }

  /**
   * False when this user has `countMax` on this device that are usable or may come to be. Whoever asks counts behind
   * everybody who asked before, in whatever process.
   */
  async insertWithin(
    countMax: number,
    certificate: NewRequest & { userId: string; deviceId: string; publicKey: Uint8Array },
  ): Promise<boolean> {
    const { tenantId, deviceId, userId } = certificate
    await this.#queries.hold?.(`certificates ${tenantId} ${deviceId} ${userId}`)
    const parameters = { ...certificate, passedOver: countMax - 1 }
    return (await this.#queries.run(insertWithin, parameters)) === 1
  }

  async find(tenantId: string, id: string): Promise<Certificate | undefined> {
    const row = await this.#queries.first(find, { tenantId, id })
    return row && asCertificate(row)
  }

  /** Newest first. */
  async listOfDevice(tenantId: string, deviceId: string, limit: number): Promise<Certificate[]> {
    const rows = await this.#queries.all(listOfDevice, { tenantId, deviceId, limit })
    return rows.map(asCertificate)
  }

  /** Those of a device that are usable or may come to be, oldest first. @param userId undefined: of all its users. */
  async listLiveOfDevice(
    tenantId: string,
    deviceId: string,
    userId: string | undefined,
    limit: number,
  ): Promise<Certificate[]> {
    const anyUser = userId === undefined ? 1 : 0
    const parameters = { tenantId, deviceId, userId: userId ?? '', anyUser, limit }
    return (await this.#queries.all(listLiveOfDevice, parameters)).map(asCertificate)
  }

  /** Whether the key was ever enrolled as a device or biometric key, in whatever tenant. */
  async isEnrolled(thumbprint: string): Promise<boolean> {
    const parameters = { platformId: platformTenantId, thumbprint }
    return (await this.#queries.first(findEnrolledKey, parameters)) !== undefined
  }

  /** Back into the queue. False when it waits there already, or was revoked. */
  async requestAgain(
    key: Key & { issuerId: string; publicKey: Uint8Array | null; nowMs: number },
  ): Promise<boolean> {
    return (await this.#queries.run(request, key)) === 1
  }

  /** True for whoever revokes it, once; false when no certificate was issued. */
  async revoke(key: Key & { reason: RevocationReason; nowMs: number }): Promise<boolean> {
    return (await this.#queries.run(revoke, key)) === 1
  }

  /** Ends a request that waits. False when it does not wait any more. */
  async fail(key: Key & { failure: string; nowMs: number }): Promise<boolean> {
    return (await this.#queries.run(fail, key)) === 1
  }

  async remove(tenantId: string, id: string): Promise<void> {
    await this.#queries.run(remove, { tenantId, id })
  }

  /** Makes the key theirs for ever. False when it is somebody else's. */
  async claimKey(key: {
    tenantId: string
    thumbprint: string
    deviceId: string
    userId: string
  }): Promise<boolean> {
    if ((await this.#queries.run(claimKey, key)) === 1) return true
    const { tenantId, thumbprint } = key
    const owner = await this.#queries.first(findKeyOwner, { tenantId, thumbprint })
    return owner?.device_id === key.deviceId && owner.user_id === key.userId
  }
}

export function asCertificate(row: CertificateRow): Certificate {
  return {
    tenantId: row.tenant_id,
    id: row.id,
    profile: row.profile as RequestedProfile,
    status: row.status as CertificateStatus,
    issuerId: row.issuer_id,
    userId: row.user_id,
    deviceId: row.device_id,
    requestedAtMs: row.requested_at,
    issuedAtMs: row.issued_at,
    serial: row.serial,
    der: row.der,
    notBeforeMs: row.not_before,
    notAfterMs: row.not_after,
    revokedAtMs: row.revoked_at,
    revocationReason: row.revocation_reason as RevocationReason | null,
    failure: row.failure,
  }
}
