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

/** Approvals that nothing has ended, whatever their deadlines say. */
export class OpenApprovalStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** In order of creation. */
  async listOfUser(after: OpenOfUser, limit: number): Promise<Approval[]> {
    return (await this.#queries.all(listOfUser, { ...after, limit })).map(asApproval)
  }
}
