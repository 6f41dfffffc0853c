import type { Queries } from '#storage/queries.ts'
import type { OtpAssignmentTable } from '#storage/schema.ts'
import { dynamicStatement, nothing, statement } from '#storage/statement.ts'
import type { Assignment, AssignmentStatus, LockReason } from './assignment.ts'

/** Names one assignment. */
export interface AssignmentKey {
  readonly tenantId: string
  readonly tokenId: string
  readonly userId: string
}

/** Columns that an administrator changes; absent members are left alone. */
export interface AssignmentColumns {
  readonly pinHash?: string | null | undefined
  readonly startsAtMs?: number | null | undefined
  readonly expiresAtMs?: number | null | undefined
  readonly usageLimit?: number | undefined
  readonly priority?: number | undefined
}

const insert = statement((db, row: OtpAssignmentTable) =>
  db
    .insertInto('otp_assignment')
    .values({
      tenant_id: row.tenant_id,
      token_id: row.token_id,
      user_id: row.user_id,
      id: row.id,
      is_owner: row.is_owner,
      status: row.status,
      pin_hash: row.pin_hash,
      failure_count: row.failure_count,
      locked_until: row.locked_until,
      lock_reason: row.lock_reason,
      starts_at: row.starts_at,
      expires_at: row.expires_at,
      usage_limit: row.usage_limit,
      use_count: row.use_count,
      priority: row.priority,
      created_at: row.created_at,
      updated_at: row.updated_at,
    })
    .onConflict((taken) => taken.doNothing()),
)

const find = statement((db, p: AssignmentKey) =>
  db
    .selectFrom('otp_assignment')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('token_id', '=', p.tokenId)
    .where('user_id', '=', p.userId),
)

const findById = statement((db, p: { tenantId: string; id: string }) =>
  db
    .selectFrom('otp_assignment')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id),
)

const listOfToken = statement((db, p: { tenantId: string; tokenId: string }) =>
  db
    .selectFrom('otp_assignment')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('token_id', '=', p.tokenId)
    .orderBy('created_at')
    .orderBy('id'),
)

const setStatus = statement(
  (db, p: AssignmentKey & { status: string; lockReason: string | null; nowMs: number }) =>
    db
      .updateTable('otp_assignment')
      .set({
        status: p.status,
        locked_until: null,
        lock_reason: p.lockReason,
        updated_at: p.nowMs,
      })
      .where('tenant_id', '=', p.tenantId)
      .where('token_id', '=', p.tokenId)
      .where('user_id', '=', p.userId),
)

const clearFailures = statement((db, p: AssignmentKey & { nowMs: number }) =>
  db
    .updateTable('otp_assignment')
    .set({ failure_count: 0, updated_at: p.nowMs })
    .where('tenant_id', '=', p.tenantId)
    .where('token_id', '=', p.tokenId)
    .where('user_id', '=', p.userId),
)

const clearFailuresOfToken = statement(
  (db, p: { tenantId: string; tokenId: string; nowMs: number }) =>
    db
      .updateTable('otp_assignment')
      .set({ failure_count: 0, updated_at: p.nowMs })
      .where('tenant_id', '=', p.tenantId)
      .where('token_id', '=', p.tokenId)
      .where('failure_count', '>', 0),
)

const remove = statement((db, p: AssignmentKey) =>
  db
    .deleteFrom('otp_assignment')
    .where('tenant_id', '=', p.tenantId)
    .where('token_id', '=', p.tokenId)
    .where('user_id', '=', p.userId),
)

const removeOfToken = statement((db, p: { tenantId: string; tokenId: string }) =>
  db
    .deleteFrom('otp_assignment')
    .where('tenant_id', '=', p.tenantId)
    .where('token_id', '=', p.tokenId),
)

