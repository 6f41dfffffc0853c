import type { Queries } from '#storage/queries.ts'
import type { EnrolmentCodeTable } from '#storage/schema/devices.ts'
import { dynamicStatement, nothing, statement } from '#storage/statement.ts'

export type CodeStatus = 'PENDING' | 'USED' | 'EXPIRED' | 'REVOKED'

/** A one-time right to enrol a device. The code itself is never stored. */
export interface EnrolmentCode {
  readonly tenantId: string
  readonly id: string
  /** SHA-256 of the code in ASCII, base64url. */
  readonly codeHash: string
  readonly userId: string | null
  readonly externalUserId: string | null
  /** As stored: a PENDING one may have expired, see {@link statusAt}. */
  readonly stored: Exclude<CodeStatus, 'EXPIRED'>
  readonly failures: number
  readonly deviceName: string | null
  readonly createdBy: string
  readonly createdAtMs: number
  readonly expiresAtMs: number
  readonly usedAtMs: number | null
  readonly deviceId: string | null
  /** Of the device key that used it. */
  readonly keyThumbprint: string | null
}

export interface CodeFilter {
  readonly userId?: string | undefined
  readonly status?: CodeStatus | undefined
}

/** Failed redemptions after which a code is void. */
export const codeFailuresMax = 5

export function statusAt({ stored, expiresAtMs }: EnrolmentCode, nowMs: number): CodeStatus {
  return stored === 'PENDING' && expiresAtMs <= nowMs ? 'EXPIRED' : stored
}

const insert = statement(
  (
    db,
    p: Pick<
      EnrolmentCode,
      | 'tenantId'
      | 'id'
      | 'codeHash'
      | 'userId'
      | 'externalUserId'
      | 'deviceName'
      | 'createdBy'
      | 'createdAtMs'
      | 'expiresAtMs'
    >,
  ) =>
    db.insertInto('enrolment_code').values({
      tenant_id: p.tenantId,
      id: p.id,
      code_hash: p.codeHash,
      user_id: p.userId,
      external_user_id: p.externalUserId,
      status: 'PENDING',
      failures: 0,
      device_name: p.deviceName,
      created_by: p.createdBy,
      created_at: p.createdAtMs,
      expires_at: p.expiresAtMs,
      used_at: null,
      device_id: null,
      key_thumbprint: null,
    }),
)

const find = statement((db, p: { tenantId: string; id: string }) =>
  db
    .selectFrom('enrolment_code')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id),
)

const findByCode = statement((db, p: { codeHash: string }) =>
  db.selectFrom('enrolment_code').selectAll().where('code_hash', '=', p.codeHash),
)

const spend = statement(
  (
    db,
    p: {
      tenantId: string
      id: string
      userId: string
      deviceId: string
      keyThumbprint: string
      nowMs: number
    },
  ) =>
    db
      .updateTable('enrolment_code')
      .set({
        status: 'USED',
        user_id: p.userId,
        device_id: p.deviceId,
        key_thumbprint: p.keyThumbprint,
        used_at: p.nowMs,
      })
      .where('tenant_id', '=', p.tenantId)
      .where('id', '=', p.id)
      .where('status', '=', 'PENDING')
      .where('expires_at', '>', p.nowMs),
)

const fail = statement((db, p: { tenantId: string; id: string; failuresMax: number }) =>
  db
    .updateTable('enrolment_code')
    .set((eb) => ({
      failures: eb('failures', '+', 1),
      status: eb
        .case()
        .when(eb('failures', '+', 1), '>=', p.failuresMax)
        .then('REVOKED')
        .else('PENDING')
        .end(),
    }))
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id)
    .where('status', '=', 'PENDING')
    .returning(['failures', 'status']),
)

const revoke = statement((db, p: { tenantId: string; id: string; nowMs: number }) =>
  db
    .updateTable('enrolment_code')
    .set({ status: 'REVOKED' })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id)
    .where('status', '=', 'PENDING')
    .where('expires_at', '>', p.nowMs),
)

