import type { Vault } from '#custody/vault.ts'
import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import { type Storage, type Stores, takenKey } from '../storage.ts'
import type { IdSource } from '../ulid.ts'
import { MemberCheck } from '../users/name-text.ts'
import {
  type App,
  appNotFound,
  appsPerTenantMax,
  isAppName,
  type PushCategory,
  type PushSecrets,
} from './app.ts'
import type { PushCredentialReader, PushCredentials } from './app-push-credentials.ts'
import { type PushDraft, presentMembers, splitMembers } from './app-push-members.ts'
import { readPush, usableCredentials } from './app-push-reading.ts'
import type { StoredApp } from './app-store.ts'

/** What an app is to be; the whole of it, at a change too. */
export interface AppDraft extends PushDraft {
  readonly categories: readonly PushCategory[]
}

/** An app as a caller may see it. */
export interface AppView {
  readonly app: App
  /** Undefined for callers who may not change it. */
  readonly secrets: PushSecrets | undefined
}

export interface AppSearch {
  /** Exactly this one. */
  readonly name?: string | undefined
  /** From 1. */
  readonly page: number
  readonly pageSize: number
}

/** Apps and what their push services want. */
export class AppService implements PushCredentialReader {
  readonly #storage: Storage
  readonly #vault: Vault
  readonly #clock: Clock
  readonly #nextId: IdSource

  constructor(dependencies: { storage: Storage; vault: Vault; clock: Clock; nextId: IdSource }) {
    this.#storage = dependencies.storage
    this.#vault = dependencies.vault
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
  }