/** Who holds which token. */
export class AssignmentStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** @returns false when the user has the token already, or an owner is wanted and there is one: the indexes decide. */
  async insert(assignment: Assignment): Promise<boolean> {
    return (await this.#queries.run(insert, asRow(assignment))) === 1
  }

  async find(key: AssignmentKey): Promise<Assignment | undefined> {
    const row = await this.#queries.first(find, key)
    return row && asAssignment(row)
  }

  async findById(tenantId: string, id: string): Promise<Assignment | undefined> {
    const row = await this.#queries.first(findById, { tenantId, id })
    return row && asAssignment(row)
  }

  /** In order of creation; at most `assignmentsPerTokenMax`. */
  async listOfToken(tenantId: string, tokenId: string): Promise<Assignment[]> {
    return (await this.#queries.all(listOfToken, { tenantId, tokenId })).map(asAssignment)
  }

  /** Those of all the tokens of a page, in one statement; by token, then in order of creation. */
  async listOfTokens(tenantId: string, tokenIds: readonly string[]): Promise<Assignment[]> {
    if (tokenIds.length === 0) return []
    const list = dynamicStatement((db) =>
      db
        .selectFrom('otp_assignment')
        .selectAll()
        .where('tenant_id', '=', tenantId)
        .where('token_id', 'in', tokenIds)
        .orderBy('token_id')
        .orderBy('created_at')
        .orderBy('id'),
    )
    return (await this.#queries.all(list, nothing)).map(asAssignment)
  }

  async update(key: AssignmentKey, columns: AssignmentColumns, nowMs: number): Promise<void> {
    const { pinHash, startsAtMs, expiresAtMs, usageLimit, priority } = columns
    const update = dynamicStatement((db) =>
      db
        .updateTable('otp_assignment')
        .set({
          ...(pinHash !== undefined && { pin_hash: pinHash }),
          ...(startsAtMs !== undefined && { starts_at: startsAtMs }),
          ...(expiresAtMs !== undefined && { expires_at: expiresAtMs }),
          ...(usageLimit !== undefined && { usage_limit: usageLimit }),
          ...(priority !== undefined && { priority }),
          updated_at: nowMs,
        })
        .where('tenant_id', '=', key.tenantId)
        .where('token_id', '=', key.tokenId)
        .where('user_id', '=', key.userId),
    )
    await this.#queries.run(update, nothing)
  }

  /** Ends a lock, or begins one that lasts until it is ended. */
  async setStatus(
    { tenantId, tokenId, userId }: AssignmentKey,
    status: AssignmentStatus,
    nowMs: number,
  ): Promise<void> {
    const lockReason: LockReason | null = status === 'LOCKED' ? 'ADMINISTRATOR' : null
    await this.#queries.run(setStatus, { tenantId, tokenId, userId, status, lockReason, nowMs })
  }

  async clearFailures({ tenantId, tokenId, userId }: AssignmentKey, nowMs: number): Promise<void> {
    await this.#queries.run(clearFailures, { tenantId, tokenId, userId, nowMs })
  }

  async clearFailuresOfToken(tenantId: string, tokenId: string, nowMs: number): Promise<void> {
    await this.#queries.run(clearFailuresOfToken, { tenantId, tokenId, nowMs })
  }

  /** @returns false when there was none. */
  async remove({ tenantId, tokenId, userId }: AssignmentKey): Promise<boolean> {
    return (await this.#queries.run(remove, { tenantId, tokenId, userId })) === 1
  }

  async removeOfToken(tenantId: string, tokenId: string): Promise<number> {
    return this.#queries.run(removeOfToken, { tenantId, tokenId })
  }
}

function asRow(assignment: Assignment): OtpAssignmentTable {
  return {
    tenant_id: assignment.tenantId,
    token_id: assignment.tokenId,
    user_id: assignment.userId,
    id: assignment.id,
    is_owner: assignment.isOwner ? 1 : 0,
    status: assignment.status,
    pin_hash: assignment.pinHash,
    failure_count: assignment.failureCount,
    locked_until: assignment.lockedUntilMs,
    lock_reason: assignment.lockReason,
    starts_at: assignment.startsAtMs,
    expires_at: assignment.expiresAtMs,
    usage_limit: assignment.usageLimit,
    use_count: assignment.useCount,
    priority: assignment.priority,
    created_at: assignment.createdAtMs,
    updated_at: assignment.updatedAtMs,
  }
}

function asAssignment(row: OtpAssignmentTable): Assignment {
  return {
    tenantId: row.tenant_id,
    tokenId: row.token_id,
    userId: row.user_id,
    id: row.id,
    isOwner: row.is_owner === 1,
    status: row.status as AssignmentStatus,
    pinHash: row.pin_hash,
    failureCount: row.failure_count,
    lockedUntilMs: row.locked_until,
    lockReason: row.lock_reason as LockReason | null,
    startsAtMs: row.starts_at,
    expiresAtMs: row.expires_at,
    usageLimit: row.usage_limit,
    useCount: row.use_count,
    priority: row.priority,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
  }
}
