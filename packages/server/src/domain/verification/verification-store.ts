import type { Queries } from '#storage/queries.ts'
import { type Builder, integerParameter, statement } from '#storage/statement.ts'
import type { TokenCandidate } from './candidate.ts'
import type { ProductWindows } from './policy.ts'

function joined(db: Builder) {
  return db
    .selectFrom('otp_token as t')
    .innerJoin('otp_assignment as a', (join) =>
      join.onRef('a.tenant_id', '=', 't.tenant_id').onRef('a.token_id', '=', 't.id'),
    )
    .innerJoin('otp_factor as f', (join) =>
      join.onRef('f.tenant_id', '=', 't.tenant_id').onRef('f.token_id', '=', 't.id'),
    )
    .innerJoin('otp_product as p', (join) =>
      join.onRef('p.tenant_id', '=', 't.tenant_id').onRef('p.id', '=', 't.product_id'),
    )
    .innerJoin('app_user as u', (join) =>
      join.onRef('u.tenant_id', '=', 'a.tenant_id').onRef('u.id', '=', 'a.user_id'),
    )
    .leftJoin('user_lockout as l', (join) =>
      join.onRef('l.tenant_id', '=', 'a.tenant_id').onRef('l.user_id', '=', 'a.user_id'),
    )
    .select([
      't.tenant_id',
      't.id',
      't.serial',
      't.type',
      't.algorithm',
      't.digits',
      't.period_seconds',
      't.status as token_status',
      't.sealed_secret',
      't.starts_at as token_starts_at',
      't.expires_at as token_expires_at',
      'f.next_counter',
      'f.last_step',
      'f.drift_steps',
      'a.user_id',
      'a.status as assignment_status',
      'a.pin_hash',
      'a.failure_count',
      'a.locked_until',
      'a.starts_at',
      'a.expires_at',
      'a.usage_limit',
      'a.use_count',
      'a.priority',
      'a.created_at',
      'p.accept_window',
      'p.hint_window',
      'p.search_window',
      'u.status as user_status',
      'l.failure_count as user_failure_count',
      'l.locked_at as user_locked_at',
      'l.locked_until as user_locked_until',
    ])
}

const heldBy = statement((db, p: { tenantId: string; userId: string }) =>
  joined(db).where('a.tenant_id', '=', p.tenantId).where('a.user_id', '=', p.userId),
)

const ownedWithSerial = statement((db, p: { tenantId: string; serial: string }) =>
  joined(db)
    .where('t.tenant_id', '=', p.tenantId)
    .where('t.serial', '=', p.serial)
    .where('a.is_owner', '=', 1),
)

const ownedWithId = statement((db, p: { tenantId: string; tokenId: string }) =>
  joined(db)
    .where('t.tenant_id', '=', p.tenantId)
    .where('t.id', '=', p.tokenId)
    .where('a.is_owner', '=', 1),
)

const heldToken = statement((db, p: { tenantId: string; tokenId: string; userId: string }) =>
  joined(db)
    .where('a.tenant_id', '=', p.tenantId)
    .where('a.token_id', '=', p.tokenId)
    .where('a.user_id', '=', p.userId),
)

const setLastLogin = statement((db, p: { tenantId: string; userId: string; nowMs: number }) =>
  db
    .updateTable('app_user')
    .set({ last_login_at: p.nowMs })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.userId),
)

const tokensWithSerial = statement((db, p: { tenantId: string; serial: string }) =>
  db
    .selectFrom('otp_token as t')
    .innerJoin('otp_product as p', (join) =>
      join.onRef('p.tenant_id', '=', 't.tenant_id').onRef('p.id', '=', 't.product_id'),
    )
    .select(['t.id', 'p.manufacturer_code', 'p.product_code'])
    .where('t.tenant_id', '=', p.tenantId)
    .where('t.serial', '=', p.serial),
)

const userState = statement((db, p: { tenantId: string; userId: string }) =>
  db
    .selectFrom('app_user as u')
    .leftJoin('user_lockout as l', (join) =>
      join.onRef('l.tenant_id', '=', 'u.tenant_id').onRef('l.user_id', '=', 'u.id'),
    )
    .select(['u.status', 'l.failure_count', 'l.locked_at', 'l.locked_until'])
    .where('u.tenant_id', '=', p.tenantId)
    .where('u.id', '=', p.userId),
)

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

const spendCounter = statement((db, p: Spend & { nextCounter: number }) =>
  spendable(db, p)
    .set({ next_counter: p.nextCounter, last_used_at: p.nowMs, last_used_by: p.userId })
    .where('next_counter', '<=', p.position),
)

