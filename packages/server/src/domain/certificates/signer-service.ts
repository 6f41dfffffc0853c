import { writeName } from '@countersign/protocol/certificate/name.ts'
import type { KeyCustody } from '#custody/key-custody.ts'
import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import type { Storage, Stores } from '../storage.ts'
import type { IdSource } from '../ulid.ts'
import { authorityName } from './certificate-drafts.ts'
import type { IssuanceWakeup } from './certificate-service.ts'
import { isSigner, rootId, type Signer } from './issuer.ts'
import { requirePkiAdmin, requireSignerReader } from './pki-rights.ts'
import { endCertificate } from './revoking.ts'
import type { RootService } from './root-service.ts'

const nameLengthMax = 255
const generationMax = 1_000
const attemptsMax = 20
const defaultName = 'default'

/** A signer's id, or `current`: the ACTIVE one. */
export type SignerSpec = string

/** The authorities that issue a tenant's certificates: one of them is ACTIVE at most. */
export class SignerService {
  readonly #storage: Storage
  readonly #custody: KeyCustody
  readonly #roots: RootService
  readonly #issuance: IssuanceWakeup
  readonly #clock: Clock
  readonly #nextId: IdSource

  constructor(dependencies: {
    storage: Storage
    custody: KeyCustody
    roots: RootService
    issuance: IssuanceWakeup
    clock: Clock
    nextId: IdSource
  }) {
    this.#storage = dependencies.storage
    this.#custody = dependencies.custody
    this.#roots = dependencies.roots
    this.#issuance = dependencies.issuance
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
  }