const revokeOfUser = statement((db, p: { tenantId: string; userId: string }) =>
  db
    .updateTable('enrolment_code')
    .set({ status: 'REVOKED' })
    .where('tenant_id', '=', p.tenantId)
    .where('user_id', '=', p.userId)
    .where('status', '=', 'PENDING'),
)

/** Enrolment codes. */
export class EnrolmentCodeStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  async insert(
    code: Pick<
      EnrolmentCode,
      | 'tenantId'
      | 'id'
      | 'codeHash'
      | 'userId'
      | 'externalUserId'
      | 'deviceName'
      | 'createdBy'
      | 'createdAtMs'
      | 'expiresAtMs'
    >,
  ): Promise<void> {
    await this.#queries.run(insert, code)
  }

  async find(tenantId: string, id: string): Promise<EnrolmentCode | undefined> {
    const row = await this.#queries.first(find, { tenantId, id })
    return row && asCode(row)
  }

  /** Its bearer names no tenant: the hash of 256 random bits names one code of the whole server. */
  async findByCode(codeHash: string): Promise<EnrolmentCode | undefined> {
    const row = await this.#queries.first(findByCode, { codeHash })
    return row && asCode(row)
  }

  /** Newest first. */
  async list(
    tenantId: string,
    filter: CodeFilter & { beforeId?: string | undefined; limit: number; nowMs: number },
  ): Promise<EnrolmentCode[]> {
    const { userId, status, beforeId, limit, nowMs } = filter
    const list = dynamicStatement((db) => {
      let rows = db.selectFrom('enrolment_code').selectAll().where('tenant_id', '=', tenantId)
      if (userId !== undefined) rows = rows.where('user_id', '=', userId)
      if (status === 'PENDING') {
        rows = rows.where('status', '=', 'PENDING').where('expires_at', '>', nowMs)
      } else if (status === 'EXPIRED') {
        rows = rows.where('status', '=', 'PENDING').where('expires_at', '<=', nowMs)
      } else if (status !== undefined) {
        rows = rows.where('status', '=', status)
      }
      if (beforeId !== undefined) rows = rows.where('id', '<', beforeId)
      return rows.orderBy('id', 'desc').limit(limit)
    })
    return (await this.#queries.all(list, nothing)).map(asCode)
  }

  /** True for whoever comes first, while it is open. One statement, so that nobody else does. */
  async spend(
    { tenantId, id }: EnrolmentCode,
    used: { userId: string; deviceId: string; keyThumbprint: string; nowMs: number },
  ): Promise<boolean> {
    return (await this.#queries.run(spend, { tenantId, id, ...used })) === 1
  }

  /** Counts a failed redemption; the fifth voids the code. @returns undefined when it is not open any more. */
  async fail(
    tenantId: string,
    id: string,
  ): Promise<{ failures: number; isVoid: boolean } | undefined> {
    const row = await this.#queries.first(fail, { tenantId, id, failuresMax: codeFailuresMax })
    return row && { failures: row.failures, isVoid: row.status === 'REVOKED' }
  }

  /** @returns false when it was not open. */
  async revoke(tenantId: string, id: string, nowMs: number): Promise<boolean> {
    return (await this.#queries.run(revoke, { tenantId, id, nowMs })) === 1
  }

  async revokeOfUser(tenantId: string, userId: string): Promise<void> {
    await this.#queries.run(revokeOfUser, { tenantId, userId })
  }
}

function asCode(row: EnrolmentCodeTable): EnrolmentCode {
  return {
    tenantId: row.tenant_id,
    id: row.id,
    codeHash: row.code_hash,
    userId: row.user_id,
    externalUserId: row.external_user_id,
    stored: row.status as EnrolmentCode['stored'],
    failures: row.failures,
    deviceName: row.device_name,
    createdBy: row.created_by,
    createdAtMs: row.created_at,
    expiresAtMs: row.expires_at,
    usedAtMs: row.used_at,
    deviceId: row.device_id,
    keyThumbprint: row.key_thumbprint,
  }
}
