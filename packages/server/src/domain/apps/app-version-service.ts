import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import { type Storage, type Stores, takenKey } from '../storage.ts'
import type { IdSource } from '../ulid.ts'
import { MemberCheck } from '../users/name-text.ts'
import {
  type AppVersion,
  type RegisteredVersion,
  versionNumberOf,
  versionTarget,
} from './app-version.ts'
import { listArchitecturesOf, platforms } from './platform.ts'

/** A version as callers write it. */
export interface AppVersionDraft {
  readonly appName: string
  readonly platform: string
  readonly versionStr: string
  /** Need not be anybody's name. */
  readonly registerUserId: string
  readonly isLocked: boolean
  readonly checksIntegrity: boolean
}

/** A tenant's versions, all apps together: every search looks at all of them. */
export const versionsPerTenantMax = 5_000

/** Versions of apps, and what is registered for them. */
export class AppVersionService {
  readonly #storage: Storage
  readonly #clock: Clock
  readonly #nextId: IdSource

  constructor(dependencies: {
    storage: Storage
    clock: Clock
    nextId: IdSource
  }) {
    this.#storage = dependencies.storage
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
  }

  /** By name; every tenant has the same ones. @throws DomainError `forbidden`, `tenant_not_found`. */
  async listPlatforms(caller: Caller, tenantId: string): Promise<readonly string[]> {
    await this.#requireReader(caller, tenantId)
    return platforms
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`, `platform_not_found`. */
  async listArchitectures(
    caller: Caller,
    tenantId: string,
    platform: string,
  ): Promise<readonly string[]> {
    await this.#requireReader(caller, tenantId)
    return architecturesOf(platform)
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`, `version_not_found`. */
  async get(caller: Caller, tenantId: string, id: string): Promise<RegisteredVersion> {
    await this.#requireReader(caller, tenantId)
    return getVersion(this.#storage.read, tenantId, id)
  }

  /**
   * @throws DomainError `forbidden`, `tenant_not_found`; `invalid_request` for a version that has no number;
   *   `platform_not_found`, `app_not_found`; `already_exists` for a version that the app has on this platform;
   *   `limit_reached`.
   */
  async create(caller: Caller, tenantId: string, draft: AppVersionDraft): Promise<AppVersion> {
    caller.requireIn(tenantId, 'ast:write')
    checkDraft(draft)
    architecturesOf(draft.platform)
    const version = { tenantId, id: this.#nextId(), ...draft }
    await this.#write(async (stores) => {
      // Held: who makes versions counts them one after the other.
      await stores.tenants.holdFor(caller, tenantId)
      const { versions } = stores.appVersions
      if (!(await stores.apps.hold(tenantId, draft.appName))) {
        throw new DomainError('app_not_found', 'No such app.', { pointer: '/appName' })
      }
      if ((await versions.count(tenantId)) >= versionsPerTenantMax) {
        throw new DomainError('limit_reached', 'The tenant has the maximum of versions.')
      }
      await versions.insert(version, this.#clock())
      await stores.journal.append(caller, tenantId, {
        action: 'app-version.created',
        target: versionTarget(version.id),
        detail: detailOf(version),
      })
    })
    return version
  }

  /**
   * Replaces everything but app and platform, which must be given as they are. What is registered stays.
   *
   * @throws DomainError as {@link create}; `version_not_found`; `invalid_request` for another app or platform.
   */
  async replace(
    caller: Caller,
    tenantId: string,
    id: string,
    draft: AppVersionDraft,
  ): Promise<void> {
    caller.requireIn(tenantId, 'ast:write')
    checkDraft(draft)
    await this.#write(async (stores) => {
      await stores.tenants.requireFor(caller, tenantId)
      const { versions } = stores.appVersions
      const present = await versions.find(tenantId, id)
      if (present === undefined) throw versionNotFound()
      checkKept(present, draft)
      const version = { tenantId, id, ...draft }
      if (!(await versions.replace(version, this.#clock()))) throw versionNotFound()
      await stores.journal.append(caller, tenantId, {
        action: 'app-version.updated',
        target: versionTarget(id),
        detail: detailOf(version),
      })
    })
  }

  /**
   * Locks or unlocks. Devices of a locked version cannot log in, be enrolled, or have users linked; access tokens that
   * they have end by themselves.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `version_not_found`.
   */
  async setLock(
    caller: Caller,
    tenantId: string,
    id: string,
    isLocked: boolean,
  ): Promise<RegisteredVersion> {
    caller.requireIn(tenantId, 'ast:write')
    return this.#storage.transaction(async (stores) => {
      await stores.tenants.requireFor(caller, tenantId)
      const { versions } = stores.appVersions
      if (!(await versions.setLock(tenantId, id, { isLocked, nowMs: this.#clock() }))) {
        throw versionNotFound()
      }
      await stores.journal.append(caller, tenantId, {
        action: isLocked ? 'app-version.locked' : 'app-version.unlocked',
        target: versionTarget(id),
      })
      return getVersion(stores, tenantId, id)
    })
  }

  /** With what is registered for it. @throws DomainError `forbidden`, `tenant_not_found`, `version_not_found`. */
  async delete(caller: Caller, tenantId: string, id: string): Promise<void> {
    caller.requireIn(tenantId, 'ast:write')
    await this.#storage.transaction(async (stores) => {
      await stores.tenants.requireFor(caller, tenantId)
      const present = await stores.appVersions.versions.find(tenantId, id)
      if (present === undefined || !(await stores.appVersions.remove(tenantId, id))) {
        throw versionNotFound()
      }
      await stores.journal.append(caller, tenantId, {
        action: 'app-version.deleted',
        target: versionTarget(id),
        detail: detailOf(present),
      })
    })
  }

  /**
   * Forgets the value of an architecture, or of all; votes for one too. The next login that may register does so again.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `version_not_found`; `registration_not_found` for an architecture
   *   of which nothing is known.
   */
  async deleteRegistration(
    caller: Caller,
    tenantId: string,
    id: string,
    architecture: string | undefined,
  ): Promise<void> {
    caller.requireIn(tenantId, 'ast:write')
    await this.#storage.transaction(async (stores) => {
      await stores.tenants.requireFor(caller, tenantId)
      const { versions, registrations, votes } = stores.appVersions
      if (!(await versions.hold(tenantId, id))) throw versionNotFound()
      if (architecture === undefined) {
        await registrations.removeAll(tenantId, id)
        await votes.removeAll(tenantId, id)
      } else {
        const place = { tenantId, versionId: id, architecture }
        const isRemoved = await registrations.remove(place)
        if ((await votes.removeOf(place)) === 0 && !isRemoved) {
          throw new DomainError('registration_not_found', 'Nothing is registered.')
        }
      }
      await stores.journal.append(caller, tenantId, {
        action: 'app-version.registration-deleted',
        target: versionTarget(id),
        ...(architecture === undefined ? {} : { detail: { architecture } }),
      })
    })
  }

