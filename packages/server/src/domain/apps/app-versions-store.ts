import type { Queries } from '#storage/queries.ts'
import { AppRulesStore } from './app-rules-store.ts'
import { AppVersionStore } from './app-version-store.ts'
import { LatestVersionStore } from './latest-version-store.ts'
import { RegistrationStore } from './registration-store.ts'
import { VersionSearchStore } from './version-search-store.ts'
import { VoteStore } from './vote-store.ts'

/** The stores of versions. */
export class AppVersionStores {
  readonly versions: AppVersionStore
  readonly search: VersionSearchStore
  readonly latest: LatestVersionStore
  readonly registrations: RegistrationStore
  readonly votes: VoteStore
  readonly rules: AppRulesStore

  constructor(queries: Queries) {
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
    const ids = await this.versions.listIdsOfApp(tenantId, appName)
    for (const id of ids) await this.remove(tenantId, id)
    return ids.length
  }
}
