import type { Queries } from '#storage/queries.ts'
import { type Builder, type StatementOptions, statement } from '#storage/statement.ts'
import type { TokenCandidate } from './candidate.ts'
import type { TokenToSynchronise } from './candidate-store.ts'

interface Spend {
  readonly tenantId: string
  readonly tokenId: string
  readonly userId: string
  /** Counter or step of the code. */
  readonly position: number
  readonly nowMs: number
}

/** Only while neither the assignment nor the user is locked: also against failures that came in the same moment. */
function spendable(db: Builder, p: Spend) {
  return db
    .updateTable('otp_factor')
    .where('tenant_id', '=', p.tenantId)
    .where('token_id', '=', p.tokenId)
    .where(({ exists, not, selectFrom, and }) =>
      and([
        exists(
          selectFrom('otp_assignment')
            .select('user_id')
            .where('tenant_id', '=', p.tenantId)
            .where('token_id', '=', p.tokenId)
            .where('user_id', '=', p.userId)
            .where((eb) =>
              eb.or([
                eb('status', '=', 'ACTIVE'),
                eb.and([eb('status', '=', 'LOCKED'), eb('locked_until', '<=', p.nowMs)]),
              ]),
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

/** Each changes one row of `otp_factor`, and looks at rows of other tables. */
const ofOneToken: StatementOptions = { apartBy: ['tenantId', 'tokenId'] }
/** Changes one row of `otp_assignment`, and looks at no other. */
const ofOneAssignment: StatementOptions = { apartBy: ['tenantId', 'tokenId', 'userId'] }

const spendCounter = statement(
  (db, p: Spend & { nextCounter: number }) =>
    spendable(db, p)
      .set({ next_counter: p.nextCounter, last_used_at: p.nowMs, last_used_by: p.userId })
      .where('next_counter', '<=', p.position),
  ofOneToken,
)

const spendStep = statement(
  (db, p: Spend & { driftSteps: number }) =>
    spendable(db, p)
      .set({
        last_step: p.position,
        drift_steps: p.driftSteps,
        last_used_at: p.nowMs,
        last_used_by: p.userId,
      })
      .where('last_step', '<', p.position),
  ofOneToken,
)

const synchroniseCounter = statement(
  (db, p: { tenantId: string; tokenId: string; position: number; nextCounter: number }) =>
    db
      .updateTable('otp_factor')
      .set({ next_counter: p.nextCounter })
      .where('tenant_id', '=', p.tenantId)
      .where('token_id', '=', p.tokenId)
      .where('next_counter', '<=', p.position),
)

const synchroniseStep = statement(
  (
    db,
    p: {
      tenantId: string
      tokenId: string
      position: number
      lastStep: number
      driftSteps: number
    },
  ) =>
    db
      .updateTable('otp_factor')
      .set({ last_step: p.lastStep, drift_steps: p.driftSteps })
      .where('tenant_id', '=', p.tenantId)
      .where('token_id', '=', p.tokenId)
      .where('last_step', '<', p.position),
)

const claimUse = statement(
  (db, p: { tenantId: string; tokenId: string; userId: string; nowMs: number }) =>
    db
      .updateTable('otp_assignment')
      .set((eb) => ({ use_count: eb('use_count', '+', 1), updated_at: p.nowMs }))
      .where('tenant_id', '=', p.tenantId)
      .where('token_id', '=', p.tokenId)
      .where('user_id', '=', p.userId)
      .whereRef('use_count', '<', 'usage_limit'),
  ofOneAssignment,
)

const returnUse = statement((db, p: { tenantId: string; tokenId: string; userId: string }) =>
  db
    .updateTable('otp_assignment')
    .set((eb) => ({ use_count: eb('use_count', '-', 1) }))
    .where('tenant_id', '=', p.tenantId)
    .where('token_id', '=', p.tokenId)
    .where('user_id', '=', p.userId),
)

/** Moves tokens past codes and takes uses: the statements on which replay protection rests. */
export class SpendingStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /**
   * Moves a token past this code if nobody was there first and neither token nor user is locked; false otherwise.
   * Replay protection rests on this being one statement.
   */
  async spend(
    candidate: TokenCandidate,
    position: number,
    nowMs: number,
    currentStep: number,
  ): Promise<boolean> {
    const { tenantId, tokenId, userId } = candidate
    const spend = { tenantId, tokenId, userId, position, nowMs }
    const changed =
      candidate.type === 'HOTP'
        ? await this.#queries.run(spendCounter, { ...spend, nextCounter: position + 1 })
        : await this.#queries.run(spendStep, { ...spend, driftSteps: position - currentStep })
    return changed === 1
  }

  /**
   * Moves a token behind two codes, `position` being the first one's; false when it was moved past them meanwhile.
   */
  async synchronise(
    token: TokenToSynchronise,
    position: number,
    currentStep: number,
  ): Promise<boolean> {
    const { tenantId, tokenId } = token
    const key = { tenantId, tokenId, position }
    const changed =
      token.type === 'HOTP'
        ? await this.#queries.run(synchroniseCounter, { ...key, nextCounter: position + 2 })
        : await this.#queries.run(synchroniseStep, {
            ...key,
            lastStep: position + 1,
            driftSteps: position + 1 - currentStep,
          })
    return changed === 1
  }

  /** Takes one of the uses that are left; false when none is. */
  async claimUse({ tenantId, tokenId, userId }: TokenCandidate, nowMs: number): Promise<boolean> {
    return (await this.#queries.run(claimUse, { tenantId, tokenId, userId, nowMs })) === 1
  }

  /** Gives a claimed use back, in the transaction that claimed it. */
  async returnUse({ tenantId, tokenId, userId }: TokenCandidate): Promise<void> {
    await this.#queries.run(returnUse, { tenantId, tokenId, userId })
  }
}
