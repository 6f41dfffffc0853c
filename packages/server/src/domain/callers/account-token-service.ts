import { DomainError } from '../errors.ts'
import type { Storage } from '../storage.ts'
import type { AccountToken } from './account-token-store.ts'
import type { Caller } from './caller.ts'
import type { Scope } from './scopes.ts'
import type { ServiceAccountService } from './service-account-service.ts'

export interface AccountTokenDraft {
  readonly tenantId: string
  readonly scopes: readonly Scope[]
  readonly description: string
  readonly expiresAtMs: number | null
}

/** A token and its text, which is told only now. */
export interface IssuedToken {
  readonly token: AccountToken
  readonly secret: string
}

/**
 * Service accounts for those who think of tokens: an account is made with its secret, listed by page number, and disabled
 * when its token is revoked. The accounts are those of the native API, which sees and changes them too.
 */
export class AccountTokenService {
  readonly #storage: Storage
  readonly #serviceAccounts: ServiceAccountService
  readonly #scopes: readonly Scope[]

  /** @param dependencies.scopes what a token is for; accounts without any of them are none. */
  constructor(dependencies: {
    storage: Storage
    serviceAccounts: ServiceAccountService
    scopes: readonly Scope[]
  }) {
    this.#storage = dependencies.storage
    this.#serviceAccounts = dependencies.serviceAccounts
    this.#scopes = dependencies.scopes
  }

  /**
   * Makes an account of a tenant and its secret, three parts of hex digits.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `not_grantable`, `invalid_request`.
   */
  async issue(caller: Caller, draft: AccountTokenDraft): Promise<IssuedToken> {
    caller.requireIn(draft.tenantId, 'tenant:write')
    const { account, secret } = await this.#serviceAccounts.create(caller, {
      ...draft,
      secretForm: 'dotted',
    })
    const { id, ulid, description, scopes, createdAtMs, expiresAtMs } = account
    const token: AccountToken = {
      accountId: id,
      ulid,
      tenantId: draft.tenantId,
      description,
      scopes,
      createdAtMs,
      expiresAtMs,
      revokedAtMs: null,
    }
    return { token, secret }
  }

  /**
   * A page in order of creation, the first one being 1.
   *
   * @param filter.tenantId absent: the caller's own, or all for the platform.
   * @throws DomainError `forbidden`; `tenant_not_found` for another tenant.
   */
  async list(
    caller: Caller,
    filter: {
      readonly tenantId?: string | undefined
      readonly page: number
      readonly resultsPerPage: number
    },
  ): Promise<{ readonly items: readonly AccountToken[]; readonly totalCount: number }> {
    const { page, resultsPerPage } = filter
    const tenantId = filter.tenantId ?? caller.tenantId ?? undefined
    caller.require('tenant:write')
    if (tenantId !== undefined) caller.requireIn(tenantId, 'tenant:write')
    const { accountTokens } = this.#storage.read
    const wanted = { tenantId, scopes: this.#scopes }
    const totalCount = await accountTokens.count(wanted)
    const offset = (page - 1) * resultsPerPage
    const items =
      offset < totalCount ? await accountTokens.list(wanted, { offset, limit: resultsPerPage }) : []
    return { items, totalCount }
  }

  /**
   * Disables the account; doing so again changes nothing.
   *
   * @throws DomainError `forbidden`; `account_not_found`, also for another tenant's.
   */
  async revoke(caller: Caller, ulid: string): Promise<void> {
    caller.require('tenant:write')
    const token = await this.#storage.read.accountTokens.find(ulid)
    const isVisible =
      token !== undefined && (caller.isPlatform || caller.tenantId === token.tenantId)
    if (!isVisible || !token.scopes.some((scope) => this.#scopes.includes(scope))) {
      throw new DomainError('account_not_found', 'No such token.')
    }
    if (token.revokedAtMs !== null) return
    await this.#serviceAccounts.update(caller, token.accountId, { enabled: false })
  }
}
