import type { Queries } from '#storage/queries.ts'
import { integerParameter, statement } from '#storage/statement.ts'

/** A device, or a user on whatever device: `device/` or `user/` and the id. */
export interface AttemptSubject {
  readonly tenantId: string
  readonly subject: string
}

/** Contract, `x-limits`: so many nonces that are none, in so long a time. */
export const nonceFailuresMax = 10
export const nonceFailuresMs = 300_000

const take = statement(
  (db, p: AttemptSubject & { nowMs: number; untilMs: number; failuresMax: number }) =>
    db
      .insertInto('nonce_attempts')
      .values({ tenant_id: p.tenantId, subject: p.subject, failures: 1, until_ms: p.untilMs })
      .onConflict((known) =>
        known
          .columns(['tenant_id', 'subject'])
          .doUpdateSet((eb) => {
            const isOver = eb('nonce_attempts.until_ms', '<=', p.nowMs)
            return {
              failures: eb
                .case()
                .when(isOver)
                .then(1)
                .else(eb('nonce_attempts.failures', '+', 1))
                .end(),
              until_ms: eb
                .case()
                .when(isOver)
                .then(integerParameter(p.untilMs))
                .else(eb.ref('nonce_attempts.until_ms'))
                .end(),
            }
          })
          .where((eb) =>
            eb.or([
              eb('nonce_attempts.until_ms', '<=', p.nowMs),
              eb('nonce_attempts.failures', '<', p.failuresMax),
            ]),
          ),
      ),
)

const giveBack = statement((db, p: AttemptSubject) =>
  db
    .updateTable('nonce_attempts')
    .set((eb) => ({ failures: eb('failures', '-', 1) }))
    .where('tenant_id', '=', p.tenantId)
    .where('subject', '=', p.subject)
    .where('failures', '>', 0),
)

const find = statement((db, p: AttemptSubject) =>
  db
    .selectFrom('nonce_attempts')
    .select(['failures', 'until_ms'])
    .where('tenant_id', '=', p.tenantId)
    .where('subject', '=', p.subject),
)

const removeOver = statement((db, p: { nowMs: number; limit: number }) =>
  db
    .deleteFrom('nonce_attempts')
    .where(({ eb, refTuple }) =>
      eb(
        refTuple('tenant_id', 'subject'),
        'in',
        eb
          .selectFrom('nonce_attempts')
          .select(['tenant_id', 'subject'])
          .where('until_ms', '<=', p.nowMs)
          .orderBy('until_ms')
          .limit(p.limit)
          .$asTuple('tenant_id', 'subject'),
      ),
    ),
)

/** How many nonces that are none were tried, so that short ones are not guessed. */
export class NonceAttemptStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /**
   * Counts an attempt as failed before it is made, in one statement: of many at once no more than the limit are made.
   *
   * @returns false at the limit; then nothing is counted.
   */
  async take(of: AttemptSubject, nowMs: number): Promise<boolean> {
    const untilMs = nowMs + nonceFailuresMs
    const limit = { failuresMax: nonceFailuresMax }
    return (await this.#queries.run(take, { ...of, nowMs, untilMs, ...limit })) === 1
  }

  /** The attempt did not fail. */
  async giveBack(of: AttemptSubject): Promise<void> {
    await this.#queries.run(giveBack, of)
  }

  /** Until when the failures count that are there. */
  async endOf(of: AttemptSubject): Promise<number | undefined> {
    return (await this.#queries.first(find, of))?.until_ms
  }

  /** Of all tenants. @returns how many rows went; none: nothing more is due. */
  removeOver(nowMs: number, limit: number): Promise<number> {
    return this.#queries.run(removeOver, { nowMs, limit })
  }
}
