import type { Queries } from '#storage/queries.ts'
import { statement } from '#storage/statement.ts'
import { platformTenantId } from './callers/caller.ts'

interface Hold {
  readonly name: string
  readonly holder: string
  readonly nowMs: number
  readonly untilMs: number
}

const hold = statement((db, p: Hold) =>
  db
    .insertInto('lease')
    .values({ tenant_id: platformTenantId, name: p.name, holder: p.holder, until_ms: p.untilMs })
    .onConflict((conflict) =>
      conflict
        .columns(['tenant_id', 'name'])
        .doUpdateSet({ holder: p.holder, until_ms: p.untilMs })
        .where((eb) =>
          eb.or([eb('lease.holder', '=', p.holder), eb('lease.until_ms', '<=', p.nowMs)]),
        ),
    ),
)

const release = statement((db, p: { name: string; holder: string }) =>
  db
    .deleteFrom('lease')
    .where('tenant_id', '=', platformTenantId)
    .where('name', '=', p.name)
    .where('holder', '=', p.holder),
)

/** Jobs that one process at a time may do. */
export class LeaseStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** Takes or prolongs a lease; false while another holder's runs. */
  async hold(request: Hold): Promise<boolean> {
    return (await this.#queries.run(hold, request)) === 1
  }

  async release(name: string, holder: string): Promise<void> {
    await this.#queries.run(release, { name, holder })
  }
}
