import type { Queries } from '#storage/queries.ts'
import { statement } from '#storage/statement.ts'

/** What a device says it runs. */
export interface RunningApp {
  readonly tenantId: string
  readonly appName: string
  readonly platform: string
  readonly architecture: string
  /** As `versionKeyOf` writes it. */
  readonly number: string
}

/** The version that a device runs, and the value that is registered for its architecture. */
export interface RunningVersion {
  readonly id: string
  readonly registerUserId: string
  readonly isLocked: boolean
  readonly checksIntegrity: boolean
  readonly integrity: string | null
}

const find = statement((db, p: RunningApp) => {
  const any = db
    .selectFrom('app_version as a')
    .select('a.tenant_id')
    .where('a.tenant_id', '=', p.tenantId)
    .limit(1)
  return db
    .selectFrom(any.as('t'))
    .leftJoin('app_version as v', (join) =>
      join
        .on('v.tenant_id', '=', p.tenantId)
        .on('v.app_name', '=', p.appName)
        .on('v.platform', '=', p.platform)
        .on('v.number', '=', p.number),
    )
    .leftJoin('app_registration as r', (join) =>
      join
        .on('r.tenant_id', '=', p.tenantId)
        .onRef('r.version_id', '=', 'v.id')
        .on('r.architecture', '=', p.architecture),
    )
    .select(['v.id', 'v.register_user_id', 'v.is_locked', 'v.checks_integrity', 'r.integrity'])
})

/** What every login asks. */
export class AppRulesStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** One read. `none`: the tenant has no versions at all; `unknown`: not this one. */
  async find(app: RunningApp): Promise<RunningVersion | 'none' | 'unknown'> {
    const row = await this.#queries.first(find, app)
    if (row === undefined) return 'none'
    const { id, register_user_id: registerUserId } = row
    if (id === null || registerUserId === null) return 'unknown'
    return {
      id,
      registerUserId,
      isLocked: row.is_locked === 1,
      checksIntegrity: row.checks_integrity === 1,
      integrity: row.integrity,
    }
  }
}
