import type { Caller } from '../callers/caller.ts'
import type { Storage } from '../storage.ts'
import type { SettingsService } from '../tenants/settings-service.ts'
import { idScheme } from './identifier.ts'
import type { User } from './user.ts'
import { userNotFound } from './user-service.ts'

/** Names of users as the tenant's AST callers use them: by the schemes of `settings.ast.userSchemes`, in their order. */
export class UserSchemeService {
  readonly #storage: Storage
  readonly #settings: SettingsService
  readonly #clock: () => number

  constructor(dependencies: { storage: Storage; settings: SettingsService; clock: () => number }) {
    this.#storage = dependencies.storage
    this.#settings = dependencies.settings
    this.#clock = dependencies.clock
  }

  /**
   * The user id; the first scheme in which somebody has the name decides. Undefined for nobody.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`.
   */
  async find(caller: Caller, tenantId: string, name: string): Promise<string | undefined> {
    const schemes = await this.#schemesFor(caller, tenantId)
    return this.#follow(tenantId, schemes, name)
  }

  /**
   * The user id behind a name that a caller once wrote down and the server now compares; undefined for nobody.
   *
   * @throws DomainError `tenant_not_found`.
   */
  async idOf(tenantId: string, name: string): Promise<string | undefined> {
    const { userSchemes } = (await this.#settings.settingsOf(tenantId)).ast
    return this.#follow(tenantId, userSchemes, name)
  }

  /** @throws DomainError `user_not_found` for nobody; `forbidden`, `tenant_not_found`. */
  async get(caller: Caller, tenantId: string, name: string): Promise<string> {
    const userId = await this.find(caller, tenantId, name)
    if (userId === undefined) throw userNotFound()
    return userId
  }

  /**
   * The name that leads to this user and to nobody else: the first that the user has in the order of the schemes. The id
   * where no scheme has one.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`.
   */
  async nameOf(caller: Caller, tenantId: string, userId: string): Promise<string> {
    return this.#nameIn(await this.#schemesFor(caller, tenantId), tenantId, userId)
  }

  /** As {@link nameOf}, where no caller asks: what the tenant's own receivers are told. @throws DomainError `tenant_not_found`. */
  async nameToldOf(tenantId: string, userId: string): Promise<string> {
    const { ast } = await this.#settings.settingsOf(tenantId)
    return this.#nameIn(ast.userSchemes, tenantId, userId)
  }

  async #nameIn(schemes: readonly string[], tenantId: string, userId: string): Promise<string> {
    if (schemes[0] === idScheme) return userId
    const user = await this.#storage.read.userViews.find(tenantId, userId, this.#clock())
    if (user === undefined) return userId
    for (const name of schemes.flatMap((scheme) => namesIn(scheme, user))) {
      // Somebody else may have it in an earlier scheme.
      if ((await this.#follow(tenantId, schemes, name)) === userId) return name
    }
    return userId
  }

  async #schemesFor(caller: Caller, tenantId: string): Promise<readonly string[]> {
    caller.requireIn(tenantId, 'ast:read')
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    return (await this.#settings.settingsFor(caller, tenantId)).ast.userSchemes
  }

  async #follow(
    tenantId: string,
    schemes: readonly string[],
    value: string,
  ): Promise<string | undefined> {
    for (const scheme of schemes) {
      const id = await this.#storage.read.userResolver.findUserId(tenantId, { scheme, value })
      if (id !== undefined) return id
    }
    return undefined
  }
}

/** What the user may be called in a scheme. */
function namesIn(scheme: string, user: User): string[] {
  if (scheme === idScheme) return [user.id]
  const values = user.identifiers.filter((one) => one.scheme === scheme).map(({ value }) => value)
  if (scheme !== 'login') return values
  return [...values, user.loginName, `${user.domain}\\${user.loginName}`]
}
