import type { Queries } from '#storage/queries.ts'
import { type Builder, statement } from '#storage/statement.ts'
import type { TokenCandidate } from './candidate.ts'
import type { ProductWindows } from './policy.ts'

/**
 * Joins are written in the order in which they run, and `cross join` keeps it on both engines: without statistics a
 * planner takes "all rows of this tenant" for as good a start as one serial.
 */
function fromToken(db: Builder) {
  return db
    .selectFrom('otp_token as t')
    .crossJoin('otp_assignment as a')
    .whereRef('a.tenant_id', '=', 't.tenant_id')
    .whereRef('a.token_id', '=', 't.id')
}

function fromUser(db: Builder): ReturnType<typeof fromToken> {
  return db
    .selectFrom('otp_assignment as a')
    .crossJoin('otp_token as t')
    .whereRef('t.tenant_id', '=', 'a.tenant_id')
    .whereRef('t.id', '=', 'a.token_id')
}

function joined(start: ReturnType<typeof fromToken>) {
  return start
    .crossJoin('otp_factor as f')
    .crossJoin('otp_product as p')
    .crossJoin('app_user as u')
    .leftJoin('user_lockout as l', (join) =>
      join.onRef('l.tenant_id', '=', 'a.tenant_id').onRef('l.user_id', '=', 'a.user_id'),
    )
    .whereRef('f.tenant_id', '=', 't.tenant_id')
    .whereRef('f.token_id', '=', 't.id')
    .whereRef('p.tenant_id', '=', 't.tenant_id')
    .whereRef('p.id', '=', 't.product_id')
    .whereRef('u.tenant_id', '=', 'a.tenant_id')
    .whereRef('u.id', '=', 'a.user_id')
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
  joined(fromUser(db)).where('a.tenant_id', '=', p.tenantId).where('a.user_id', '=', p.userId),
)

const ownedWithSerial = statement((db, p: { tenantId: string; serial: string }) =>
  joined(fromToken(db))
    .where('t.tenant_id', '=', p.tenantId)
    .where('t.serial', '=', p.serial)
    .where('a.is_owner', '=', 1),
)

const ownedWithId = statement((db, p: { tenantId: string; tokenId: string }) =>
  joined(fromToken(db))
    .where('t.tenant_id', '=', p.tenantId)
    .where('t.id', '=', p.tokenId)
    .where('a.is_owner', '=', 1),
)

const heldToken = statement((db, p: { tenantId: string; tokenId: string; userId: string }) =>
  joined(fromUser(db))
    .where('a.tenant_id', '=', p.tenantId)
    .where('a.token_id', '=', p.tokenId)
    .where('a.user_id', '=', p.userId),
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

type CandidateRow =
  Awaited<ReturnType<Queries['all']>> extends unknown
    ? ReturnType<typeof joined> extends { execute(): Promise<(infer Row)[]> }
      ? Row
      : never
    : never

/** Reads what decides about a code: tokens as their users hold them, and the users. */
export class CandidateStore {
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
    kind: 'token',
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
