import type { JWK } from 'jose'
import { sha256Hex } from '#custody/secrets.ts'
import type { JwsVerifier, Signer } from '#custody/signer.ts'
import type { Clock } from '../clock.ts'
import type { Storage } from '../storage.ts'
import type { SigningKey } from '../tenants/signing-key-store.ts'
import type { IdSource } from '../ulid.ts'
import { Caller, platformTenantId } from './caller.ts'
import { scopes as allScopes, type Scope } from './scopes.ts'

export const accessTokenLifeSeconds = 300
const tokenType = 'at+jwt'
const tokenLengthMax = 16_384
/** How long a process may go on with the keys that it knows. */
const keysKeptMs = 60_000
/** The clocks of two nodes may differ by this much. */
const clockSkewSeconds = 60
const keyLifeMs = 90 * 24 * 60 * 60 * 1000
const keptTokensMax = 2_000
const rotationLeaseName = 'oauth-key-rotation'
const rotationLeaseMs = 60_000

/** What an access token says (RFC 9068). */
export interface AccessTokenClaims {
  readonly accountId: string
  /** Null: of the platform. */
  readonly tenantId: string | null
  readonly scopes: readonly Scope[]
  /** Names the secret it was given for: the token ends with that secret. */
  readonly secretRef: string
  readonly issuedAtSeconds: number
  readonly expiresAtSeconds: number
  readonly id: string
}

/** Names a secret by its hash without telling the hash. */
export function secretRefOf(secretHash: string): string {
  return sha256Hex(`countersign-secret-ref-v1\n${secretHash}`).slice(0, 22)
}

/** Signs and checks access tokens, and keeps the keys for it. Whether an account may still use one is not decided here. */
export class AccessTokens {
  readonly #storage: Storage
  readonly #signer: Signer
  readonly #verifier: JwsVerifier
  readonly #publicUrl: () => string
  readonly #clock: Clock
  readonly #nextId: IdSource
  readonly #kept = new Map<string, AccessTokenClaims>()
  #keys: { readonly readAtMs: number; readonly keys: readonly SigningKey[] } | undefined

  constructor(dependencies: {
    storage: Storage
    signer: Signer
    verifier: JwsVerifier
    /** Issuer and audience; known once the server listens. */
    publicUrl: () => string
    clock: Clock
    nextId: IdSource
  }) {
    this.#storage = dependencies.storage
    this.#signer = dependencies.signer
    this.#verifier = dependencies.verifier
    this.#publicUrl = dependencies.publicUrl
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
  }

  /** The issuer, which is also the audience. */
  get issuer(): string {
    return this.#publicUrl()
  }

