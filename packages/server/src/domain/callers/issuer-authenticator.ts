import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import type { Storage } from '../storage.ts'
import { isPlainId } from '../tenants/tenant.ts'
import { Caller } from './caller.ts'
import type { FailureLimiter } from './failure-limiter.ts'
import { findKey, type IssuerSignatures } from './issuer-key.ts'
import type { IssuerKeys } from './issuer-keys.ts'
import {
  algorithmOf,
  clientIdOf,
  flawOfClaims,
  flawOfHeader,
  type IssuerToken,
  readIssuerToken,
  scopesOf,
  subjectOf,
  type TokenFlaw,
} from './issuer-token.ts'
import type { Origin, RefusalJournal } from './refusal-journal.ts'
import type { Scope } from './scopes.ts'
import type { StandingIssuer, TrustedIssuer } from './trusted-issuer.ts'

export type IssuerTokenOutcome = 'accepted' | 'refused' | 'undecided'

/** Tenants that may trust one issuer and are looked through for a token that is shown to another one. */
const otherTenantsMax = 4

/**
 * Says who shows a JWT of a tenant's identity provider (platform.md, section 2). The issuer's row is read at every request: one that
 * is changed, disabled or deleted, in whatever process, shows at the next one.
 */
export class IssuerAuthenticator {
  readonly #storage: Storage
  readonly #keys: IssuerKeys
  readonly #signatures: IssuerSignatures
  readonly #limiter: FailureLimiter
  readonly #refusals: RefusalJournal
  readonly #ownIssuer: () => string
  readonly #clock: Clock
  readonly #tokenChecked: (outcome: IssuerTokenOutcome) => void

  constructor(dependencies: {
    storage: Storage
    issuerKeys: IssuerKeys
    signatures: IssuerSignatures
    limiter: FailureLimiter
    refusals: RefusalJournal
    /** Issuer of the server's own access tokens, which no tenant can take the place of. */
    ownIssuer: () => string
    clock: Clock
    tokenChecked: (outcome: IssuerTokenOutcome) => void
  }) {
    this.#storage = dependencies.storage
    this.#keys = dependencies.issuerKeys
    this.#signatures = dependencies.signatures
    this.#limiter = dependencies.limiter
    this.#refusals = dependencies.refusals
    this.#ownIssuer = dependencies.ownIssuer
    this.#clock = dependencies.clock
    this.#tokenChecked = dependencies.tokenChecked
  }

  /**
   * Makes a caller of a token of one of the tenant's issuers.
   *
   * @param tenantId as the request says it.
   * @returns undefined for what is no token of an issuer that is trusted here: it may be another kind of credential.
   * @throws DomainError `unauthenticated` for a token that does not count; `forbidden` for one that would count in
   *   another tenant; `unavailable` while its keys cannot be fetched; `too_many_requests`.
   */
  async authenticate(
    bearer: string,
    tenantId: string,
    origin: Origin,
  ): Promise<Caller | undefined> {
    const token = readIssuerToken(bearer)
    if (token === undefined || token.issuer === this.#ownIssuer()) return undefined
    this.#limiter.requireRoom(origin.address)
    const issuer = isPlainId(tenantId)
      ? await this.#storage.read.trustedIssuers.findByIssuer(tenantId, token.issuer)
      : undefined
    try {
      if (issuer === undefined) return await this.#refuseOfOthers(token, tenantId)
      const flaw = await this.#findFlaw(issuer, token)
      if (flaw !== undefined) return await this.#refuse(issuer, flaw, origin)
      const caller = await this.#callerOf(issuer, token, origin)
      this.#tokenChecked('accepted')
      return caller
    } catch (error) {
      if (error instanceof DomainError) {
        this.#tokenChecked(error.code === 'unavailable' ? 'undecided' : 'refused')
      }
      throw error
    }
  }

  /** In the order of what costs least. */
  async #findFlaw(
    issuer: StandingIssuer,
    token: IssuerToken,
  ): Promise<TokenFlaw | 'disabled' | 'tenant_disabled' | undefined> {
    if (!issuer.tenantIsActive) return 'tenant_disabled'
    if (!issuer.enabled) return 'disabled'
    const flaw = flawOfHeader(token)
    if (flaw !== undefined) return flaw
    const algorithm = algorithmOf(token, issuer)
    if (algorithm === undefined) return 'algorithm_not_allowed'
    const { kid } = token.header
    const key = await this.#keys.find(issuer, (keys) => findKey(keys, algorithm, kid))
    if (key === undefined) return 'unknown_key'
    return (
      (await this.#signatures.findFlaw(token, algorithm, key)) ??
      flawOfClaims(token, issuer, this.#clock())
    )
  }

  /** A credential that is good in another tenant is told so, as those of accounts are; nothing else is told of it. */
  async #refuseOfOthers(token: IssuerToken, tenantId: string): Promise<undefined> {
    const { trustedIssuers } = this.#storage.read
    const others = await trustedIssuers.listByIssuer(token.issuer, otherTenantsMax)
    for (const issuer of others) {
      if (issuer.tenantId === tenantId || (await this.#isFlawed(issuer, token))) continue
      throw new DomainError('forbidden', 'The credential belongs to another tenant.')
    }
  }

  async #isFlawed(issuer: StandingIssuer, token: IssuerToken): Promise<boolean> {
    try {
      return (await this.#findFlaw(issuer, token)) !== undefined
    } catch (error) {
      if (error instanceof DomainError && error.code === 'unavailable') return true
      throw error
    }
  }

  async #refuse(
    { tenantId, id }: TrustedIssuer,
    reason: TokenFlaw | 'disabled' | 'tenant_disabled',
    origin: Origin,
  ): Promise<never> {
    this.#limiter.count(origin.address)
    const target = { type: 'trusted-issuer', id } as const
    await this.#refusals.report({ homeId: tenantId, target, reason, origin })
    throw new DomainError('unauthenticated', 'No valid credential.')
  }

  async #callerOf(issuer: StandingIssuer, token: IssuerToken, origin: Origin): Promise<Caller> {
    const granted = scopesOf(token, issuer)
    const scopes: Scope[] = []
    for (const scope of granted) if (scope !== 'ast:client') scopes.push(scope)
    return new Caller({
      type: 'TRUSTED_ISSUER',
      id: `${issuer.id}:${subjectOf(token.claims)}`,
      tenantId: issuer.tenantId,
      scopes,
      isAstClient: granted.has('ast:client') && (await this.#speaksForClient(issuer, token)),
      settingsVersion: issuer.settingsVersion,
      ...origin,
    })
  }

  /** Where the issuer says which device it is, that one must be active and not locked. */
  async #speaksForClient(
    { tenantId, clientIdClaim }: TrustedIssuer,
    token: IssuerToken,
  ): Promise<boolean> {
    if (clientIdClaim === null) return true
    const deviceId = clientIdOf(token, clientIdClaim)
    if (deviceId === undefined || !isPlainId(deviceId)) return false
    const of = { tenantId, deviceId, userId: null }
    const standing = await this.#storage.read.deviceSessions.findStanding(of)
    return standing?.deviceStatus === 'ACTIVE' && standing.lockState !== 'LOCKED'
  }
}
