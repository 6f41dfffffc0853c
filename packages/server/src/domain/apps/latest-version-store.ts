import { column, fragment, fragmentStatement, tableAs } from '#storage/fragment.ts'
import type { Queries } from '#storage/queries.ts'
import { nothing } from '#storage/statement.ts'
import type { Condition } from '../conditions/condition.ts'
import { compileCondition } from '../conditions/condition-store.ts'
import type { PushCategory, PushService } from './app.ts'

/** An app with its highest version on a platform. */
export interface LatestVersion {
  readonly appName: string
  readonly categories: readonly PushCategory[]
  readonly services: readonly PushService[]
  /** Null: an app without versions. */
  readonly version: {
    readonly id: string
    readonly platform: string
    readonly versionStr: string
  } | null
}

interface Row {
  readonly name: string
  readonly categories: string
  readonly services: string
  readonly id: string | null
  readonly platform: string | null
  readonly version_str: string | null
}

const fields = {
  appName: column('a', 'name'),
  platform: column('v', 'platform'),
  versionStr: column('v', 'version_str'),
  categories: column('a', 'categories'),
  services: column('a', 'services'),
}

const isOfApp = fragment`${column('v', 'tenant_id')} = ${column('a', 'tenant_id')} and ${column('v', 'app_name')} = ${column('a', 'name')}`
const isHigher = fragment`${column('w', 'tenant_id')} = ${column('v', 'tenant_id')} and ${column('w', 'app_name')} = ${column('v', 'app_name')} and ${column('w', 'platform')} = ${column('v', 'platform')} and ${column('w', 'number')} > ${column('v', 'number')}`
const isLatest = fragment`not exists (select 1 from ${tableAs('app_version', 'w')} where ${isHigher})`

/** Apps and their newest versions; a tenant has bounded numbers of both. */
export class LatestVersionStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** By app and platform. Fields: appName, platform, versionStr, and categories and services as JSON. */
  async list(tenantId: string, condition: Condition): Promise<LatestVersion[]> {
    const rows = await this.#queries.all(
      fragmentStatement<Row>(
        fragment`(select ${fields.appName}, ${fields.categories}, ${fields.services}, ${column('v', 'id')}, ${fields.platform}, ${fields.versionStr} from ${tableAs('app', 'a')} left join ${tableAs('app_version', 'v')} on ${isOfApp} and ${isLatest} where ${column('a', 'tenant_id')} = ${tenantId} and ${compileCondition(condition, fields)} order by ${fields.appName}, ${fields.platform})`,
      ),
      nothing,
    )
    return rows.map(asLatestVersion)
  }
}

function asLatestVersion({
  name,
  categories,
  services,
  id,
  platform,
  version_str,
}: Row): LatestVersion {
  return {
    appName: name,
    categories: JSON.parse(categories) as PushCategory[],
    services: JSON.parse(services) as PushService[],
    version:
      id === null || platform === null || version_str === null
        ? null
        : { id, platform, versionStr: version_str },
  }
}
