import { createPublicKey, type JsonWebKey } from 'node:crypto'
import type { Caller } from '../callers/caller.ts'
import type { CustomerKeys } from '../certificates/customer-keys.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import type { Storage } from '../storage.ts'
import type { CustomerJwts } from './customer-jwt.ts'
import { findJwtFlaw, type JwtFlaw } from './customer-jwt-check.ts'

/** A public key of a customer as verifiers get it. */
export interface PublicCustomerKey {
  readonly kid: string
  readonly n: string
  readonly e: string
}

/** What verifiers of a customer's JWTs may ask. */
export class CustomerJwtService {
  readonly #storage: Storage
  readonly #keys: CustomerKeys
  readonly #jwts: CustomerJwts
  readonly #clock: Clock

  constructor(dependencies: {
    storage: Storage
    customerKeys: CustomerKeys
    jwts: CustomerJwts
    clock: Clock
  }) {
    this.#storage = dependencies.storage
    this.#keys = dependencies.customerKeys
    this.#jwts = dependencies.jwts
    this.#clock = dependencies.clock
  }

  /**
   * Every key that may have signed a JWT of the customer, the present one first. Open to all.
   *
   * @throws DomainError `tenant_not_found`.
   */
  async keySet(tenantId: string): Promise<PublicCustomerKey[]> {
    const active = await this.#keys.active(tenantId)
    const all = await this.#keys.list(tenantId)
    const former = all.filter(({ kid }) => kid !== active.kid)
    return [active, ...former].map(({ kid, publicJwk: { n = '', e = '' } }) => ({ kid, n, e }))
  }

  /**
   * The present key as SubjectPublicKeyInfo in PEM, with a line feed at the end of each line.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`.
   */
  async publicKeyPem(caller: Caller, tenantId: string): Promise<string> {
    caller.requireIn(tenantId, 'keyless:backend')
    const { publicJwk } = await this.#keys.active(tenantId)
    const { n = '', e = '' } = publicJwk
    const key = createPublicKey({ key: { kty: 'RSA', n, e }, format: 'jwk' })
    return key.export({ type: 'spki', format: 'pem' }).toString()
  }

  /**
   * Whether the server has signed a JWT for the customer, and why not. A negative answer is one; nothing is recorded.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`; `invalid_request` for what is no JWS at all.
   */
  async verify(
    caller: Caller,
    tenantId: string,
    { jwt, ignoresExpiry }: { jwt: string; ignoresExpiry: boolean },
  ): Promise<{ flaw: JwtFlaw | undefined }> {
    caller.requireIn(tenantId, 'keyless:backend')
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    const keys = new Map<string, JsonWebKey>()
    for (const { kid, publicJwk } of await this.#keys.list(tenantId)) {
      keys.set(kid, publicJwk)
    }
    const issuer = this.#jwts.issuerOf(tenantId)
    const flaw = findJwtFlaw(jwt, { keys, issuer, nowMs: this.#clock(), ignoresExpiry })
    if (flaw !== 'malformed') return { flaw }
    throw new DomainError('invalid_request', 'The text is no compact JWS with JSON inside.')
  }
}
