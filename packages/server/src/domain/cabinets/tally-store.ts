import type { Queries } from '#storage/queries.ts'
import { statement } from '#storage/statement.ts'
import type { FirmwareType } from './firmware.ts'

/**
 * What is counted for a tenant; of the platform: cabinets nobody has registered, and firmware. `rights` is counted up by
 * every change of lists and links, `event` by every readable audit event.
 */
export type Tally =
  | 'cabinet'
  | 'acl'
  | 'link'
  | 'rights'
  | 'event'
  | 'subscription'
  | `firmware:${FirmwareType}`

interface Change {
  readonly tenantId: string
  readonly name: string
  readonly by: number
}

const add = statement((db, p: Change) =>
  db
    .insertInto('cabinet_tally')
    .values({ tenant_id: p.tenantId, name: p.name, count: p.by })
    .onConflict((conflict) =>
      conflict
        .columns(['tenant_id', 'name'])
        .doUpdateSet((eb) => ({ count: eb('cabinet_tally.count', '+', p.by) })),
    )
    .returning('count'),
)

const addBelow = statement((db, p: { tenantId: string; name: string; max: number }) =>
  db
    .insertInto('cabinet_tally')
    .values({ tenant_id: p.tenantId, name: p.name, count: 1 })
    .onConflict((conflict) =>
      conflict
        .columns(['tenant_id', 'name'])
        .doUpdateSet((eb) => ({ count: eb('cabinet_tally.count', '+', 1) }))
        .where('cabinet_tally.count', '<', p.max),
    ),
)

const find = statement((db, p: { tenantId: string; name: string }) =>
  db
    .selectFrom('cabinet_tally')
    .select('count')
    .where('tenant_id', '=', p.tenantId)
    .where('name', '=', p.name),
)

/** Counts that are kept with what they count, so that no request counts rows. */
export class TallyStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** Whoever adds to the same count waits until this transaction has ended. @returns the new count. */
  async add(tenantId: string, name: Tally, by: number): Promise<number> {
    const row = await this.#queries.first(add, { tenantId, name, by })
    if (row === undefined) throw new Error('A count was written and is not there.')
    return row.count
  }

  /** Counts one more unless there are `max` already; false then. */
  async addBelow(tenantId: string, name: Tally, max: number): Promise<boolean> {
    return max > 0 && (await this.#queries.run(addBelow, { tenantId, name, max })) === 1
  }

  async get(tenantId: string, name: Tally): Promise<number> {
    return (await this.#queries.first(find, { tenantId, name }))?.count ?? 0
  }

  /**
   * Makes every other transaction that changes what the tenant's cabinets may do wait until this one has ended: a list
   * and a link that change at the same moment would otherwise miss each other. To be called first.
   *
   * @returns the number of this change, greater than that of any before.
   */
  async lockRights(tenantId: string): Promise<number> {
    return this.add(tenantId, 'rights', 1)
  }
}
