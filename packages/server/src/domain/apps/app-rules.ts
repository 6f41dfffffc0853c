import type { Caller } from '../callers/caller.ts'
import type { AppFacts } from '../devices/device.ts'
import { DeviceRefusal, type DeviceRefusalCode } from '../devices/device-refusal.ts'
import type { Storage, Stores } from '../storage.ts'
import type { UserSchemeService } from '../users/user-scheme-service.ts'
import type { RunningApp, RunningVersion } from './app-rules-store.ts'
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
 * What is left to do in the transaction of a login that may go on: the version is looked at once more, and what is to be
 * registered is.
 *
 * @throws DeviceRefusal one of {@link appRefusals}, when the version was locked, changed or deleted since, or another value
 *   registered.
 */
export type AppVerdict = (stores: Stores, caller: Caller, nowMs: number) => Promise<void>

/** What {@link AppRules} refuses. */
export const appRefusals: ReadonlySet<DeviceRefusalCode> = new Set([
  'version_unknown',
  'version_locked',
  'integrity_mismatch',
  'app_not_registered',
])

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
    const { platform, architecture } = login.app
    const found = await this.#storage.read.appVersions.rules.find(runningApp(login))
    // What was made since was not locked before.
    if (found === 'none') return nothingToDo
    const isKnown = listArchitecturesOf(platform)?.includes(architecture) === true
    if (!isKnown) throw new DeviceRefusal('version_unknown')
    const version = requireOpen(found, login)
    if (version.integrity !== null) return lookAgain(login)
    return this.#judgeUnregistered(login, version)
  }

  async #judgeUnregistered(login: AppLogin, version: RunningVersion): Promise<AppVerdict> {
    const { tenantId, app, deviceId } = login
    const { platform, architecture, integrity } = app
    const target = { tenantId, appName: app.name, platform, architecture }
    const policy = await this.#policies.policyFor(target)
    if (policy.type === 'quorum') {
      if (integrity === undefined) return lookAgain(login)
      const vote = { tenantId, versionId: version.id, architecture, deviceId, integrity }
      const { votes } = this.#storage.read.appVersions
      if (await votes.isWaiting(vote, policy.quorum)) return lookAgain(login)
      return register(login, version, { by: 'quorum', quorum: policy.quorum, integrity })
    }
    const name = policy.userId ?? version.registerUserId
    const isRegistrar =
      login.userId !== null && (await this.#users.idOf(tenantId, name)) === login.userId
    if (isRegistrar && integrity !== undefined) {
      return register(login, version, { by: 'user', name, integrity })
    }
    requireUnchecked(version)
    return lookAgain(login, requireUnchecked)
  }
}

function runningApp({ tenantId, app }: AppLogin): RunningApp {
  const { name: appName, platform, architecture, versionStr } = app
  // What has no number is no version of anybody's.
  return { tenantId, appName, platform, architecture, number: versionKeyOf(versionStr) ?? '' }
}

/** @throws DeviceRefusal `version_unknown`, `version_locked`; `integrity_mismatch` with the value that is registered. */
function requireOpen(found: RunningVersion | 'unknown', { app }: AppLogin): RunningVersion {
  if (found === 'unknown') throw new DeviceRefusal('version_unknown')
  if (found.isLocked) throw new DeviceRefusal('version_locked')
  if (found.integrity !== null) requireSame(found, found.integrity, app.integrity)
  return found
}

/** While nothing is registered. @throws DeviceRefusal `app_not_registered`. */
function requireUnchecked({ integrity, checksIntegrity }: RunningVersion): void {
  if (integrity === null && checksIntegrity) throw new DeviceRefusal('app_not_registered')
}

/** Holds nothing: a lock that is committed behind this statement is one behind the login. */
function lookAgain(login: AppLogin, require?: (version: RunningVersion) => void): AppVerdict {
  return async ({ appVersions }) => {
    const found = await appVersions.rules.find(runningApp(login))
    if (found !== 'none') require?.(requireOpen(found, login))
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
