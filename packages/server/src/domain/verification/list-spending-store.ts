import type { Queries } from '#storage/queries.ts'
import { type Builder, integerParameter, statement } from '#storage/statement.ts'
import { positionAt } from '../otp-lists/code-tags.ts'
import type { FailureCount } from './failure-store.ts'
import type { CandidateList, ListCandidate } from './list-candidate.ts'

interface Spend {
  readonly tenantId: string
  readonly userId: string
  readonly methodId: string
  readonly listId: string
  readonly remainingBefore: number
  readonly remainingAfter: number
  readonly nextPosition: number | null
  readonly nowMs: number
}

/**
 * Only while this list is still this user's, has not expired, and neither the method nor the user is locked: also
 * against failures that came in the same moment.
 */
function spending(db: Builder, p: Spend) {
  return db
    .updateTable('otp_list')
    .set({
      status: 'ACTIVE',
      remaining: p.remainingAfter,
      next_position: integerParameter(p.nextPosition),
      last_used_at: p.nowMs,
      updated_at: p.nowMs,
    })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.listId)
    .where('user_id', '=', p.userId)
    .where('remaining', '>=', p.remainingBefore)
    .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', p.nowMs)]))
    .where(({ exists, not, selectFrom, and }) =>
      and([
        not(
          exists(
            selectFrom('otp_list_lockout')
              .select('user_id')
              .where('tenant_id', '=', p.tenantId)
              .where('user_id', '=', p.userId)
              .where('method_id', '=', p.methodId)
              .where('locked_until', '>', p.nowMs),
          ),
        ),
        not(
          exists(
            selectFrom('user_lockout')
              .select('user_id')
              .where('tenant_id', '=', p.tenantId)
              .where('user_id', '=', p.userId)
              .where('locked_at', 'is not', null)
              .where((eb) =>
                eb.or([eb('locked_until', 'is', null), eb('locked_until', '>', p.nowMs)]),
              ),
          ),
        ),
      ]),
    )
}

const spendFirst = statement((db, p: Spend) => spending(db, p).where('status', '=', 'ASSOCIATED'))

const spendNext = statement((db, p: Spend) => spending(db, p).where('status', '=', 'ACTIVE'))

interface Failure {
  readonly tenantId: string
  readonly userId: string
  readonly methodId: string
  readonly nowMs: number
  readonly failuresMax: number
  readonly lockUntilMs: number
  readonly firstLockUntil: number | null
}

const fail = statement((db, p: Failure) =>
  db
    .insertInto('otp_list_lockout')
    .values({
      tenant_id: p.tenantId,
      user_id: p.userId,
      method_id: p.methodId,
      failure_count: 1,
      locked_until: p.firstLockUntil,
    })
    .onConflict((conflict) =>
      conflict
        .columns(['tenant_id', 'user_id', 'method_id'])
        .doUpdateSet((eb) => {
          // A lock that is still on the row has ended: counting starts anew.
          const count = eb
            .case()
            .when('otp_list_lockout.locked_until', 'is not', null)
            .then(1)
            .else(eb('otp_list_lockout.failure_count', '+', 1))
            .end()
          return {
            failure_count: count,
            locked_until: eb
              .case()
              .when(count, '>=', p.failuresMax)
              .then(integerParameter(p.lockUntilMs))
              .else(null)
              .end(),
          }
        })
        .where((eb) =>
          eb.or([
            eb('otp_list_lockout.locked_until', 'is', null),
            eb('otp_list_lockout.locked_until', '<=', p.nowMs),
          ]),
        ),
    )
    .returning(['failure_count', 'locked_until']),
)

const clear = statement(
  (db, p: { tenantId: string; userId: string; methodId: string; nowMs: number }) =>
    db
      .deleteFrom('otp_list_lockout')
      .where('tenant_id', '=', p.tenantId)
      .where('user_id', '=', p.userId)
      .where('method_id', '=', p.methodId)
      // A lock that a burst of wrong codes has set in the same moment stays.
      .where((eb) => eb.or([eb('locked_until', 'is', null), eb('locked_until', '<=', p.nowMs)])),
)

/** `first`: the list came into use by it. */
export type ListSpending = 'first' | 'next' | 'lost'

/** Burns codes of printed lists and counts failures over them: the statements on which replay protection rests. */
export class ListSpendingStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /**
   * Burns a code, and with it those that were asked for before it, if nobody was there first, the list is still the
   * user's, and nothing is locked. What is left only ever falls, so one statement decides.
   */
  async spend(
    { tenantId, userId, methodId }: ListCandidate,
    list: CandidateList,
    slot: number,
    nowMs: number,
  ): Promise<ListSpending> {
    const spend: Spend = {
      tenantId,
      userId,
      methodId,
      listId: list.id,
      remainingBefore: list.size - slot,
      remainingAfter: list.size - slot - 1,
      nextPosition: slot + 1 < list.size ? positionAt(list.positions, slot + 1) : null,
      nowMs,
    }
    if (list.status === 'ASSOCIATED' && (await this.#queries.run(spendFirst, spend)) === 1) {
      return 'first'
    }
    return (await this.#queries.run(spendNext, spend)) === 1 ? 'next' : 'lost'
  }

  /**
   * One more failure over the lists of a method; locks at its limit.
   *
   * @returns undefined when they are locked already: nothing is counted then.
   */
  async fail(candidate: ListCandidate, nowMs: number): Promise<FailureCount | undefined> {
    const { tenantId, userId, methodId, maxFailures, lockSeconds } = candidate
    const lockUntilMs = nowMs + lockSeconds * 1_000
    const row = await this.#queries.first(fail, {
      tenantId,
      userId,
      methodId,
      nowMs,
      failuresMax: maxFailures,
      lockUntilMs,
      firstLockUntil: maxFailures === 1 ? lockUntilMs : null,
    })
    if (row === undefined) return undefined
    return {
      failureCount: row.failure_count,
      lockedNow: row.locked_until !== null,
      lockedUntilMs: row.locked_until,
    }
  }

  async clearFailures({ tenantId, userId, methodId }: ListCandidate, nowMs: number): Promise<void> {
    await this.#queries.run(clear, { tenantId, userId, methodId, nowMs })
  }
}
