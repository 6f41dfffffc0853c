import type { Queries } from '#storage/queries.ts'
import { integerParameter, type StatementOptions, statement } from '#storage/statement.ts'
import type { TokenCandidate } from './candidate.ts'

/** Each changes one row, and looks at no other. */
const ofOneUser: StatementOptions = { apartBy: ['tenantId', 'userId'] }
const ofOneAssignment: StatementOptions = { apartBy: ['tenantId', 'tokenId', 'userId'] }

const setLastLogin = statement(
  (db, p: { tenantId: string; userId: string; nowMs: number }) =>
    db
      .updateTable('app_user')
      .set({ last_login_at: p.nowMs })
      .where('tenant_id', '=', p.tenantId)
      .where('id', '=', p.userId),
  ofOneUser,
)

const clearAssignment = statement(
  (db, p: { tenantId: string; tokenId: string; userId: string; nowMs: number }) =>
    db
      .updateTable('otp_assignment')
      .set({
        failure_count: 0,
        status: 'ACTIVE',
        locked_until: null,
        lock_reason: null,
        updated_at: p.nowMs,
      })
      .where('tenant_id', '=', p.tenantId)
      .where('token_id', '=', p.tokenId)
      .where('user_id', '=', p.userId)
      // What an administrator, or a burst of wrong codes, has done in the same moment stays.
      .where((eb) =>
        eb.or([
          eb('status', '=', 'ACTIVE'),
          eb.and([eb('status', '=', 'LOCKED'), eb('locked_until', '<=', p.nowMs)]),
        ]),
      ),
  ofOneAssignment,
)

const clearUser = statement((db, p: { tenantId: string; userId: string; nowMs: number }) =>
  db
    .deleteFrom('user_lockout')
    .where('tenant_id', '=', p.tenantId)
    .where('user_id', '=', p.userId)
    .where((eb) => eb.or([eb('locked_at', 'is', null), eb('locked_until', '<=', p.nowMs)])),
)

const failAssignment = statement(
  (
    db,
    p: {
      tenantId: string
      tokenId: string
      userId: string
      nowMs: number
      failuresMax: number
      lockUntilMs: number | null
    },
  ) =>
    db
      .updateTable('otp_assignment')
      .set((eb) => {
        // A LOCKED row gets here only after its lock has ended: counting starts anew.
        const count = eb
          .case()
          .when('status', '=', 'LOCKED')
          .then(1)
          .else(eb('failure_count', '+', 1))
          .end()
        return {
          failure_count: count,
          status: eb.case().when(count, '>=', p.failuresMax).then('LOCKED').else('ACTIVE').end(),
          locked_until: eb
            .case()
            .when(count, '>=', p.failuresMax)
            .then(integerParameter(p.lockUntilMs))
            .else(null)
            .end(),
          lock_reason: eb.case().when(count, '>=', p.failuresMax).then('FAILURES').else(null).end(),
          updated_at: p.nowMs,
        }
      })
      .where('tenant_id', '=', p.tenantId)
      .where('token_id', '=', p.tokenId)
      .where('user_id', '=', p.userId)
      .where((eb) =>
        eb.or([
          eb('status', '=', 'ACTIVE'),
          eb.and([eb('status', '=', 'LOCKED'), eb('locked_until', '<=', p.nowMs)]),
        ]),
      )
      .returning(['failure_count', 'status', 'locked_until']),
  ofOneAssignment,
)