const spendStep = statement((db, p: Spend & { driftSteps: number }) =>
  spendable(db, p)
    .set({
      last_step: p.position,
      drift_steps: p.driftSteps,
      last_used_at: p.nowMs,
      last_used_by: p.userId,
    })
    .where('last_step', '<', p.position),
)

const tokenToSynchronise = statement((db, p: { tenantId: string; tokenId: string }) =>
  db
    .selectFrom('otp_token as t')
    .innerJoin('otp_factor as f', (join) =>
      join.onRef('f.tenant_id', '=', 't.tenant_id').onRef('f.token_id', '=', 't.id'),
    )
    .innerJoin('otp_product as p', (join) =>
      join.onRef('p.tenant_id', '=', 't.tenant_id').onRef('p.id', '=', 't.product_id'),
    )
    .select([
      't.type',
      't.algorithm',
      't.digits',
      't.period_seconds',
      't.status',
      't.sealed_secret',
      'f.next_counter',
      'f.last_step',
      'f.drift_steps',
      'p.accept_window',
      'p.hint_window',
      'p.search_window',
    ])
    .where('t.tenant_id', '=', p.tenantId)
    .where('t.id', '=', p.tokenId),
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
)

const returnUse = statement((db, p: { tenantId: string; tokenId: string; userId: string }) =>
  db
    .updateTable('otp_assignment')
    .set((eb) => ({ use_count: eb('use_count', '-', 1) }))
    .where('tenant_id', '=', p.tenantId)
    .where('token_id', '=', p.tokenId)
    .where('user_id', '=', p.userId),
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
      .where('user_id', '=', p.userId),
)

const clearUser = statement((db, p: { tenantId: string; userId: string }) =>
  db.deleteFrom('user_lockout').where('tenant_id', '=', p.tenantId).where('user_id', '=', p.userId),
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
        conflict.columns(['tenant_id', 'user_id']).doUpdateSet((eb) => {
          // A lock that is still on the row has ended, or the attempt would not have been counted.
          const count = eb
            .case()
            .when('user_lockout.locked_at', 'is not', null)
            .then(1)
            .else(eb('user_lockout.failure_count', '+', 1))
            .end()
          return {
            failure_count: count,
            locked_at: eb
              .case()
              .when(count, '>=', p.failuresMax)
              .then(integerParameter(p.nowMs))
              .else(null)
              .end(),
            locked_until: eb
              .case()
              .when(count, '>=', p.failuresMax)
              .then(integerParameter(p.lockUntilMs))
              .else(null)
              .end(),
            lock_reason: eb
              .case()
              .when(count, '>=', p.failuresMax)
              .then('FAILURES')
              .else(null)
              .end(),
          }
        }),
      )
      .returning(['failure_count', 'locked_at', 'locked_until']),
)

type CandidateRow =
  Awaited<ReturnType<Queries['all']>> extends unknown
    ? ReturnType<typeof joined> extends { execute(): Promise<(infer Row)[]> }
      ? Row
      : never
    : never

/** What a failure did. */
export interface FailureCount {
  readonly failureCount: number
  readonly lockedNow: boolean
  readonly lockedUntilMs: number | null
}

