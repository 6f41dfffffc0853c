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
    .selectFrom('otp_assignment as a')
    .innerJoin('otp_token as t', (join) =>
      join.onRef('t.tenant_id', '=', 'a.tenant_id').onRef('t.id', '=', 'a.token_id'),
    )
    .select(['t.id', 't.serial'])
    .where('a.tenant_id', '=', p.tenantId)
    .where('a.user_id', '=', p.userId)
    .orderBy('a.token_id')
    .limit(p.limit),
)

/** A token that was somebody's. */
export interface FreedToken {
  readonly id: string
  readonly serial: string
}

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
   * Takes up to `limit` tokens from a user who is being deleted: assignments and download tickets go, and the tokens
   * forget who used them last.
   *
   * @returns the tokens; fewer than `limit` when nothing is left.
   */
  async unassignTokens(tenantId: string, userId: string, limit: number): Promise<FreedToken[]> {
    const tokens = await this.#queries.all(listTokens, { tenantId, userId, limit })
    if (tokens.length === 0) return tokens
    const ids = tokens.map(({ id }) => id)
    const removeFrom = (table: 'otp_assignment' | 'download_ticket') =>
      dynamicStatement((db) =>
        db
          .deleteFrom(table)
          .where('tenant_id', '=', tenantId)
          .where('token_id', 'in', ids)
          .where('user_id', '=', userId),
      )
    await this.#queries.run(removeFrom('otp_assignment'), nothing)
    await this.#queries.run(removeFrom('download_ticket'), nothing)
    const forgetUser = dynamicStatement((db) =>
      db
        .updateTable('otp_factor')
        .set({ last_used_by: null })
        .where('tenant_id', '=', tenantId)
        .where('token_id', 'in', ids)
        .where('last_used_by', '=', userId),
    )
    await this.#queries.run(forgetUser, nothing)
    return tokens
  }
}
