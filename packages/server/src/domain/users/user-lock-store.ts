import type { Queries } from '#storage/queries.ts'
import { integerParameter, statement } from '#storage/statement.ts'

/**
 * One statement, so that it counts whatever failures, successes and other locks come in the same moment: those leave a
 * lock without end alone.
 */
const lock = statement((db, p: { tenantId: string; userId: string; nowMs: number }) =>
  db
    .insertInto('user_lockout')
    .values({
      tenant_id: p.tenantId,
      user_id: p.userId,
      failure_count: 0,
      locked_at: p.nowMs,
      locked_until: null,
      lock_reason: 'ADMINISTRATOR',
    })
    .onConflict((conflict) =>
      conflict
        .columns(['tenant_id', 'user_id'])
        .doUpdateSet((eb) => ({
          // Failures are forgotten with the timed lock that they set.
          failure_count: eb
            .case()
            .when('user_lockout.locked_until', '<=', p.nowMs)
            .then(0)
            .else(eb.ref('user_lockout.failure_count'))
            .end(),
          locked_at: integerParameter(p.nowMs),
          locked_until: null,
          lock_reason: 'ADMINISTRATOR',
        }))
        .where((eb) =>
          eb.or([
            eb('user_lockout.locked_at', 'is', null),
            eb('user_lockout.lock_reason', '<>', 'ADMINISTRATOR'),
          ]),
        ),
    ),
)

/** Locks that administrators set on users. */
export class UserLockStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /**
   * Locks until unlocked; a lock that failures have set becomes one that does not end.
   *
   * @returns false when the user was locked so already.
   */
  async lock(tenantId: string, userId: string, nowMs: number): Promise<boolean> {
    return (await this.#queries.run(lock, { tenantId, userId, nowMs })) === 1
  }
}
