import { signFrame } from '@countersign/protocol/certificate/certificate.ts'
import { readName } from '@countersign/protocol/certificate/name.ts'
import type { KeyCustody } from '#custody/key-custody.ts'
import type { Randomness } from '#custody/randomness.ts'
import { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import type { Storage, Stores } from '../storage.ts'
import type { SigningKey } from '../tenants/signing-key-store.ts'
import type { IdSource } from '../ulid.ts'
import { draftCertificate, LintError, type LintedCertificate } from './certificate-drafts.ts'
import { nativeCertificate } from './certificate-form.ts'
import { failRequest, type Job, planJobs, signerRevoked } from './issuance-plan.ts'
import { type ClaimedRequest, claimedAtOnce } from './issuance-store.ts'
import type { PkiUrls } from './pki-urls.ts'
import { keyHashesOf, type RootService, signingKeyOf, spkiOf } from './root-service.ts'

/** After this time a request is taken up by somebody else. */
const claimMs = 30_000

export interface IssuanceObserver {
  /** Something was not issued; it is tried again, or the request is FAILED. */
  issuanceFailed(error: unknown): void
}

/** What will be signed. */
interface Draft {
  readonly job: Job
  readonly certificate: LintedCertificate
  readonly newKey: SigningKey | undefined
  readonly publicKey: Uint8Array
}

/** What came of a job: to be stored. */
interface Result extends Draft {
  readonly der: Uint8Array
}

/**
 * Issues what was requested. Each request is claimed for a while by one worker of any process; the signature is made
 * between two transactions; the second one stores it only if the request is still wanted. While it does, the next
 * requests are claimed, in the same commit where one writer makes them.
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
    let signed: readonly Result[] = []
    while (signed.length > 0 || (this.#isWanted && !this.#isStopped)) {
      const [jobs] = await Promise.all([this.#takeUp(), this.#keep(signed)])
      signed = await this.#signAll(jobs)
    }
  }

  /** Claims what is due and decides who issues it. */
  async #takeUp(): Promise<Job[]> {
    if (!this.#isWanted || this.#isStopped) return []
    this.#isWanted = false
    const claim = this.#nextId()
    const nowMs = this.#clock()
    const untilMs = nowMs + claimMs
    try {
      const { count, plan } = await this.#storage.transaction(async (stores) => {
        const requests = await stores.pki.issuance.claimDue({ nowMs, untilMs, claim })
        return { count: requests.length, plan: await planJobs(stores, requests, { claim, nowMs }) }
      })
      if (count === claimedAtOnce) this.#isWanted = true
      const { jobs, rootless } = plan
      return rootless.length === 0 ? jobs : [...jobs, ...(await this.#planLate(rootless, claim))]
    } catch (error) {
      this.#observer.issuanceFailed(error)
      return []
    }
  }

  /** Of tenants that are older than roots are. What finds none even now is due again when the claim ends. */
  async #planLate(requests: readonly ClaimedRequest[], claim: string): Promise<Job[]> {
    for (const tenantId of new Set(requests.map((request) => request.tenantId))) {
      try {
        await this.#roots.ensure(tenantId)
      } catch (error) {
        this.#observer.issuanceFailed(error)
      }
    }
    const nowMs = this.#clock()
    const { jobs } = await this.#storage.transaction((stores) =>
      planJobs(stores, requests, { claim, nowMs }),
    )
    return jobs
  }

  /** All are written before the first is signed: the threads that sign are woken less often. */
  async #signAll(jobs: readonly Job[]): Promise<Result[]> {
    const drafts = await Promise.all(
      jobs.map((job) => this.#attempt(job.request, () => this.#draft(job))),
    )
    const results = await Promise.all(
      drafts
        .filter((draft) => draft !== undefined)
        .map((draft) => this.#attempt(draft.job.request, () => this.#sign(draft))),
    )
    return results.filter((result) => result !== undefined)
  }

  async #attempt<T>(request: ClaimedRequest, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work()
    } catch (error) {
      this.#observer.issuanceFailed(error)
      // Keys that are away come back: the request is due again when the claim ends.
      const isForEver = error instanceof LintError
      if (isForEver) await this.#giveUp(request, 'The certificate would not fit its profile.')
      return undefined
    }
  }

  async #draft(job: Job): Promise<Draft | undefined> {
    const { request, issuer, draftIssuer, shard, signer, signerKey } = job
    const { tenantId } = request
    const nowMs = this.#clock()
    if (draftIssuer.notAfterMs <= nowMs) {
      await this.#giveUp(request, 'The signer has expired.')
      return undefined
    }
    const key =
      signer === undefined || signerKey !== undefined
        ? undefined
        : await this.#custody.createKey('ES256')
    const publicKey = request.publicKey ?? key?.publicKey ?? spkiOf(signerKey)
    const certificate = draftCertificate(
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
    const newKey = key && signingKeyOf(tenantId, key, await key.seal(tenantId), nowMs)
    return { job, certificate, newKey, publicKey }
  }

  async #sign(draft: Draft): Promise<Result> {
    const { request, issuerKey } = draft.job
    const der = await signFrame(draft.certificate.tbs, (bytes) =>
      this.#custody.sign(request.tenantId, issuerKey, bytes),
    )
    return { ...draft, der }
  }

  async #keep(signed: readonly Result[]): Promise<void> {
    if (signed.length === 0) return
    const hasSigner = signed.some(({ job }) => job.signer !== undefined)
    try {
      await this.#storage.transaction(
        async (stores) => {
          await Promise.all(signed.map((result) => this.#store(stores, result)))
        },
        // What is stored for a signer is more than one condition decides.
        { grouped: !hasSigner },
      )
      // A signer that was issued lets others go on.
      if (hasSigner) this.#isWanted = true
    } catch (error) {
      this.#observer.issuanceFailed(error)
    }
  }

  async #store(
    stores: Stores,
    { job, certificate, der, newKey, publicKey }: Result,
  ): Promise<void> {
    const { request, claim, issuer, shard, signer } = job
    const { tenantId, id } = request
    const { serial, notBeforeMs, notAfterMs } = certificate
    const nowMs = this.#clock()
    if (signer !== undefined) {
      const present = await stores.pki.issuers.find(tenantId, id)
      if (present === undefined || present.state === 'REVOKED') {
        await failRequest(stores, request, { failure: signerRevoked, nowMs })
        return
      }
    }
    const finished = { tenantId, id, claim, serial, notAfterMs, nowMs }
    if (!(await stores.pki.issuance.finish(finished))) return
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
    const nowMs = this.#clock()
    try {
      await this.#storage.transaction((stores) => failRequest(stores, request, { failure, nowMs }))
    } catch (error) {
      this.#observer.issuanceFailed(error)
    }
  }
}

async function nativeOf({ pki: { certificates } }: Stores, tenantId: string, id: string) {
  const certificate = await certificates.find(tenantId, id)
  if (certificate === undefined) throw new Error('A certificate vanished.')
  return nativeCertificate(certificate)
}