/** Counts, locks and moving factors of OATH tokens: the statements on which replay protection rests. */
export class VerificationStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** All tokens a user holds, in any state. */
  async listHeldBy(tenantId: string, userId: string): Promise<TokenCandidate[]> {
    return (await this.#queries.all(heldBy, { tenantId, userId })).map(toCandidate)
  }

  /** The tokens with this serial, one for each product that has it, as their owners hold them. */
  async listOwnedWithSerial(tenantId: string, serial: string): Promise<TokenCandidate[]> {
    return (await this.#queries.all(ownedWithSerial, { tenantId, serial })).map(toCandidate)
  }

  async findOwned(tenantId: string, tokenId: string): Promise<TokenCandidate | undefined> {
    const row = await this.#queries.first(ownedWithId, { tenantId, tokenId })
    return row === undefined ? undefined : toCandidate(row)
  }

  /** One user's hold of one token, as it is now. */
  async findHeld(
    tenantId: string,
    { tokenId, userId }: { tokenId: string; userId: string },
  ): Promise<TokenCandidate | undefined> {
    const row = await this.#queries.first(heldToken, { tenantId, tokenId, userId })
    return row === undefined ? undefined : toCandidate(row)
  }

  async setLastLogin(tenantId: string, userId: string, nowMs: number): Promise<void> {
    await this.#queries.run(setLastLogin, { tenantId, userId, nowMs })
  }

  /** Ids and product codes of the tokens with this serial. */
  async listTokensWithSerial(
    tenantId: string,
    serial: string,
  ): Promise<{ tokenId: string; manufacturerCode: string; productCode: string }[]> {
    const rows = await this.#queries.all(tokensWithSerial, { tenantId, serial })
    return rows.map((row) => ({
      tokenId: row.id,
      manufacturerCode: row.manufacturer_code,
      productCode: row.product_code,
    }))
  }

  async findUserState(tenantId: string, userId: string): Promise<UserState | undefined> {
    const row = await this.#queries.first(userState, { tenantId, userId })
    if (row === undefined) return undefined
    return {
      status: row.status,
      failureCount: row.failure_count ?? 0,
      lock: { locked: row.locked_at !== null, untilMs: row.locked_until },
    }
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

  /** A token and its moving factor, whoever holds it. */
  async findToSynchronise(
    tenantId: string,
    tokenId: string,
  ): Promise<TokenToSynchronise | undefined> {
    const row = await this.#queries.first(tokenToSynchronise, { tenantId, tokenId })
    if (row === undefined) return undefined
    return {
      tenantId,
      tokenId,
      type: row.type === 'HOTP' ? 'HOTP' : 'TOTP',
      algorithm: row.algorithm as TokenCandidate['algorithm'],
      digits: row.digits,
      periodSeconds: row.period_seconds ?? 0,
      tokenStatus: row.status,
      sealedSecret: row.sealed_secret,
      nextCounter: row.next_counter,
      lastStep: row.last_step,
      driftSteps: row.drift_steps,
      acceptWindow: row.accept_window,
      hintWindow: row.hint_window,
      searchWindow: row.search_window,
    }
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

  async clearAssignmentFailures(
    { tenantId, tokenId, userId }: TokenCandidate,
    nowMs: number,
  ): Promise<void> {
    await this.#queries.run(clearAssignment, { tenantId, tokenId, userId, nowMs })
  }

  async clearUserFailures(tenantId: string, userId: string): Promise<void> {
    await this.#queries.run(clearUser, { tenantId, userId })
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

  /** One more failure of the user; locks at `failuresMax`, or never when that is 0. */
  async failUser(
    tenantId: string,
    userId: string,
    nowMs: number,
    limit: { failuresMax: number; lockSeconds: number },
  ): Promise<FailureCount> {
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
    return {
      failureCount: row?.failure_count ?? 0,
      lockedNow: row !== undefined && row.locked_at !== null,
      lockedUntilMs: row?.locked_until ?? null,
    }
  }
}

/** A token apart from who holds it. */
export type TokenToSynchronise = Pick<
  TokenCandidate,
  | 'tenantId'
  | 'tokenId'
  | 'type'
  | 'algorithm'
  | 'digits'
  | 'periodSeconds'
  | 'tokenStatus'
  | 'sealedSecret'
  | 'nextCounter'
  | 'lastStep'
  | 'driftSteps'
  | keyof ProductWindows
>

/** A user as verification sees one. */
export interface UserState {
  readonly status: string
  readonly failureCount: number
  readonly lock: { readonly locked: boolean; readonly untilMs: number | null }
}

function toCandidate(row: CandidateRow): TokenCandidate {
  return {
    tenantId: row.tenant_id,
    tokenId: row.id,
    serial: row.serial,
    type: row.type === 'HOTP' ? 'HOTP' : 'TOTP',
    algorithm: row.algorithm as TokenCandidate['algorithm'],
    digits: row.digits,
    periodSeconds: row.period_seconds ?? 0,
    tokenStatus: row.token_status,
    sealedSecret: row.sealed_secret,
    nextCounter: row.next_counter,
    lastStep: row.last_step,
    driftSteps: row.drift_steps,
    userId: row.user_id,
    assignmentStatus: row.assignment_status,
    pinHash: row.pin_hash,
    failureCount: row.failure_count,
    lockedUntilMs: row.locked_until,
    startsAtMs: latest(row.starts_at, row.token_starts_at),
    expiresAtMs: earliest(row.expires_at, row.token_expires_at),
    usageLimit: row.usage_limit,
    useCount: row.use_count,
    priority: row.priority,
    createdAtMs: row.created_at,
    acceptWindow: row.accept_window,
    hintWindow: row.hint_window,
    searchWindow: row.search_window,
    userStatus: row.user_status,
    userFailureCount: row.user_failure_count ?? 0,
    userLock: { locked: row.user_locked_at !== null, untilMs: row.user_locked_until },
  }
}

/** An assignment stays within what the token's own validity allows. */
function latest(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : Math.max(one, other)
}

function earliest(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : Math.min(one, other)
}
