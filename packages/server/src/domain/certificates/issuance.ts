import { signFrame } from '@countersign/protocol/certificate/certificate.ts'
import { readName } from '@countersign/protocol/certificate/name.ts'
import type { KeyCustody } from '#custody/key-custody.ts'
import type { Randomness } from '#custody/randomness.ts'
import { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import type { Storage, Stores } from '../storage.ts'
import type { SigningKey } from '../tenants/signing-key-store.ts'
import type { IdSource } from '../ulid.ts'
import { shardSize } from './certificate.ts'
import { type DraftIssuer, draftCertificate, LintError } from './certificate-drafts.ts'
import { nativeCertificate } from './certificate-form.ts'
import { type ClaimedRequest, claimedAtOnce } from './issuance-store.ts'
import { type Issuer, rootId } from './issuer.ts'
import type { PkiUrls } from './pki-urls.ts'
import {
  draftIssuerOf,
  keyHashesOf,
  type RootService,
  signingKeyOf,
  spkiOf,
} from './root-service.ts'

/** After this time a request is taken up by somebody else. */
const claimMs = 30_000
/** How long a request waits before it asks again whether its signer has a certificate. */
const waitMs = 1_000

export interface IssuanceObserver {
  /** Something was not issued; it is tried again, or the request is FAILED. */
  issuanceFailed(error: unknown): void
}

/** A request with everything that is needed to sign. */
interface Job {
  readonly request: ClaimedRequest
  readonly issuer: Issuer
  readonly draftIssuer: DraftIssuer
  readonly issuerKey: SigningKey
  readonly shard: number
  /** Of a TENANT_SIGNER: the signer itself, and its key if it has one. */
  readonly signer: Issuer | undefined
  readonly signerKey: SigningKey | undefined
}

/** What came of a job: to be stored, or a failure to be told. */
interface Result {
  readonly job: Job
  readonly certificate: {
    readonly serial: string
    readonly der: Uint8Array
    readonly notBeforeMs: number
    readonly notAfterMs: number
  }
  readonly newKey: SigningKey | undefined
  readonly publicKey: Uint8Array
}

/**
 * Issues what was requested. Each request is claimed for a while by one worker of any process; the signature is made
 * between two transactions; the second one stores it only if the request is still wanted.
 */
export class Issuance {
  readonly #storage: Storage
  readonly #custody: KeyCustody
  readonly #roots: RootService
  readonly #urls: PkiUrls
  readonly #randomness: Randomness
  readonly #clock: Clock
  readonly #nextId: IdSource
  readonly #observer: IssuanceObserver
  #isStopped = false
  #isWanted = false
  #running: Promise<void> | undefined

  constructor(dependencies: {
    storage: Storage
    custody: KeyCustody
    roots: RootService
    urls: PkiUrls
    randomness: Randomness
    clock: Clock
    nextId: IdSource
    observer: IssuanceObserver
  }) {
    this.#storage = dependencies.storage
    this.#custody = dependencies.custody
    this.#roots = dependencies.roots
    this.#urls = dependencies.urls
    this.#randomness = dependencies.randomness
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
    this.#observer = dependencies.observer
  }

  /** Something was requested: looks at once. Nobody waits for it. */
  wake(): void {
    this.#isWanted = true
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
  }

  /** Issues what is due, of this process and of others that stopped. To be called every second. */
  async issueDue(): Promise<void> {
    await this.#running
    if (this.#isStopped || !(await this.#storage.read.pki.issuance.isAnyDue(this.#clock()))) return
    this.wake()
    await this.#running
  }

  /** Ends after the batch that is running; what waits stays in the queue. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#running
  }

  async #run(): Promise<void> {
    try {
      while (this.#isWanted && !this.#isStopped) {
        this.#isWanted = false
        while (!this.#isStopped && (await this.#issueBatch()));
      }
    } catch (error) {
      this.#observer.issuanceFailed(error)
    }
  }

  /** @returns whether there may be more. */
  async #issueBatch(): Promise<boolean> {
    const claim = this.#nextId()
    const nowMs = this.#clock()
    const untilMs = nowMs + claimMs
    const requests = await this.#storage.transaction(({ pki: { issuance } }) =>
      issuance.claimDue({ nowMs, untilMs, claim }),
    )
    if (requests.length === 0) return false
    for (const tenantId of new Set(requests.map((request) => request.tenantId))) {
      await this.#ensureRoot(tenantId, requests)
    }
    const jobs = await this.#storage.transaction((stores) => this.#plan(stores, requests, claim))
    const results = await Promise.all(jobs.map((job) => this.#sign(job)))
    const signed = results.filter((result) => result !== undefined)
    if (signed.length > 0) {
      await this.#storage.transaction((stores) => this.#store(stores, signed, claim))
    }
    // A signer that was issued lets others go on.
    return requests.length === claimedAtOnce || signed.some(({ job }) => job.signer !== undefined)
  }

  async #ensureRoot(tenantId: string, requests: readonly ClaimedRequest[]): Promise<void> {
    const needsRoot = requests.some(
      (request) => request.tenantId === tenantId && request.issuerId === rootId,
    )
    if (!needsRoot) return
    try {
      await this.#roots.ensure(tenantId)
    } catch (error) {
      this.#observer.issuanceFailed(error)
    }
  }

  /** Decides for each request who issues it, gives it a place in the lists, and ends those that cannot be issued. */
  async #plan(stores: Stores, requests: readonly ClaimedRequest[], claim: string): Promise<Job[]> {
    const jobs: Job[] = []
    const groups = Map.groupBy(requests, ({ tenantId, issuerId }) => `${tenantId}\n${issuerId}`)
    for (const group of groups.values()) {
      const [first] = group
      if (first === undefined) continue
      const { tenantId } = first
      const issuer = await this.#issuerOf(stores, first)
      if (issuer === undefined) {
        for (const request of group) await this.#fail(stores, request, 'The signer was revoked.')
        continue
      }
      const draftIssuer = draftIssuerOf(issuer)
      const issuerKey =
        issuer.kid === undefined ? undefined : await stores.signingKeys.find(tenantId, issuer.kid)
      if (draftIssuer === undefined || issuerKey === undefined) {
        const dueAtMs = this.#clock() + waitMs
        for (const { id } of group)
          await stores.pki.issuance.putBack({ tenantId, id, claim, dueAtMs })
        continue
      }
      const number = await stores.pki.issuers.takeNumbers(tenantId, issuer.id, group.length)
      for (const [index, request] of group.entries()) {
        if (request.issuerId !== issuer.id) {
          const { id } = request
          await stores.pki.issuance.reassign({ tenantId, id, claim, issuerId: issuer.id })
        }
        const signer =
          request.profile === 'TENANT_SIGNER'
            ? await stores.pki.issuers.find(tenantId, request.id)
            : undefined
        if (request.profile === 'TENANT_SIGNER' && signer === undefined) continue
        const signerKey =
          signer?.kid === undefined
            ? undefined
            : await stores.signingKeys.find(tenantId, signer.kid)
        const shard = Math.floor(((number ?? 0) + index) / shardSize)
        jobs.push({ request, issuer, draftIssuer, issuerKey, shard, signer, signerKey })
      }
    }
    return jobs
  }

  /** The issuer that was asked; if it only verifies by now, the one that issues in its place. */
  async #issuerOf(
    { pki: { issuers } }: Stores,
    { tenantId, issuerId }: ClaimedRequest,
  ): Promise<Issuer | undefined> {
    const asked = await issuers.find(tenantId, issuerId)
    if (asked?.state === 'ROOT' || asked?.state === 'ACTIVE') return asked
    return asked?.state === 'RETIRED' ? issuers.findActive(tenantId) : undefined
  }

  async #sign(job: Job): Promise<Result | undefined> {
    const { request, issuer, draftIssuer, issuerKey, shard, signer, signerKey } = job
    const { tenantId } = request
    const nowMs = this.#clock()
    try {
      if (draftIssuer.notAfterMs <= nowMs) {
        await this.#giveUp(request, 'The signer has expired.')
        return undefined
      }
      const key =
        signer === undefined || signerKey !== undefined
          ? undefined
          : await this.#custody.createKey('ES256')
      const publicKey = request.publicKey ?? key?.publicKey ?? spkiOf(signerKey)
      const draft = draftCertificate(
        {
          profile: request.profile,
          subject:
            signer === undefined
              ? {
                  organization: tenantId,
                  commonName: request.deviceId ?? undefined,
                  userId: request.userId ?? undefined,
                }
              : readName(signer.subject),
          publicKey,
          issuer: draftIssuer,
          urls: this.#urls.of(tenantId, issuer.id, shard),
          nowMs,
        },
        this.#randomness,
      )
      const der = await signFrame(draft.tbs, (bytes) =>
        this.#custody.sign(tenantId, issuerKey, bytes),
      )
      const newKey = key && signingKeyOf(tenantId, key, await key.seal(tenantId), nowMs)
      return { job, certificate: { ...draft, der }, newKey, publicKey }
    } catch (error) {
      this.#observer.issuanceFailed(error)
      // Keys that are away come back: the request is due again when the claim ends.
      if (error instanceof LintError) {
        await this.#giveUp(request, 'The certificate would not fit its profile.')
      }
      return undefined
    }
  }

  async #store(stores: Stores, results: readonly Result[], claim: string): Promise<void> {
    const nowMs = this.#clock()
    for (const { job, certificate, newKey, publicKey } of results) {
      const { request, issuer, shard, signer } = job
      const { tenantId, id } = request
      const { serial, der, notBeforeMs, notAfterMs } = certificate
      if (signer !== undefined) {
        const present = await stores.pki.issuers.find(tenantId, id)
        if (present === undefined || present.state === 'REVOKED') {
          await this.#fail(stores, request, 'The signer was revoked.')
          continue
        }
      }
      const finished = { tenantId, id, claim, serial, notAfterMs, nowMs }
      if (!(await stores.pki.issuance.finish(finished))) continue
      if (signer !== undefined) {
        const kid = newKey?.kid ?? signer.kid ?? ''
        const keyHashes = keyHashesOf(publicKey)
        const own = { tenantId, id, kid, keyHashes, der, notBeforeMs, notAfterMs, nowMs }
        if (!(await stores.pki.issuers.setCertificate(own))) {
          throw new Error('A signer changed while its certificate was stored.')
        }
        if (newKey !== undefined) await stores.signingKeys.insert(newKey)
        await stores.pki.issuance.hasten({ tenantId, issuerId: id, nowMs })
      }
      await stores.pki.issuance.insertIssued({
        tenantId,
        serial,
        certificateId: id,
        issuerId: issuer.id,
        shard,
        der,
        notBeforeMs,
        notAfterMs,
        nowMs,
      })
      await this.#report(stores, request, { serial, issuerId: issuer.id, notAfterMs })
    }
  }

  async #report(
    stores: Stores,
    { tenantId, id, profile, userId, deviceId }: ClaimedRequest,
    { serial, issuerId, notAfterMs }: { serial: string; issuerId: string; notAfterMs: number },
  ): Promise<void> {
    await stores.journal.append(Caller.system(), tenantId, {
      action: 'certificate.issued',
      target: { type: 'certificate', id },
      ...(userId === null ? {} : { userId }),
      detail: {
        profile,
        issuer: issuerId,
        serialNumber: serial,
        deviceId,
        notAfter: new Date(notAfterMs).toISOString(),
      },
    })
    await stores.events.append(tenantId, {
      type: 'certificate.issued',
      data: async () => ({ certificate: await nativeOf(stores, tenantId, id) }),
    })
  }

  async #giveUp(request: ClaimedRequest, failure: string): Promise<void> {
    await this.#storage.transaction((stores) => this.#fail(stores, request, failure))
  }

  async #fail(stores: Stores, request: ClaimedRequest, failure: string): Promise<void> {
    const { tenantId, id, profile, userId } = request
    if (!(await stores.pki.certificates.fail({ tenantId, id, failure, nowMs: this.#clock() })))
      return
    await stores.journal.append(Caller.system(), tenantId, {
      action: 'certificate.failed',
      outcome: 'FAILURE',
      target: { type: 'certificate', id },
      ...(userId === null ? {} : { userId }),
      detail: { profile, failure },
    })
  }
}

async function nativeOf({ pki: { certificates } }: Stores, tenantId: string, id: string) {
  const certificate = await certificates.find(tenantId, id)
  if (certificate === undefined) throw new Error('A certificate vanished.')
  return nativeCertificate(certificate)
}
