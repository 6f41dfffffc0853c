import type { Queries } from '#storage/queries.ts'
import type { AppVersionTable } from '#storage/schema/app-versions.ts'
import { statement } from '#storage/statement.ts'
import { type AppVersion, versionKeyOf } from './app-version.ts'

interface VersionKey {
  readonly tenantId: string
  readonly id: string
}

interface Values {
  readonly tenantId: string
  readonly id: string
  readonly number: string
  readonly versionStr: string
  readonly registerUserId: string
  readonly isLocked: number
  readonly checksIntegrity: number
  readonly nowMs: number
}

const insert = statement((db, p: Values & { appName: string; platform: string }) =>
  db.insertInto('app_version').values({
    tenant_id: p.tenantId,
    id: p.id,
    app_name: p.appName,
    platform: p.platform,
    number: p.number,
    version_str: p.versionStr,
    register_user_id: p.registerUserId,
    is_locked: p.isLocked,
    checks_integrity: p.checksIntegrity,
    created_at: p.nowMs,
    updated_at: p.nowMs,
  }),
)

const replace = statement((db, p: Values) =>
  db
    .updateTable('app_version')
    .set({
      number: p.number,
      version_str: p.versionStr,
      register_user_id: p.registerUserId,
      is_locked: p.isLocked,
      checks_integrity: p.checksIntegrity,
      updated_at: p.nowMs,
    })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id),
)

const setLock = statement((db, p: VersionKey & { isLocked: number; nowMs: number }) =>
  db
    .updateTable('app_version')
    .set({ is_locked: p.isLocked, updated_at: p.nowMs })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id),
)

const holdUnlocked = statement((db, p: VersionKey) =>
  db
    .updateTable('app_version')
    .set({ is_locked: 0 })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id)
    .where('is_locked', '=', 0),
)

const hold = statement((db, p: VersionKey) =>
  db
    .updateTable('app_version')
    .set(({ ref }) => ({ updated_at: ref('updated_at') }))
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id),
)

const find = statement((db, p: VersionKey) =>
  db
    .selectFrom('app_version')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id),
)

const count = statement((db, p: { tenantId: string }) =>
  db
    .selectFrom('app_version')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('tenant_id', '=', p.tenantId),
)

const remove = statement((db, p: VersionKey) =>
  db.deleteFrom('app_version').where('tenant_id', '=', p.tenantId).where('id', '=', p.id),
)

/** Versions of apps. */
export class AppVersionStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** @throws StorageError `taken` when the app has this version on this platform. */
  async insert(version: AppVersion, nowMs: number): Promise<void> {
    const { appName, platform } = version
    await this.#queries.run(insert, { ...valuesOf(version, nowMs), appName, platform })
  }

  /** Writes everything but app and platform. @returns false when there is no such version. @throws as {@link insert}. */
  async replace(version: AppVersion, nowMs: number): Promise<boolean> {
    return (await this.#queries.run(replace, valuesOf(version, nowMs))) === 1
  }

  /** @returns false when there is no such version. */
  async setLock(
    tenantId: string,
    id: string,
    { isLocked, nowMs }: { isLocked: boolean; nowMs: number },
  ): Promise<boolean> {
    return (
      (await this.#queries.run(setLock, { tenantId, id, isLocked: Number(isLocked), nowMs })) === 1
    )
  }

  /**
   * Keeps everybody else from this version until the transaction ends, so that registrations come one after another.
   *
   * @returns false when it is gone or locked.
   */
  async holdUnlocked(tenantId: string, id: string): Promise<boolean> {
    return (await this.#queries.run(holdUnlocked, { tenantId, id })) === 1
  }

  /** As {@link holdUnlocked}, locked or not. @returns false when it is gone. */
  async hold(tenantId: string, id: string): Promise<boolean> {
    return (await this.#queries.run(hold, { tenantId, id })) === 1
  }

  async find(tenantId: string, id: string): Promise<AppVersion | undefined> {
    const row = await this.#queries.first(find, { tenantId, id })
    return row && asAppVersion(row)
  }

  /** A tenant has a bounded number of versions. */
  async count(tenantId: string): Promise<number> {
    return Number((await this.#queries.first(count, { tenantId }))?.count ?? 0)
  }

  /** @returns false when there is no such version. */
  async remove(tenantId: string, id: string): Promise<boolean> {
    return (await this.#queries.run(remove, { tenantId, id })) === 1
  }
}

export function asAppVersion(row: AppVersionTable): AppVersion {
  return {
    tenantId: row.tenant_id,
    id: row.id,
    appName: row.app_name,
    platform: row.platform,
    versionStr: row.version_str,
    registerUserId: row.register_user_id,
    isLocked: row.is_locked === 1,
    checksIntegrity: row.checks_integrity === 1,
  }
}

function valuesOf(version: AppVersion, nowMs: number): Values {
  const { tenantId, id, versionStr, registerUserId, isLocked, checksIntegrity } = version
  const number = versionKeyOf(versionStr)
  if (number === undefined) throw new TypeError('A version has no number.')
  return {
    tenantId,
    id,
    number,
    versionStr,
    registerUserId,
    isLocked: Number(isLocked),
    checksIntegrity: Number(checksIntegrity),
    nowMs,
  }
}
