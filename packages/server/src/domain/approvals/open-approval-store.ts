import type { Queries } from '#storage/queries.ts'
import { statement } from '#storage/statement.ts'
import type { Approval } from './approval.ts'
import { asApproval } from './approval-row-store.ts'

interface OpenOfUser {
  readonly tenantId: string
  readonly userId: string
  /** Empty: from the first one on. */
  readonly afterId: string
}

const listOfUser = statement((db, p: OpenOfUser & { limit: number }) =>
  db
    .selectFrom('approval')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('user_id', '=', p.userId)
    .where('completed_at', 'is', null)
    .where('id', '>', p.afterId)
    .orderBy('id')
    .limit(p.limit),
)

const findNumber = statement((db, p: { tenantId: string; id: string }) =>
  db
    .selectFrom('approval')
    .select('number')
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id),
)

const listOpen = statement(
  (db, p: { tenantId: string; userId: string; nowMs: number; limit: number }) =>
    db
      .selectFrom('approval')
      .selectAll()
      .where('tenant_id', '=', p.tenantId)
      .where('user_id', '=', p.userId)
      .where('completed_at', 'is', null)
      .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', p.nowMs)]))
      .orderBy('id')
      .limit(p.limit),
)

/** What users are still asked, and the numbers of approvals. */
export class OpenApprovalStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** Those that nothing has ended, whatever their deadlines say, in order of creation. */
  async listOfUser(after: OpenOfUser, limit: number): Promise<Approval[]> {
    return (await this.#queries.all(listOfUser, { ...after, limit })).map(asApproval)
  }

  /** The number of an approval: see approval-number.ts. */
  async findNumber(tenantId: string, id: string): Promise<number | undefined> {
    return (await this.#queries.first(findNumber, { tenantId, id }))?.number ?? undefined
  }

  /** A user's open ones, oldest first. */
  async list(
    tenantId: string,
    userId: string,
    { nowMs, limit }: { nowMs: number; limit: number },
  ): Promise<Approval[]> {
    return (await this.#queries.all(listOpen, { tenantId, userId, nowMs, limit })).map(asApproval)
  }
}
