import type { Caller } from '../callers/caller.ts'
import type { AppFacts } from '../devices/device.ts'
import { DeviceRefusal } from '../devices/device-refusal.ts'
import type { Storage, Stores } from '../storage.ts'
import type { UserSchemeService } from '../users/user-scheme-service.ts'
import type { RunningVersion } from './app-rules-store.ts'
import { versionKeyOf, versionTarget } from './app-version.ts'
import { listArchitecturesOf } from './platform.ts'
import type { RegistrationPolicies } from './registration-policy.ts'
import type { NewRegistration } from './registration-store.ts'

/** A device that wants to log in, be enrolled, or have a user linked to it. */
export interface AppLogin {
  readonly tenantId: string
  readonly deviceId: string
  /** Null: nobody yet. */
  readonly userId: string | null
  readonly app: AppFacts
}

/**
 * What is left to do in the transaction of a login that may go on.
 *
 * @throws DeviceRefusal when the version was locked or deleted since, or another value registered.
 */
export type AppVerdict = (stores: Stores, caller: Caller, nowMs: number) => Promise<void>

/** Who registers, and in whose name. */
type Registering =
  | { readonly by: 'user'; readonly name: string }
  | { readonly by: 'quorum'; readonly quorum: number }

const nothingToDo: AppVerdict = async () => {}
/** Stands where the user would who registered. */
const quorumName = 'quorum'
const policyNames = { user: 'registrationUser', quorum: 'quorum' } as const

/** Which versions of which apps may be used: the version, its integrity, and the policy by which integrity values are registered. */
export class AppRules {
  readonly #storage: Storage
  readonly #policies: RegistrationPolicies
  readonly #users: Pick<UserSchemeService, 'idOf'>

  constructor(dependencies: {
    storage: Storage
    policies: RegistrationPolicies
    userSchemes: Pick<UserSchemeService, 'idOf'>
  }) {
    this.#storage = dependencies.storage
    this.#policies = dependencies.policies
    this.#users = dependencies.userSchemes
  }

  /**
   * Looks at what a device says it runs: one read, unless nothing is registered for its architecture yet. In a tenant
   * without any version everything may be used.
   *
   * @returns what to do in the transaction that completes the login, after everything else.
   * @throws DeviceRefusal `version_unknown`, `version_locked`, `integrity_mismatch`, `app_not_registered`.
   */
  async judge(login: AppLogin): Promise<AppVerdict> {
    const { tenantId, app } = login
    const version = await this.#storage.read.appVersions.rules.find({
      tenantId,
      appName: app.name,
      platform: app.platform,
      architecture: app.architecture,
      // What has no number is no version of anybody's.
      number: versionKeyOf(app.versionStr) ?? '',
    })
    if (version === 'none') return nothingToDo
    const isKnown = listArchitecturesOf(app.platform)?.includes(app.architecture) === true
    if (version === 'unknown' || !isKnown) throw new DeviceRefusal('version_unknown')
    if (version.isLocked) throw new DeviceRefusal('version_locked')
    if (version.integrity !== null) {
      requireSame(version, version.integrity, app.integrity)
      return nothingToDo
    }
    return this.#judgeUnregistered(login, version)
  }

  async #judgeUnregistered(login: AppLogin, version: RunningVersion): Promise<AppVerdict> {
    const { tenantId, app, deviceId } = login
    const { platform, architecture, integrity } = app
    const target = { tenantId, appName: app.name, platform, architecture }
    const policy = await this.#policies.policyFor(target)
    if (policy.type === 'quorum') {
      if (integrity === undefined) return nothingToDo
      const vote = { tenantId, versionId: version.id, architecture, deviceId, integrity }
      const { votes } = this.#storage.read.appVersions
      if (await votes.isWaiting(vote, policy.quorum)) return nothingToDo
      return register(login, version, { by: 'quorum', quorum: policy.quorum, integrity })
    }
    const name = policy.userId ?? version.registerUserId
    const isRegistrar =
      login.userId !== null && (await this.#users.idOf(tenantId, name)) === login.userId
    if (isRegistrar && integrity !== undefined) {
      return register(login, version, { by: 'user', name, integrity })
    }
    if (version.checksIntegrity) throw new DeviceRefusal('app_not_registered')
    return nothingToDo
  }
}

/** Registers the value, or adds the device's word to a quorum; whoever comes second is held against what was registered. */
function register(
  { tenantId, deviceId, app }: AppLogin,
  version: RunningVersion,
  registering: Registering & { readonly integrity: string },
): AppVerdict {
  const { architecture } = app
  const { integrity } = registering
  const place = { tenantId, versionId: version.id, architecture }
  return async ({ appVersions, journal }, caller, nowMs) => {
    const { versions, registrations, votes } = appVersions
    if (!(await versions.holdUnlocked(tenantId, version.id))) {
      const isThere = (await versions.find(tenantId, version.id)) !== undefined
      throw new DeviceRefusal(isThere ? 'version_locked' : 'version_unknown')
    }
    const standing = await registrations.find(place)
    if (standing !== undefined) return requireSame(version, standing.integrity, integrity)
    const registration: NewRegistration = {
      ...place,
      integrity,
      registeredBy: registering.by === 'user' ? registering.name : quorumName,
      sdkVersion: app.sdkVersion,
      nowMs,
    }
    if (registering.by === 'user') {
      if (!(await registrations.register(registration))) return
    } else {
      await votes.put({ ...place, deviceId, integrity }, nowMs)
      if (!(await votes.register(registration, registering.quorum))) return
    }
    await votes.removeOf(place)
    await journal.append(caller, tenantId, {
      action: 'app-version.registered',
      target: versionTarget(version.id),
      detail: { architecture, integrity, policy: policyNames[registering.by] },
    })
  }
}

/** @throws DeviceRefusal `integrity_mismatch` where integrity is checked. */
function requireSame(
  { checksIntegrity }: RunningVersion,
  registered: string,
  reported: string | undefined,
): void {
  if (checksIntegrity && reported !== registered) throw new DeviceRefusal('integrity_mismatch')
}