  /**
   * Makes a signer and asks the root for its certificate, under the signer's id. It is ACTIVE at once; the one before is
   * RETIRED. Key and certificate come within moments.
   *
   * @param options.name absent: `signer-` and the generation. @param options.rotates false: refused while one is ACTIVE.
   * @throws DomainError `forbidden`, `tenant_not_found`, `invalid_request`; `already_exists`; `limit_reached`.
   */
  async create(
    caller: Caller,
    tenantId: string,
    { name, rotates = true }: { name?: string | undefined; rotates?: boolean } = {},
  ): Promise<Signer> {
    requirePkiAdmin(caller, tenantId)
    if (name !== undefined) requireName(name)
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      try {
        const signer = await this.#storage.transaction(async (stores) => {
          const active = await stores.pki.issuers.findActive(tenantId)
          if (active !== undefined && !rotates) {
            throw new DomainError('already_exists', 'The tenant has a signer.')
          }
          await stores.pki.issuers.retireActive(tenantId, this.#clock())
          const made = await this.#insert(stores, caller, tenantId, name)
          // Somebody made one at the same time; what was retired here is undone.
          if (made === undefined) throw new SignerRacedError()
          return made
        })
        this.#issuance.wake()
        return signer
      } catch (error) {
        if (!(error instanceof SignerRacedError)) throw error
      }
    }
    throw new DomainError('unavailable', 'Too many signers are being created.', {
      retryAfterSeconds: 1,
    })
  }

  /**
   * Makes the signer `default` in the running transaction, if the tenant never had one. Call `wake` of the issuance, or
   * leave it to the next second.
   */
  async ensureSigner(stores: Stores, caller: Caller, tenantId: string): Promise<void> {
    if ((await stores.pki.issuers.nextGeneration(tenantId)) > 0) return
    await this.#insert(stores, caller, tenantId, defaultName)
  }

  /**
   * @param spec a signer's id, or `current`: the ACTIVE one.
   * @throws DomainError `forbidden`, `tenant_not_found`, `signer_not_found`.
   */
  async get(caller: Caller, tenantId: string, spec: SignerSpec): Promise<Signer> {
    requireSignerReader(caller, tenantId)
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    return findSigner(this.#storage.read, tenantId, spec)
  }

  /**
   * The signer's certificate and the root's, DER.
   *
   * @throws DomainError as `get`; `state_conflict` while the certificate is not issued.
   */
  async chain(caller: Caller, tenantId: string, spec: SignerSpec): Promise<Uint8Array[]> {
    const { certificate } = await this.get(caller, tenantId, spec)
    if (certificate === undefined) {
      throw new DomainError('state_conflict', 'The signer has no certificate.')
    }
    return [certificate, await this.#roots.anchor(tenantId)]
  }

  /**
   * Asks for a new certificate for the same key.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `signer_not_found`; `state_conflict` while one is asked for, for
   *   a revoked signer, and, unless `ignoresNotIssued`, when none was ever issued.
   */
  async renew(
    caller: Caller,
    tenantId: string,
    spec: SignerSpec,
    { ignoresNotIssued = false }: { ignoresNotIssued?: boolean } = {},
  ): Promise<Signer> {
    requirePkiAdmin(caller, tenantId)
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    const renewed = await this.#storage.transaction(async (stores) => {
      const signer = await findSigner(stores, tenantId, spec)
      const { id } = signer
      if (signer.state === 'REVOKED')
        throw new DomainError('state_conflict', 'The signer is revoked.')
      if (signer.certificate === undefined && !ignoresNotIssued) {
        throw new DomainError('state_conflict', 'No certificate was issued yet.')
      }
      const again = { tenantId, id, issuerId: rootId, publicKey: null, nowMs: this.#clock() }
      if (!(await stores.pki.certificates.requestAgain(again))) {
        throw new DomainError('state_conflict', 'A certificate is asked for already.')
      }
      await this.#report(stores, caller, 'signer.renewed', signer)
      return signer
    })
    this.#issuance.wake()
    return renewed
  }

  /**
   * Ends a signer: its certificate is erased and on the root's list. Its key signs the last revocation lists, within seconds,
   * and is destroyed then, see `SignerClosing`. None takes its place.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `signer_not_found`; `state_conflict` when it is revoked.
   */
  async revoke(caller: Caller, tenantId: string, spec: SignerSpec): Promise<void> {
    requirePkiAdmin(caller, tenantId)
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    const signer = await this.#storage.transaction(async (stores) => {
      const found = await findSigner(stores, tenantId, spec)
      const nowMs = this.#clock()
      if (!(await stores.pki.issuers.revoke(tenantId, found.id, nowMs))) {
        throw new DomainError('state_conflict', 'The signer is revoked.')
      }
      await this.#endCertificate(stores, caller, found, nowMs)
      await this.#report(stores, caller, 'signer.revoked', found)
      return found
    })
    this.#forget(signer)
  }

  /**
   * Deletes a signer of which nobody ever asked for a certificate; its own is revoked.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `signer_not_found`; `in_use`.
   */
  async delete(caller: Caller, tenantId: string, spec: SignerSpec): Promise<void> {
    requirePkiAdmin(caller, tenantId)
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    const signer = await this.#storage.transaction(async (stores) => {
      const found = await findSigner(stores, tenantId, spec)
      if (!(await stores.pki.issuers.removeUnused(tenantId, found.id))) {
        await findSigner(stores, tenantId, spec)
        throw new DomainError('in_use', 'Certificates were requested from the signer.')
      }
      await this.#endCertificate(stores, caller, found, this.#clock())
      if (found.kid !== undefined) await stores.signingKeys.remove(tenantId, found.kid)
      await stores.pki.certificates.remove(tenantId, found.id)
      await this.#report(stores, caller, 'signer.deleted', found)
      return found
    })
    this.#forget(signer)
  }

  async #insert(
    stores: Stores,
    caller: Caller,
    tenantId: string,
    name: string | undefined,
  ): Promise<Signer | undefined> {
    const generation = await stores.pki.issuers.nextGeneration(tenantId)
    if (generation > generationMax) {
      throw new DomainError('limit_reached', 'The tenant has had too many signers.')
    }
    const id = this.#nextId()
    const nowMs = this.#clock()
    const isMade = await stores.pki.issuers.insert({
      tenantId,
      id,
      name: name ?? `signer-${generation}`,
      generation,
      state: 'ACTIVE',
      subject: writeName(authorityName(tenantId, `signer ${generation}`)),
      nowMs,
    })
    if (!isMade) return undefined
    await stores.pki.certificates.insert({
      tenantId,
      id,
      profile: 'TENANT_SIGNER',
      issuerId: rootId,
      userId: null,
      deviceId: null,
      publicKey: null,
      nowMs,
    })
    const signer = await findSigner(stores, tenantId, id)
    await this.#report(stores, caller, 'signer.created', signer)
    return signer
  }

  async #endCertificate(
    stores: Stores,
    caller: Caller,
    { tenantId, id }: Signer,
    nowMs: number,
  ): Promise<void> {
    const certificate = await stores.pki.certificates.find(tenantId, id)
    if (certificate !== undefined) {
      const reason = 'CESSATION_OF_OPERATION'
      const failure = 'The signer was revoked.'
      await endCertificate(stores, caller, certificate, { reason, failure, nowMs })
    }
  }

  #forget({ tenantId, kid }: Signer): void {
    if (kid !== undefined) this.#custody.forget(tenantId, kid)
  }

  async #report(
    { journal }: Stores,
    caller: Caller,
    action: string,
    { tenantId, id, name, generation }: Signer,
  ): Promise<void> {
    const target = { type: 'signer', id }
    await journal.append(caller, tenantId, { action, target, detail: { name, generation } })
  }
}

class SignerRacedError extends Error {
  override readonly name = 'SignerRacedError'
}

async function findSigner(
  { pki: { issuers } }: Stores,
  tenantId: string,
  spec: SignerSpec,
): Promise<Signer> {
  const found =
    spec === 'current' ? await issuers.findActive(tenantId) : await issuers.find(tenantId, spec)
  if (!isSigner(found)) throw new DomainError('signer_not_found', 'No such signer.')
  return found
}

function requireName(name: string): void {
  if (name !== '' && name.length <= nameLengthMax && !/\p{Cc}/u.test(name)) return
  throw new DomainError('invalid_request', 'The name is too short, too long, or no name.', {
    faults: [
      { pointer: '/name', code: 'bad_format', message: 'must be 1 to 255 printable characters' },
    ],
  })
}