  /**
   * By name.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`.
   */
  async list(
    caller: Caller,
    tenantId: string,
    { name, page, pageSize }: AppSearch,
  ): Promise<{ readonly items: readonly AppView[]; readonly totalCount: number }> {
    caller.requireIn(tenantId, 'ast:read')
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    const { apps } = this.#storage.read
    const view = (stored: StoredApp) => this.#view(caller, stored)
    const offset = (page - 1) * pageSize
    if (name !== undefined) {
      const found = isAppName(name) ? await apps.find(tenantId, name) : undefined
      const items = found === undefined || offset > 0 ? [] : [await view(found)]
      return { items, totalCount: found === undefined ? 0 : 1 }
    }
    const totalCount = await apps.count(tenantId)
    if (offset >= totalCount) return { items: [], totalCount }
    const items = await apps.list(tenantId, { offset, limit: pageSize })
    return { items: await Promise.all(items.map(view)), totalCount }
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`, `app_not_found`. */
  async get(caller: Caller, tenantId: string, name: string): Promise<AppView> {
    caller.requireIn(tenantId, 'ast:read')
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    const stored = isAppName(name) ? await this.#storage.read.apps.find(tenantId, name) : undefined
    if (stored === undefined) throw appNotFound()
    return this.#view(caller, stored)
  }

  /**
   * @throws DomainError `forbidden`, `tenant_not_found`; `invalid_request` with the members that cannot be taken;
   *   `already_exists`; `limit_reached` at 1,000 apps.
   */
  async create(caller: Caller, tenantId: string, name: string, draft: AppDraft): Promise<App> {
    caller.requireIn(tenantId, 'ast:write')
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    const stored = await this.#prepare(tenantId, name, draft)
    try {
      await this.#storage.transaction(async (stores) => {
        // Held: who makes apps counts them one after the other.
        await stores.tenants.holdFor(caller, tenantId)
        if ((await stores.apps.count(tenantId)) >= appsPerTenantMax) {
          throw new DomainError('limit_reached', `A tenant has at most ${appsPerTenantMax} apps.`)
        }
        await stores.apps.insert(stored)
        await report(stores, caller, 'app.created', stored.app)
      })
    } catch (error) {
      if (takenKey(error) === undefined) throw error
      throw new DomainError('already_exists', 'An app of this name exists.')
    }
    return stored.app
  }

  /**
   * Replaces all of an app: what the draft does not have is cleared.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `app_not_found`; `invalid_request` as {@link create}.
   */
  async update(caller: Caller, tenantId: string, name: string, draft: AppDraft): Promise<App> {
    caller.requireIn(tenantId, 'ast:write')
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    const known = isAppName(name) ? await this.#storage.read.apps.find(tenantId, name) : undefined
    if (known === undefined) throw appNotFound()
    const stored = await this.#prepare(tenantId, name, draft)
    await this.#storage.transaction(async (stores) => {
      await stores.tenants.requireFor(caller, tenantId)
      if (!(await stores.apps.replace(stored))) throw appNotFound()
      await report(stores, caller, 'app.updated', stored.app)
    })
    return stored.app
  }

  /**
   * Deletes an app with all that is its own: its versions, and the assignments of policies to it.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `app_not_found`.
   */
  async delete(caller: Caller, tenantId: string, name: string): Promise<void> {
    caller.requireIn(tenantId, 'ast:write')
    await this.#storage.transaction(async (stores) => {
      await stores.tenants.requireFor(caller, tenantId)
      // First of all, so that whoever adds something to the app waits for this, or this for them.
      if (!isAppName(name) || !(await stores.apps.remove(tenantId, name))) throw appNotFound()
      const versions = await stores.appVersions.removeOfApp(tenantId, name)
      const assignments = await stores.policies.unassignApp(tenantId, name)
      await stores.journal.append(caller, tenantId, {
        action: 'app.deleted',
        target: { type: 'app', id: name },
        detail: { versions, assignments },
      })
    })
  }

  async pushCredentials(tenantId: string, appName: string): Promise<PushCredentials | undefined> {
    if (!isAppName(appName)) return undefined
    const stored = await this.#storage.read.apps.find(tenantId, appName)
    if (stored === undefined) return undefined
    const { app } = stored
    const members = { ...app.configuration, ...(await this.#openSecrets(stored)) }
    const { revision, categories } = app
    return { revision, categories, ...usableCredentials(members) }
  }

  async #prepare(tenantId: string, name: string, draft: AppDraft): Promise<StoredApp> {
    const check = new MemberCheck()
    if (!isAppName(name)) check.add('path:appName', 'bad_format', 'must have no control characters')
    const members = presentMembers(draft, check)
    // What is too long is not read.
    check.finish()
    const { services, unusable } = readPush(members, check)
    check.finish()
    const { configuration, secrets } = splitMembers(members)
    const nowMs = this.#clock()
    const app: App = {
      tenantId,
      name,
      revision: this.#nextId(),
      categories: draft.categories,
      services,
      configuration,
      unusable,
      createdAtMs: nowMs,
      updatedAtMs: nowMs,
    }
    const isEmpty = Object.keys(secrets).length === 0
    const plain = Buffer.from(JSON.stringify(secrets))
    const sealedCredentials = isEmpty ? null : await this.#vault.seal(secretPlace(app), plain)
    return { app, sealedCredentials }
  }

  async #view(caller: Caller, stored: StoredApp): Promise<AppView> {
    const mayChange = caller.has('ast:write')
    return { app: stored.app, secrets: mayChange ? await this.#openSecrets(stored) : undefined }
  }

  async #openSecrets({ app, sealedCredentials }: StoredApp): Promise<PushSecrets> {
    if (sealedCredentials === null) return {}
    const plain = await this.#vault.open(secretPlace(app), sealedCredentials)
    return JSON.parse(Buffer.from(plain).toString()) as PushSecrets
  }
}

function secretPlace({ tenantId, name }: App) {
  return { tenantId, table: 'app', row: name, column: 'sealed_credentials' } as const
}

/** Of the push configuration only for which services there is one. */
async function report(
  { journal }: Stores,
  caller: Caller,
  action: string,
  { tenantId, name, categories, services, unusable }: App,
): Promise<void> {
  await journal.append(caller, tenantId, {
    action,
    target: { type: 'app', id: name },
    detail: { categories: [...categories], services: [...services], unusable: [...unusable] },
  })
}
