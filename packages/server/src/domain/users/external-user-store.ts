import type { Queries } from '#storage/queries.ts'
import { statement } from '#storage/statement.ts'

/** A user with the label that Keyless calls the external user, and since when. */
export interface LabelledUser {
  readonly userId: string
  readonly label: string
  readonly createdAtMs: number
  /** Since when it is this one. */
  readonly updatedAtMs: number
}

interface Key {
  readonly tenantId: string
  readonly userId: string
}

const find = statement((db, p: Key) =>
  db
    .selectFrom('app_user')
    .select([
      'id',
      'keyless_external_id',
      'keyless_external_created_at',
      'keyless_external_updated_at',
      'created_at',
    ])
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.userId),
)

const listHolders = statement((db, p: { tenantId: string; label: string; limit: number }) =>
  db
    .selectFrom('app_user')
    .select([
      'id',
      'keyless_external_id',
      'keyless_external_created_at',
      'keyless_external_updated_at',
      'created_at',
    ])
    .where('tenant_id', '=', p.tenantId)
    .where('keyless_external_id', '=', p.label)
    .where('keyless_external_id', 'is not', null)
    .orderBy('keyless_external_updated_at')
    .orderBy('ulid')
    .limit(p.limit),
)

/** The label `keylessExternalId` of users. It is written by the users' own store. */
export class ExternalUserStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** Since when the user is there, and the label if there is one. */
  async find(
    tenantId: string,
    userId: string,
  ): Promise<
    { readonly createdAtMs: number; readonly labelled: LabelledUser | undefined } | undefined
  > {
    const row = await this.#queries.first(find, { tenantId, userId })
    return row && { createdAtMs: row.created_at, labelled: asLabelled(row) }
  }

  /** In the order in which they got it. */
  async listHolders(tenantId: string, label: string, limit: number): Promise<LabelledUser[]> {
    const rows = await this.#queries.all(listHolders, { tenantId, label, limit })
    return rows.flatMap((row) => asLabelled(row) ?? [])
  }
}

function asLabelled(row: {
  id: string
  keyless_external_id: string | null
  keyless_external_created_at: number | null
  keyless_external_updated_at: number | null
  created_at: number
}): LabelledUser | undefined {
  if (row.keyless_external_id === null) return undefined
  const createdAtMs = row.keyless_external_created_at ?? row.created_at
  return {
    userId: row.id,
    label: row.keyless_external_id,
    createdAtMs,
    updatedAtMs: row.keyless_external_updated_at ?? createdAtMs,
  }
}