const failUser = statement(
  (
    db,
    p: {
      tenantId: string
      userId: string
      nowMs: number
      failuresMax: number
      lockUntilMs: number | null
      firstLockedAt: number | null
      firstLockUntil: number | null
      firstReason: string | null
    },
  ) =>
    db
      .insertInto('user_lockout')
      .values({
        tenant_id: p.tenantId,
        user_id: p.userId,
        failure_count: 1,
        locked_at: p.firstLockedAt,
        locked_until: p.firstLockUntil,
        lock_reason: p.firstReason,
      })
      .onConflict((conflict) =>
        conflict
          .columns(['tenant_id', 'user_id'])
          .doUpdateSet((eb) => {
            // A lock that is still on the row has ended: counting starts anew.
            const count = eb
              .case()
              .when('user_lockout.locked_at', 'is not', null)
              .then(1)
              .else(eb('user_lockout.failure_count', '+', 1))
              .end()
            const locks = eb(count, '>=', p.failuresMax)
            return {
              failure_count: count,
              locked_at: eb.case().when(locks).then(integerParameter(p.nowMs)).else(null).end(),
              locked_until: eb
                .case()
                .when(locks)
                .then(integerParameter(p.lockUntilMs))
                .else(null)
                .end(),
              lock_reason: eb.case().when(locks).then('FAILURES').else(null).end(),
            }
          })
          .where((eb) =>
            eb.or([
              eb('user_lockout.locked_at', 'is', null),
              eb('user_lockout.locked_until', '<=', p.nowMs),
            ]),
          ),
      )
      .returning(['failure_count', 'locked_at', 'locked_until']),
)

/** What a failure did. */
export interface FailureCount {
  readonly failureCount: number
  readonly lockedNow: boolean
  readonly lockedUntilMs: number | null
}

/** Counts failures and locks, clears them after a success. */
export class FailureStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /**
   * One more failure; locks at `failuresMax`.
   *
   * @returns undefined when the assignment is locked already: nothing is counted then.
   */
  async failAssignment(
    { tenantId, tokenId, userId }: Pick<TokenCandidate, 'tenantId' | 'tokenId' | 'userId'>,
    nowMs: number,
    limit: { failuresMax: number; lockSeconds: number },
  ): Promise<FailureCount | undefined> {
    const lockUntilMs = limit.lockSeconds === 0 ? null : nowMs + limit.lockSeconds * 1000
    const row = await this.#queries.first(failAssignment, {
      tenantId,
      tokenId,
      userId,
      nowMs,
      failuresMax: limit.failuresMax,
      lockUntilMs,
    })
    if (row === undefined) return undefined
    return {
      failureCount: row.failure_count,
      lockedNow: row.status === 'LOCKED',
      lockedUntilMs: row.locked_until,
    }
  }

  /**
   * One more failure of the user; locks at `failuresMax`, or never when that is 0.
   *
   * @returns undefined when the user is locked already: nothing is counted then.
   */
  async failUser(
    tenantId: string,
    userId: string,
    nowMs: number,
    limit: { failuresMax: number; lockSeconds: number },
  ): Promise<FailureCount | undefined> {
    const failuresMax = limit.failuresMax === 0 ? Number.MAX_SAFE_INTEGER : limit.failuresMax
    const lockUntilMs = limit.lockSeconds === 0 ? null : nowMs + limit.lockSeconds * 1000
    const locksAtOnce = failuresMax === 1
    const row = await this.#queries.first(failUser, {
      tenantId,
      userId,
      nowMs,
      failuresMax,
      lockUntilMs,
      firstLockedAt: locksAtOnce ? nowMs : null,
      firstLockUntil: locksAtOnce ? lockUntilMs : null,
      firstReason: locksAtOnce ? 'FAILURES' : null,
    })
    if (row === undefined) return undefined
    return {
      failureCount: row.failure_count,
      lockedNow: row.locked_at !== null,
      lockedUntilMs: row.locked_until,
    }
  }

  /** The work of counting a failure, for nobody: no row has these keys. Lets the clock tell nothing of who exists. */
  async countForNobody(tenantId: string, nowMs: number): Promise<void> {
    const nobody = { tenantId, tokenId: '', userId: '' }
    await this.failAssignment(nobody, nowMs, { failuresMax: 1, lockSeconds: 0 })
  }

  async clearAssignmentFailures(
    { tenantId, tokenId, userId }: TokenCandidate,
    nowMs: number,
  ): Promise<void> {
    await this.#queries.run(clearAssignment, { tenantId, tokenId, userId, nowMs })
  }

  async clearUserFailures(tenantId: string, userId: string, nowMs: number): Promise<void> {
    await this.#queries.run(clearUser, { tenantId, userId, nowMs })
  }

  async setLastLogin(tenantId: string, userId: string, nowMs: number): Promise<void> {
    await this.#queries.run(setLastLogin, { tenantId, userId, nowMs })
  }
}