  async #requireReader(caller: Caller, tenantId: string): Promise<void> {
    caller.requireIn(tenantId, 'ast:read')
    await this.#storage.read.tenants.requireFor(caller, tenantId)
  }

  async #write(work: (stores: Stores) => Promise<void>): Promise<void> {
    try {
      await this.#storage.transaction(work)
    } catch (error) {
      if (takenKey(error) === undefined) throw error
      throw new DomainError('already_exists', 'The app has this version on this platform.')
    }
  }
}

async function getVersion(
  { appVersions }: Stores,
  tenantId: string,
  id: string,
): Promise<RegisteredVersion> {
  const version = await appVersions.versions.find(tenantId, id)
  if (version === undefined) throw versionNotFound()
  const registrations = await appVersions.registrations.listOf(tenantId, [id])
  return { ...version, registrations: registrations.get(id) ?? [] }
}

function architecturesOf(platform: string): readonly string[] {
  const architectures = listArchitecturesOf(platform)
  if (architectures !== undefined) return architectures
  throw new DomainError('platform_not_found', 'No such platform.')
}

function checkDraft({ appName, versionStr, registerUserId }: AppVersionDraft): void {
  const check = new MemberCheck()
  check.text('/appName', appName)
  check.text('/registerUserId', registerUserId)
  if (versionNumberOf(versionStr) === undefined) {
    const message =
      'must be major.minor.build without leading zeros, at most 8388607.255.4294967295'
    check.add('/versionStr', 'bad_format', message)
  }
  check.finish()
}

function checkKept(present: AppVersion, draft: AppVersionDraft): void {
  const check = new MemberCheck()
  for (const member of ['appName', 'platform'] as const) {
    if (present[member] !== draft[member]) {
      check.add(`/${member}`, 'bad_format', 'must be that of the version')
    }
  }
  check.finish()
}

function detailOf({ appName, platform, versionStr, isLocked, checksIntegrity }: AppVersion) {
  return { appName, platform, versionStr, isLocked, checksIntegrity }
}

function versionNotFound(): DomainError {
  return new DomainError('version_not_found', 'No such version.')
}
