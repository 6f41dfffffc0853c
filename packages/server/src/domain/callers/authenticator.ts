import { secretsEqual, sha256Hex } from '#custody/secrets.ts'
import { isAddressIn } from '../address-range.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import type { Storage } from '../storage.ts'
import { isPlainId } from '../tenants/tenant.ts'
import { type AccessTokenClaims, type AccessTokens, secretRefOf } from './access-tokens.ts'
import { Caller } from './caller.ts'
import type { Credential } from './credential-store.ts'
import type { FailureLimiter } from './failure-limiter.ts'
import type { Origin, RefusalJournal, RefusalReason } from './refusal-journal.ts'
import { expandScopes, type Scope } from './scopes.ts'
import { bootstrapAccountId } from './service-account.ts'
import type { UsageRecorder } from './usage-recorder.ts'

/** What a request shows to say who it comes from; a surface fills in what its convention allows. */
export interface PresentedCredentials {
  /** Secret of an account, or an access token. */
  readonly bearer?: string | undefined
  readonly apiKey?: string | undefined
  readonly basic?: { readonly id: string; readonly secret: string } | undefined
  /** SHA-256 of the TLS client certificate, lower-case hex. */
  readonly certificateThumbprint?: string | undefined
}

/** Who a credential stands for. */
export interface Principal {
  readonly caller: Caller
  /** Hash of the secret that was shown; undefined for what is no secret. */
  readonly secretHash: string | undefined
}

/** A presentation as it was looked up: whose it is, or might be, and why it does not count. */
export interface Finding {
  readonly credential: Credential
  readonly refusal?: RefusalReason | undefined
  /** Of the account; of an access token those that both have. */
  readonly scopes: readonly Scope[]
  /** Of the secret that was shown. */
  readonly secretHash?: string
  /** What an access token says. */
  readonly claims?: AccessTokenClaims
}

/** Longer than any secret that was ever given out. */
const secretLengthMax = 512

/**
 * Says who calls (platform.md, section 2). State, expiry, addresses and scopes of the account are read at every request;
 * for a secret that is one indexed read.
 */
export class Authenticator {
  readonly #storage: Storage
  readonly #accessTokens: AccessTokens
  readonly #limiter: FailureLimiter
  readonly #refusals: RefusalJournal
  readonly #usage: UsageRecorder
  readonly #clock: Clock
  readonly #adminTokenHash: string | undefined

  constructor(dependencies: {
    storage: Storage
    accessTokens: AccessTokens
    limiter: FailureLimiter
    refusals: RefusalJournal
    usage: UsageRecorder
    clock: Clock
    /** While set it is the one secret of the account `bootstrap`; what is stored for it does not count. */
    adminToken: string | undefined
  }) {
    this.#storage = dependencies.storage
    this.#accessTokens = dependencies.accessTokens
    this.#limiter = dependencies.limiter
    this.#refusals = dependencies.refusals
    this.#usage = dependencies.usage
    this.#clock = dependencies.clock
    const { adminToken } = dependencies
    this.#adminTokenHash = adminToken === undefined ? undefined : sha256Hex(adminToken)
  }

  /**
   * Makes a caller of what was presented. Several presentations must stand for the same account.
   *
   * @throws DomainError `unauthenticated`, whatever is wrong; `too_many_requests` for an address that failed too often.
   */
  async authenticate(presented: PresentedCredentials, origin: Origin): Promise<Caller> {
    return (await this.identify(presented, origin)).caller
  }

  /** As {@link authenticate}, for those who give out access tokens. */
  async identify(presented: PresentedCredentials, origin: Origin): Promise<Principal> {
    if (Object.values(presented).every((shown) => shown === undefined)) throw unauthenticated()
    this.#limiter.requireRoom(origin.address)
    const looked = await this.#lookUp(presented)
    const findings = looked.filter((finding) => finding !== undefined)
    const nowMs = this.#clock()
    const [first] = findings
    const isAccepted =
      findings.length === looked.length &&
      findings.every(
        (finding) =>
          finding.credential.accountId === first?.credential.accountId &&
          this.#refusalOf(finding, origin, nowMs) === undefined,
      )
    if (first === undefined || !isAccepted) return this.#refuse(findings, origin, nowMs)
    this.#usage.note(first.credential, nowMs)
    return { caller: callerOf(first.credential, findings, origin), secretHash: first.secretHash }
  }

  /**
   * Finds what a token or a secret stands for, without any judgement about where it comes from.
   *
   * @returns undefined unless it would be accepted now from an allowed address.
   */
  async inspect(bearer: string): Promise<Finding | undefined> {
    const finding = await this.#findBearer(bearer)
    if (finding === undefined) return undefined
    const anywhere = { address: undefined }
    return this.#refusalOf(finding, anywhere, this.#clock()) === undefined ? finding : undefined
  }

