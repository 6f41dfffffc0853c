import type { Queries } from '#storage/queries.ts'
import { dynamicStatement, nothing, statement } from '#storage/statement.ts'

interface Key {
  readonly tenantId: string
  readonly userId: string
}

const clearLockout = statement((db, p: Key) =>
  db.deleteFrom('user_lockout').where('tenant_id', '=', p.tenantId).where('user_id', '=', p.userId),
)

const unlockAssignments = statement((db, p: Key & { nowMs: number }) =>
  db
    .updateTable('otp_assignment')
    .set({
      status: 'ACTIVE',
      failure_count: 0,
      locked_until: null,
      lock_reason: null,
      updated_at: p.nowMs,
    })
    .where('tenant_id', '=', p.tenantId)
    .where('user_id', '=', p.userId)
    .where('status', '=', 'LOCKED')
    .where('lock_reason', '=', 'FAILURES'),
)

const forgetFailures = statement((db, p: Key & { nowMs: number }) =>
  db
    .updateTable('otp_assignment')
    .set({ failure_count: 0, updated_at: p.nowMs })
    .where('tenant_id', '=', p.tenantId)
    .where('user_id', '=', p.userId)
    .where('failure_count', '>', 0),
)

const listTokens = statement((db, p: Key & { limit: number }) =>
  db
    .selectFrom('otp_assignment')
    .select('token_id')
    .where('tenant_id', '=', p.tenantId)
    .where('user_id', '=', p.userId)
    .orderBy('token_id')
    .limit(p.limit),
)

/** What of a user's credentials changes with the user. */
export class UserCredentialStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** Forgets the failures and the lock that stand on the user. */
  async clearLockout(tenantId: string, userId: string): Promise<void> {
    await this.#queries.run(clearLockout, { tenantId, userId })
  }

  /**
   * Lifts the locks that failures have set on the user's token assignments, and forgets all failures. A lock that an
   * administrator has set stays.
   *
   * @returns how many locks were lifted.
   */
  async unlockAssignments(tenantId: string, userId: string, nowMs: number): Promise<number> {
    const lifted = await this.#queries.run(unlockAssignments, { tenantId, userId, nowMs })
    await this.#queries.run(forgetFailures, { tenantId, userId, nowMs })
    return lifted
  }

  /**
   * Takes up to `limit` tokens from a user who is being deleted: assignments go, open download tickets are void, and
   * the tokens forget who used them last.
   *
   * @returns the ids of the tokens; fewer than `limit` when nothing is left.
   */
  async unassignTokens(tenantId: string, userId: string, limit: number): Promise<string[]> {
    const rows = await this.#queries.all(listTokens, { tenantId, userId, limit })
    const tokenIds = rows.map(({ token_id }) => token_id)
    if (tokenIds.length === 0) return tokenIds
    await this.#queries.run(
      dynamicStatement((db) =>
        db
          .updateTable('otp_factor')
          .set({ last_used_by: null })
          .where('tenant_id', '=', tenantId)
          .where('token_id', 'in', tokenIds)
          .where('last_used_by', '=', userId),
      ),
      nothing,
    )
    await this.#queries.run(
      dynamicStatement((db) =>
        db
          .updateTable('download_ticket')
          .set({ state: 'REVOKED' })
          .where('tenant_id', '=', tenantId)
          .where('token_id', 'in', tokenIds)
          .where('user_id', '=', userId)
          .where('state', '=', 'OPEN'),
      ),
      nothing,
    )
    await this.#queries.run(
      dynamicStatement((db) =>
        db
          .deleteFrom('otp_assignment')
          .where('tenant_id', '=', tenantId)
          .where('token_id', 'in', tokenIds)
          .where('user_id', '=', userId),
      ),
      nothing,
    )
    return tokenIds
  }
}
