import { column, fragment, fragmentStatement, joined, tableAs } from '#storage/fragment.ts'
import type { Queries } from '#storage/queries.ts'
import { dynamicStatement, nothing } from '#storage/statement.ts'
import type { Condition } from '../conditions/condition.ts'
import { compileCondition } from '../conditions/condition-store.ts'
import type { AppVersion } from './app-version.ts'
import { asAppVersion } from './app-version-store.ts'

/** As a list is ordered: as versions were made, by app, platform and number, or by number alone. */
export type VersionOrder = 'made' | 'tree' | 'ascending' | 'descending'

/** What a search finds before a page of it is read. */
export interface FoundVersion {
  readonly id: string
  readonly versionStr: string
}

const fields = {
  appName: column('v', 'app_name'),
  platform: column('v', 'platform'),
  versionStr: column('v', 'version_str'),
  isLocked: column('v', 'is_locked'),
  checksIntegrity: column('v', 'checks_integrity'),
}

const id = column('v', 'id')
const number = column('v', 'number')
const orders = {
  made: id,
  tree: joined([fields.appName, fields.platform, number]),
  ascending: joined([number, id]),
  descending: fragment`${number} desc, ${id}`,
}

/** Searches by conditions; a tenant has a bounded number of versions. */
export class VersionSearchStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** All that fit. Fields: appName, platform, versionStr; isLocked and checksIntegrity as 0 and 1. */
  async list(tenantId: string, condition: Condition, order: VersionOrder): Promise<FoundVersion[]> {
    const rows = await this.#queries.all(
      fragmentStatement<{ id: string; version_str: string }>(
        fragment`(select ${id}, ${fields.versionStr} from ${tableAs('app_version', 'v')} where ${column('v', 'tenant_id')} = ${tenantId} and ${compileCondition(condition, fields)} order by ${orders[order]})`,
      ),
      nothing,
    )
    return rows.map((row) => ({ id: row.id, versionStr: row.version_str }))
  }

  /** Those of these ids that are there, in the order of the ids. */
  async load(tenantId: string, ids: readonly string[]): Promise<AppVersion[]> {
    if (ids.length === 0) return []
    const rows = await this.#queries.all(
      dynamicStatement((db) =>
        db
          .selectFrom('app_version')
          .selectAll()
          .where('tenant_id', '=', tenantId)
          .where('id', 'in', [...ids]),
      ),
      nothing,
    )
    const byId = new Map(rows.map((row) => [row.id, asAppVersion(row)]))
    return ids.flatMap((id) => byId.get(id) ?? [])
  }
}