  /** A compact JWS that is valid for {@link accessTokenLifeSeconds}. */
  async create(account: {
    accountId: string
    tenantId: string | null
    scopes: readonly Scope[]
    secretRef: string
  }): Promise<string> {
    const key = (await this.#currentKeys()).find(({ retiredAtMs }) => retiredAtMs === null)
    if (key === undefined) throw new Error('There is no key for access tokens.')
    const iat = Math.floor(this.#clock() / 1000)
    const claims = {
      iss: this.issuer,
      sub: account.accountId,
      client_id: account.accountId,
      aud: this.issuer,
      scope: account.scopes.join(' '),
      tenant: account.tenantId,
      iat,
      exp: iat + accessTokenLifeSeconds,
      jti: this.#nextId(),
      secret_ref: account.secretRef,
    }
    const payload = Buffer.from(JSON.stringify(claims))
    return this.#signer.signCompact(platformTenantId, key, tokenType, payload)
  }

  /**
   * What a token says, if it is one of ours and alive.
   *
   * @returns undefined for any other text: wrong algorithm, type, key, issuer, audience, spelling or time.
   */
  async verify(token: string): Promise<AccessTokenClaims | undefined> {
    if (token.length > tokenLengthMax) return undefined
    const claims = this.#kept.get(token) ?? (await this.#verifySignature(token))
    if (claims === undefined) return undefined
    const nowSeconds = this.#clock() / 1000
    if (nowSeconds >= claims.expiresAtSeconds) {
      this.#kept.delete(token)
      return undefined
    }
    return claims.issuedAtSeconds > nowSeconds + clockSkewSeconds ? undefined : claims
  }

  /** Keys that others may check tokens with, newest first. */
  async publicKeys(): Promise<readonly JWK[]> {
    return (await this.#currentKeys()).map(({ publicJwk }) => publicJwk)
  }

  /** Signs with a new key from now on; the old one stays until the last token that it signed has expired. */
  async rotateKey(caller: Caller): Promise<void> {
    caller.require('platform:admin')
    const key = await this.#signer.createKey()
    const sealedPrivate = await key.seal(platformTenantId)
    await this.#storage.transaction(async ({ signingKeys, journal }) => {
      const nowMs = this.#clock()
      await signingKeys.insert({
        tenantId: platformTenantId,
        kid: key.kid,
        purpose: 'oauth',
        publicJwk: key.publicJwk,
        sealedPrivate,
        createdAtMs: nowMs,
        retiredAtMs: null,
      })
      await signingKeys.retireOthers(platformTenantId, 'oauth', { kid: key.kid, atMs: nowMs })
      await journal.append(caller, platformTenantId, {
        action: 'oauth-key.rotated',
        target: { type: 'signing-key', id: key.kid },
      })
    })
    this.#keys = undefined
  }

  /**
   * Rotates an old key and removes those that nobody needs any more; to be called by a timer, every minute or so.
   *
   * @param holder names this process; one of several does the work.
   */
  async maintainKeys(holder: string): Promise<void> {
    const nowMs = this.#clock()
    const keys = await this.#storage.read.signingKeys.list(platformTenantId, 'oauth')
    const active = keys.find(({ retiredAtMs }) => retiredAtMs === null)
    // A process may still sign with a key that another one has just retired.
    const neededMs = (accessTokenLifeSeconds + clockSkewSeconds) * 1000 + keysKeptMs
    const isDue = active !== undefined && nowMs > active.createdAtMs + keyLifeMs
    const isUseless = keys.some(({ retiredAtMs }) => retiredAtMs && retiredAtMs < nowMs - neededMs)
    if (!isDue && !isUseless) return
    const isOurs = await this.#storage.transaction(({ leases }) =>
      leases.hold({ name: rotationLeaseName, holder, nowMs, untilMs: nowMs + rotationLeaseMs }),
    )
    if (!isOurs) return
    if (isDue) await this.rotateKey(Caller.system())
    if (isUseless) {
      await this.#storage.transaction(({ signingKeys }) =>
        signingKeys.removeRetired(platformTenantId, 'oauth', nowMs - neededMs),
      )
      this.#keys = undefined
    }
  }

  async #verifySignature(token: string): Promise<AccessTokenClaims | undefined> {
    const verified =
      (await this.#verifier.verify(token, tokenType, await this.publicKeys())) ??
      (await this.#verifyWithFreshKeys(token))
    const claims = verified && readClaims(verified.payload, this.issuer)
    if (claims === undefined) return undefined
    if (this.#kept.size >= keptTokensMax) this.#kept.clear()
    this.#kept.set(token, claims)
    return claims
  }

  /** Another process may have rotated the key: looked at once a second, however many strange tokens come. */
  async #verifyWithFreshKeys(token: string): ReturnType<JwsVerifier['verify']> {
    if (this.#keys !== undefined && this.#clock() < this.#keys.readAtMs + 1000) return undefined
    const known = new Set((this.#keys?.keys ?? []).map(({ kid }) => kid))
    this.#keys = undefined
    const fresh = (await this.#currentKeys()).filter(({ kid }) => !known.has(kid))
    if (fresh.length === 0) return undefined
    const jwks = fresh.map(({ publicJwk }) => publicJwk)
    return this.#verifier.verify(token, tokenType, jwks)
  }

  async #currentKeys(): Promise<readonly SigningKey[]> {
    const nowMs = this.#clock()
    if (this.#keys !== undefined && nowMs < this.#keys.readAtMs + keysKeptMs) return this.#keys.keys
    const keys = await this.#storage.read.signingKeys.list(platformTenantId, 'oauth')
    this.#keys = { readAtMs: nowMs, keys }
    return keys
  }
}

function readClaims(payload: Uint8Array, issuer: string): AccessTokenClaims | undefined {
  const claims = parseObject(payload)
  const { iss, aud, sub, client_id, scope, tenant, iat, exp, jti, secret_ref } = claims ?? {}
  const isOurs =
    iss === issuer &&
    aud === issuer &&
    typeof sub === 'string' &&
    client_id === sub &&
    typeof scope === 'string' &&
    (tenant === null || typeof tenant === 'string') &&
    Number.isSafeInteger(iat) &&
    Number.isSafeInteger(exp) &&
    typeof jti === 'string' &&
    typeof secret_ref === 'string'
  if (!isOurs) return undefined
  const named = new Set(scope.split(' '))
  return {
    accountId: sub,
    tenantId: tenant,
    scopes: allScopes.filter((known) => named.has(known)),
    secretRef: secret_ref,
    issuedAtSeconds: Number(iat),
    expiresAtSeconds: Number(exp),
    id: jti,
  }
}

function parseObject(payload: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload))
    return typeof value === 'object' && value !== null
      ? (value as Readonly<Record<string, unknown>>)
      : undefined
  } catch {
    return undefined
  }
}
