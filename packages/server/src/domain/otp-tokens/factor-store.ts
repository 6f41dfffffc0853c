import type { Queries } from '#storage/queries.ts'
import { statement } from '#storage/statement.ts'

/** Where a token's codes are. */
export interface Factor {
  /** HOTP: next expected counter. */
  readonly nextCounter: number
  /** TOTP: last accepted step; -1: none. */
  readonly lastStep: number
  readonly driftSteps: number
}

interface FactorKey {
  readonly tenantId: string
  readonly tokenId: string
}

const clearDrift = statement((db, p: FactorKey) =>
  db
    .updateTable('otp_factor')
    .set({ drift_steps: 0 })
    .where('tenant_id', '=', p.tenantId)
    .where('token_id', '=', p.tokenId)
    .returning(['next_counter', 'last_step', 'drift_steps']),
)

const find = statement((db, p: FactorKey) =>
  db
    .selectFrom('otp_factor')
    .select(['next_counter', 'last_step', 'drift_steps'])
    .where('tenant_id', '=', p.tenantId)
    .where('token_id', '=', p.tokenId),
)

const setCounter = statement((db, p: FactorKey & { counter: number }) =>
  db
    .updateTable('otp_factor')
    .set({ next_counter: p.counter })
    .where('tenant_id', '=', p.tenantId)
    .where('token_id', '=', p.tokenId),
)

const lowerGuard = statement((db, p: FactorKey & { step: number }) =>
  db
    .updateTable('otp_factor')
    .set({ last_step: p.step })
    .where('tenant_id', '=', p.tenantId)
    .where('token_id', '=', p.tokenId)
    .where('last_step', '>', p.step),
)

const clearUser = statement((db, p: FactorKey & { userId: string }) =>
  db
    .updateTable('otp_factor')
    .set({ last_used_by: null })
    .where('tenant_id', '=', p.tenantId)
    .where('token_id', '=', p.tokenId)
    .where('last_used_by', '=', p.userId)
    .returning('last_used_at'),
)

const lastUse = statement((db, p: FactorKey) =>
  db
    .selectFrom('otp_factor')
    .select(['last_used_at', 'last_used_by'])
    .where('tenant_id', '=', p.tenantId)
    .where('token_id', '=', p.tokenId),
)

const foldIntoUser = statement((db, p: { tenantId: string; userId: string; atMs: number }) =>
  db
    .updateTable('app_user')
    .set({ last_authenticated_at: p.atMs })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.userId)
    .where((eb) =>
      eb.or([eb('last_authenticated_at', 'is', null), eb('last_authenticated_at', '<', p.atMs)]),
    ),
)

/** The moving factors as administration changes them; codes move them through verification only. */
export class FactorStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  async find(tenantId: string, tokenId: string): Promise<Factor | undefined> {
    const row = await this.#queries.first(find, { tenantId, tokenId })
    return (
      row && {
        nextCounter: row.next_counter,
        lastStep: row.last_step,
        driftSteps: row.drift_steps,
      }
    )
  }

  /** @returns the factor as it is now; nobody else moves it until the transaction ends. */
  async clearDrift(tenantId: string, tokenId: string): Promise<Factor | undefined> {
    const row = await this.#queries.first(clearDrift, { tenantId, tokenId })
    return row && { nextCounter: row.next_counter, lastStep: row.last_step, driftSteps: 0 }
  }

  async setCounter(tenantId: string, tokenId: string, counter: number): Promise<void> {
    await this.#queries.run(setCounter, { tenantId, tokenId, counter })
  }

  /**
   * The replay guard comes down to this step when it is above.
   *
   * @param step -1 takes it away: codes that were accepted may be accepted again.
   */
  async lowerGuard(tenantId: string, tokenId: string, step: number): Promise<void> {
    await this.#queries.run(lowerGuard, { tenantId, tokenId, step })
  }

  /** The user parts from the token: when it was last used by this user is kept with the user. */
  async keepLastUse(
    tenantId: string,
    { tokenId, userId }: { tokenId: string; userId: string },
  ): Promise<void> {
    const row = await this.#queries.first(clearUser, { tenantId, tokenId, userId })
    const atMs = row?.last_used_at
    if (typeof atMs === 'number') await this.#queries.run(foldIntoUser, { tenantId, userId, atMs })
  }

  /** The token goes: as `keepLastUse`, for whoever used it last. */
  async keepLastUseOfAnybody(tenantId: string, tokenId: string): Promise<void> {
    const row = await this.#queries.first(lastUse, { tenantId, tokenId })
    if (typeof row?.last_used_at !== 'number' || row.last_used_by === null) return
    const { last_used_at: atMs, last_used_by: userId } = row
    await this.#queries.run(foldIntoUser, { tenantId, userId, atMs })
  }
}
