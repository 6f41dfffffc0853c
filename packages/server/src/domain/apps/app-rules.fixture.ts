import { testCaller } from '#test/support/core.ts'
import type { PlatformApi } from '#test/support/platform-api.ts'
import { addTestUser, createCode, TestDevice, testApp } from '#test/support/test-device.ts'
import type { AppVersionDraft } from './app-version-service.ts'

/** A measurement of an app: the same letter, the same app. */
export const measured = (letter: string): string => letter.repeat(64)

const admin = (tenantId: string) => testCaller(tenantId, ['ast:write', 'tenant:write'])

const ofTestApp: AppVersionDraft = {
  appName: testApp.name,
  platform: testApp.platform,
  versionStr: testApp.versionStr,
  registerUserId: 'registrar',
  isLocked: false,
  checksIntegrity: true,
}

/** A tenant with an app that devices run, in versions of its own. */
export class AppScene {
  readonly api: PlatformApi
  readonly tenantId: string

  private constructor(api: PlatformApi, tenantId: string) {
    this.api = api
    this.tenantId = tenantId
  }

  /** A tenant with the users `registrar` and `jane`, and the app without any version. */
  static async create(api: PlatformApi, tenantId: string): Promise<AppScene> {
    await api.createTenant(tenantId)
    await api.app.core.apps.create(admin(tenantId), tenantId, testApp.name, { categories: ['tms'] })
    for (const id of ['registrar', 'jane']) await addTestUser(api, tenantId, id)
    return new AppScene(api, tenantId)
  }

  /** @returns the id of a version that checks integrity. */
  async addVersion(draft: Partial<AppVersionDraft> = {}): Promise<string> {
    const { appVersions } = this.api.app.core
    const { id } = await appVersions.create(admin(this.tenantId), this.tenantId, {
      ...ofTestApp,
      ...draft,
    })
    return id
  }

  async setLock(id: string, isLocked: boolean): Promise<void> {
    await this.api.app.core.appVersions.setLock(admin(this.tenantId), this.tenantId, id, isLocked)
  }

  async replaceVersion(id: string, draft: Partial<AppVersionDraft>): Promise<void> {
    const { appVersions } = this.api.app.core
    await appVersions.replace(admin(this.tenantId), this.tenantId, id, { ...ofTestApp, ...draft })
  }

  async deleteVersion(id: string): Promise<void> {
    await this.api.app.core.appVersions.delete(admin(this.tenantId), this.tenantId, id)
  }

  async forget(id: string, architecture?: string): Promise<void> {
    const { appVersions } = this.api.app.core
    await appVersions.deleteRegistration(admin(this.tenantId), this.tenantId, id, architecture)
  }

  /** From now on a quorum registers. */
  async assignQuorum(quorum: number): Promise<void> {
    const { policies } = this.api.app.core
    const caller = admin(this.tenantId)
    const name = `quorum-${quorum}`
    await policies.create(caller, this.tenantId, name, { type: 'quorum', quorum })
    await policies.assign(caller, this.tenantId, name, { appName: testApp.name })
  }

  /** Architecture and value, by architecture. */
  async registered(id: string): Promise<Readonly<Record<string, string>>> {
    const { appVersions } = this.api.app.core
    const { registrations } = await appVersions.get(admin(this.tenantId), this.tenantId, id)
    return Object.fromEntries(registrations.map((one) => [one.architecture, one.integrity]))
  }

  /** A device that has nothing yet but keys and a code. */
  async newcomer(userId: string | null = 'jane'): Promise<Newcomer> {
    return new Newcomer(this.api, await createCode(this.api, this.tenantId, userId))
  }

  /** A device that was enrolled without being asked what it runs: no version was there, or this one was open to it. */
  async enrolled(userId: string | null = 'jane', app: object = {}): Promise<RunningDevice> {
    const newcomer = await this.newcomer(userId)
    const reply = await newcomer.enrolWith(app)
    if (reply !== 'ok') throw new Error(reply)
    return newcomer
  }
}

/** A device that says what it runs. */
export class RunningDevice extends TestDevice {
  /** @returns `ok`, or the code of the refusal. */
  async runs(app: object = {}, options: { pin?: string; userId?: string } = {}): Promise<string> {
    const assertion = { app: { ...testApp, ...app } }
    const { status, body } = await this.login({ ...options, assertion })
    return status === 200 ? 'ok' : body.code
  }
}

export class Newcomer extends RunningDevice {
  readonly #code: string

  constructor(api: PlatformApi, code: string) {
    super(api)
    this.#code = code
  }

  /** @returns `ok`, or the code of the refusal. */
  async enrolWith(app: object = {}, options: { pin?: string } = {}): Promise<string> {
    const body = { app: { ...testApp, ...app } }
    const reply = await this.enrol(this.#code, { ...options, body })
    return reply.status === 201 ? 'ok' : reply.body.code
  }
}
