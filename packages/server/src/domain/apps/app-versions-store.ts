import type { Queries } from '#storage/queries.ts'
import { type Builder, statement } from '#storage/statement.ts'
import { AppRulesStore } from './app-rules-store.ts'
import { AppVersionStore } from './app-version-store.ts'
import { LatestVersionStore } from './latest-version-store.ts'
import { RegistrationStore } from './registration-store.ts'
import { VersionSearchStore } from './version-search-store.ts'
import { VoteStore } from './vote-store.ts'

interface OfApp {
  readonly tenantId: string
  readonly appName: string
}

const holdOfApp = statement((db, p: OfApp) =>
  db
    .updateTable('app_version')
    .set(({ ref }) => ({ updated_at: ref('updated_at') }))
    .where('tenant_id', '=', p.tenantId)
    .where('app_name', '=', p.appName),
)

const removeRegistrations = statement((db, p: OfApp) =>
  db
    .deleteFrom('app_registration')
    .where('tenant_id', '=', p.tenantId)
    .where('version_id', 'in', idsOfApp(db, p)),
)

const removeVotes = statement((db, p: OfApp) =>
  db
    .deleteFrom('app_vote')
    .where('tenant_id', '=', p.tenantId)
    .where('version_id', 'in', idsOfApp(db, p)),
)

const removeVersions = statement((db, p: OfApp) =>
  db
    .deleteFrom('app_version')
    .where('tenant_id', '=', p.tenantId)
    .where('app_name', '=', p.appName),
)

function idsOfApp(db: Builder, p: OfApp) {
  return db
    .selectFrom('app_version')
    .select('id')
    .where('tenant_id', '=', p.tenantId)
    .where('app_name', '=', p.appName)
}

/** The stores of versions. */
export class AppVersionStores {
  readonly versions: AppVersionStore
  readonly search: VersionSearchStore
  readonly latest: LatestVersionStore
  readonly registrations: RegistrationStore
  readonly votes: VoteStore
  readonly rules: AppRulesStore
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
    this.versions = new AppVersionStore(queries)
    this.search = new VersionSearchStore(queries)
    this.latest = new LatestVersionStore(queries)
    this.registrations = new RegistrationStore(queries)
    this.votes = new VoteStore(queries)
    this.rules = new AppRulesStore(queries)
  }

  /**
   * Ends a version: what is registered for it, and what was reported, goes with it.
   *
   * @returns false when there is no such version.
   */
  async remove(tenantId: string, id: string): Promise<boolean> {
    // The version first: whoever registers for it holds it.
    if (!(await this.versions.remove(tenantId, id))) return false
    await this.registrations.removeAll(tenantId, id)
    await this.votes.removeAll(tenantId, id)
    return true
  }

  /**
   * Ends all versions of an app that is held or gone, so that none comes after.
   *
   * @returns how many there were.
   */
  async removeOfApp(tenantId: string, appName: string): Promise<number> {
    // Held first: whoever registers for one of them holds it.
    const count = await this.#queries.run(holdOfApp, { tenantId, appName })
    if (count === 0) return 0
    await this.#queries.run(removeRegistrations, { tenantId, appName })
    await this.#queries.run(removeVotes, { tenantId, appName })
    return this.#queries.run(removeVersions, { tenantId, appName })
  }
}
