import type { Queries } from '#storage/queries.ts'
import { statement } from '#storage/statement.ts'

export type TicketState = 'OPEN' | 'SPENT' | 'REVOKED'

/** A one-time link to a credential; only the hash of its secret part is kept. */
export interface Ticket {
  readonly tenantId: string
  readonly ticketHash: string
  readonly tokenId: string
  readonly userId: string
  readonly expiresAtMs: number
  readonly state: TicketState
}

const put = statement((db, p: Omit<Ticket, 'state'> & { nowMs: number }) =>
  db
    .insertInto('download_ticket')
    .values({
      tenant_id: p.tenantId,
      ticket_hash: p.ticketHash,
      token_id: p.tokenId,
      user_id: p.userId,
      expires_at: p.expiresAtMs,
      state: 'OPEN',
      created_at: p.nowMs,
    })
    .onConflict((former) =>
      former.columns(['tenant_id', 'token_id', 'user_id']).doUpdateSet({
        ticket_hash: p.ticketHash,
        expires_at: p.expiresAtMs,
        state: 'OPEN',
        created_at: p.nowMs,
      }),
    ),
)

const find = statement((db, p: { ticketHash: string }) =>
  db.selectFrom('download_ticket').selectAll().where('ticket_hash', '=', p.ticketHash),
)

const spend = statement((db, p: { tenantId: string; ticketHash: string; nowMs: number }) =>
  db
    .updateTable('download_ticket')
    .set({ state: 'SPENT' })
    .where('tenant_id', '=', p.tenantId)
    .where('ticket_hash', '=', p.ticketHash)
    .where('state', '=', 'OPEN')
    .where('expires_at', '>', p.nowMs),
)

const revokeOfToken = statement((db, p: { tenantId: string; tokenId: string }) =>
  db
    .updateTable('download_ticket')
    .set({ state: 'REVOKED' })
    .where('tenant_id', '=', p.tenantId)
    .where('token_id', '=', p.tokenId)
    .where('state', '=', 'OPEN'),
)

const removeOfAssignment = statement(
  (db, p: { tenantId: string; tokenId: string; userId: string }) =>
    db
      .deleteFrom('download_ticket')
      .where('tenant_id', '=', p.tenantId)
      .where('token_id', '=', p.tokenId)
      .where('user_id', '=', p.userId),
)

const removeOfToken = statement((db, p: { tenantId: string; tokenId: string }) =>
  db
    .deleteFrom('download_ticket')
    .where('tenant_id', '=', p.tenantId)
    .where('token_id', '=', p.tokenId),
)

/** Tickets, at most one for each assignment. */
export class TicketStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** Takes the place of the assignment's former ticket, whatever became of that. */
  async replace(ticket: Omit<Ticket, 'state'>, nowMs: number): Promise<void> {
    await this.#queries.run(put, { ...ticket, nowMs })
  }

  /** Its bearer names no tenant: the hash of 256 random bits names one ticket of the whole server. */
  async find(ticketHash: string): Promise<Ticket | undefined> {
    const row = await this.#queries.first(find, { ticketHash })
    return (
      row && {
        tenantId: row.tenant_id,
        ticketHash: row.ticket_hash,
        tokenId: row.token_id,
        userId: row.user_id,
        expiresAtMs: row.expires_at,
        state: row.state as TicketState,
      }
    )
  }

  /** True for whoever comes first, while it is open. One statement, so that nobody else does. */
  async spend({ tenantId, ticketHash }: Ticket, nowMs: number): Promise<boolean> {
    return (await this.#queries.run(spend, { tenantId, ticketHash, nowMs })) === 1
  }

  async revokeOfToken(tenantId: string, tokenId: string): Promise<number> {
    return this.#queries.run(revokeOfToken, { tenantId, tokenId })
  }

  async removeOfAssignment({
    tenantId,
    tokenId,
    userId,
  }: Pick<Ticket, 'tenantId' | 'tokenId' | 'userId'>): Promise<void> {
    await this.#queries.run(removeOfAssignment, { tenantId, tokenId, userId })
  }

  async removeOfToken(tenantId: string, tokenId: string): Promise<void> {
    await this.#queries.run(removeOfToken, { tenantId, tokenId })
  }
}