  /** One entry for each presentation; undefined where nobody has such a credential. */
  async #lookUp(presented: PresentedCredentials): Promise<readonly (Finding | undefined)[]> {
    const { bearer, apiKey, basic, certificateThumbprint } = presented
    const findings: (Finding | undefined)[] = []
    if (bearer !== undefined) findings.push(await this.#findBearer(bearer))
    if (apiKey !== undefined) findings.push(await this.#findSecret(apiKey))
    if (basic !== undefined) findings.push(await this.#findBasic(basic))
    if (certificateThumbprint !== undefined) {
      findings.push(await this.#findCertificate(certificateThumbprint))
    }
    return findings
  }

  #findBearer(bearer: string): Promise<Finding | undefined> {
    return looksLikeToken(bearer) ? this.#findTokenOrSecret(bearer) : this.#findSecret(bearer)
  }

  async #findTokenOrSecret(bearer: string): Promise<Finding | undefined> {
    return (await this.#findToken(bearer)) ?? (await this.#findSecret(bearer))
  }

  async #findSecret(secret: string): Promise<Finding | undefined> {
    if (secret.length > secretLengthMax) return undefined
    const hash = sha256Hex(secret)
    const isAdminToken =
      this.#adminTokenHash !== undefined && secretsEqual(hash, this.#adminTokenHash)
    const { credentials } = this.#storage.read
    const credential = isAdminToken
      ? await credentials.findById(bootstrapAccountId)
      : await credentials.findBySecret(hash)
    return credential && this.#compareSecret(credential, hash)
  }

  async #findBasic({ id, secret }: { id: string; secret: string }): Promise<Finding | undefined> {
    if (!isPlainId(id) || secret.length > secretLengthMax) return undefined
    const hash = sha256Hex(secret)
    const credential = await this.#storage.read.credentials.findById(id)
    return credential && this.#compareSecret(credential, hash)
  }

  async #findCertificate(thumbprint: string): Promise<Finding | undefined> {
    if (!/^[0-9a-f]{64}$/.test(thumbprint)) return undefined
    const credential = await this.#storage.read.credentials.findByCertificate(thumbprint)
    return credential && { credential, scopes: credential.scopes }
  }

  async #findToken(token: string): Promise<Finding | undefined> {
    const claims = await this.#accessTokens.verify(token)
    if (claims === undefined) return undefined
    const { accountId, tenantId, secretRef } = claims
    const credential = await this.#storage.read.credentials.findById(accountId)
    if (credential?.tenantId !== tenantId) return undefined
    const isAlive = this.#hashesOf(credential).some((hash) =>
      secretsEqual(secretRefOf(hash), secretRef),
    )
    return {
      credential,
      scopes: intersect(claims.scopes, credential.scopes),
      claims,
      refusal: isAlive ? undefined : 'secret_replaced',
    }
  }

  #compareSecret(credential: Credential, hash: string): Finding {
    const fits = this.#hashesOf(credential).some((valid) => secretsEqual(valid, hash))
    const { scopes, previousSecretHash } = credential
    if (fits) return { credential, scopes, secretHash: hash }
    const wasValid = previousSecretHash !== null && secretsEqual(previousSecretHash, hash)
    return { credential, scopes, refusal: wasValid ? 'secret_replaced' : 'wrong_secret' }
  }

  /** Of the secrets that are valid now. */
  #hashesOf(credential: Credential): readonly string[] {
    const isBootstrap = credential.accountId === bootstrapAccountId && credential.tenantId === null
    if (isBootstrap && this.#adminTokenHash !== undefined) return [this.#adminTokenHash]
    const { secretHash, previousSecretHash, previousValidUntilMs } = credential
    const isInGrace = previousValidUntilMs !== null && this.#clock() < previousValidUntilMs
    return previousSecretHash !== null && isInGrace
      ? [secretHash, previousSecretHash]
      : [secretHash]
  }

  /** @param address undefined: not asked for. */
  #refusalOf(
    { credential, refusal }: Finding,
    { address }: { readonly address: string | null | undefined },
    nowMs: number,
  ): RefusalReason | undefined {
    if (refusal !== undefined) return refusal
    const { enabled, expiresAtMs, allowedAddresses, tenantIsActive } = credential
    if (!enabled) return 'disabled'
    if (expiresAtMs !== null && expiresAtMs <= nowMs) return 'expired'
    if (!tenantIsActive) return 'tenant_disabled'
    if (address === undefined || allowedAddresses.length === 0) return undefined
    const isAllowed = address !== null && isAddressIn(allowedAddresses, address)
    return isAllowed ? undefined : 'address_not_allowed'
  }

  async #refuse(findings: readonly Finding[], origin: Origin, nowMs: number): Promise<never> {
    this.#limiter.count(origin.address)
    for (const finding of findings) {
      const reason = this.#refusalOf(finding, origin, nowMs) ?? 'credentials_conflict'
      const { homeId, accountId: id } = finding.credential
      await this.#refusals.report({
        homeId,
        target: { type: 'service-account', id },
        reason,
        origin,
      })
    }
    throw unauthenticated()
  }
}

function callerOf(credential: Credential, findings: readonly Finding[], origin: Origin): Caller {
  const [scopes = [], ...others] = findings.map((finding) => finding.scopes)
  return new Caller({
    type: 'SERVICE_ACCOUNT',
    id: credential.accountId,
    tenantId: credential.tenantId,
    // Of several presentations of one account the narrowest counts.
    scopes: others.reduce(intersect, scopes),
    settingsVersion: credential.settingsVersion,
    ...origin,
  })
}

/** What both lists give, implied scopes included. */
function intersect(one: readonly Scope[], other: readonly Scope[]): readonly Scope[] {
  const allowed = expandScopes(other)
  return [...expandScopes(one)].filter((scope) => allowed.has(scope))
}

/** The beginning of every compact JWS is that of a JSON object in base64url. */
function looksLikeToken(text: string): boolean {
  return text.startsWith('eyJ') && text.split('.', 4).length === 3
}

function unauthenticated(): DomainError {
  return new DomainError('unauthenticated', 'No valid credential.')
}
