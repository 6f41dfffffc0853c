import type { JWK } from 'jose'
import { DomainError } from '../errors.ts'
import { type AccessTokens, accessTokenLifeSeconds, secretRefOf } from './access-tokens.ts'
import type { Authenticator, Principal } from './authenticator.ts'
import type { Caller } from './caller.ts'
import { scopes as allScopes, expandScopes, type Scope } from './scopes.ts'

export interface IssuedToken {
  readonly accessToken: string
  readonly expiresInSeconds: number
  readonly scopes: readonly Scope[]
}

/** What a token or a secret stands for (RFC 7662). A secret has no times of its own. */
export interface TokenDescription {
  readonly accountId: string
  readonly tenantId: string | null
  readonly scopes: readonly Scope[]
  readonly issuer: string
  readonly times?: {
    readonly issuedAtSeconds: number
    readonly expiresAtSeconds: number
    readonly id: string
  }
}

/** Gives out access tokens for secrets, and describes them. */
export class OauthService {
  readonly #accessTokens: AccessTokens
  readonly #authenticator: Authenticator

  constructor(dependencies: { accessTokens: AccessTokens; authenticator: Authenticator }) {
    this.#accessTokens = dependencies.accessTokens
    this.#authenticator = dependencies.authenticator
  }

  /** Issuer of the tokens: the server's public URL. */
  get issuer(): string {
    return this.#accessTokens.issuer
  }

  /**
   * Gives a token to an account that has shown its secret.
   *
   * @param requested the scopes it shall have; undefined: all of the account.
   * @throws DomainError `not_grantable` for a scope that the account does not have, or that does not exist.
   */
  async issue(
    { caller, secretHash }: Principal,
    requested: readonly string[] | undefined,
  ): Promise<IssuedToken> {
    if (caller.id === null || secretHash === undefined) {
      throw new DomainError('unauthenticated', 'Only a secret can be exchanged for a token.')
    }
    const scopes = requested === undefined ? caller.granted : requestedScopes(caller, requested)
    const accessToken = await this.#accessTokens.create({
      accountId: caller.id,
      tenantId: caller.tenantId,
      scopes,
      secretRef: secretRefOf(secretHash),
    })
    return { accessToken, expiresInSeconds: accessTokenLifeSeconds, scopes }
  }

  /**
   * Describes a token or a secret of the caller's tenant; callers of the platform may ask about all.
   *
   * @returns undefined when it would not be accepted now, and for another tenant's.
   */
  async describe(caller: Caller, token: string): Promise<TokenDescription | undefined> {
    const finding = await this.#authenticator.inspect(token)
    if (finding === undefined) return undefined
    const { accountId, tenantId } = finding.credential
    if (!caller.isPlatform && caller.tenantId !== tenantId) return undefined
    return {
      accountId,
      tenantId,
      scopes: finding.scopes,
      issuer: this.issuer,
      ...(finding.claims === undefined ? {} : { times: finding.claims }),
    }
  }

  /** RFC 7517 keys of the tokens, newest first. */
  publicKeys(): Promise<readonly JWK[]> {
    return this.#accessTokens.publicKeys()
  }
}

function requestedScopes(caller: Caller, requested: readonly string[]): Scope[] {
  const allowed = expandScopes(caller.granted)
  const wanted = allScopes.filter((scope) => requested.includes(scope) && allowed.has(scope))
  if (requested.length === 0 || new Set(requested).size !== wanted.length) {
    throw new DomainError('not_grantable', 'The account does not have the scopes asked for.')
  }
  return wanted
}
