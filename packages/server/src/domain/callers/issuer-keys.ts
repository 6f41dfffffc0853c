import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import type { Storage } from '../storage.ts'
import { Caller } from './caller.ts'
import type { DocumentSource } from './document-source.ts'
import { keptKeysMax, readKeySet } from './issuer-key.ts'
import type { PublicJwk } from './public-jwk.ts'
import type { TrustedIssuer } from './trusted-issuer.ts'

const secondMs = 1_000
const minuteMs = 60 * secondMs
/** From this age on keys are fetched again beside the request, and from the other one on before its answer. */
const freshMs = 5 * minuteMs
export const keysUnwatchedMsMax = 10 * minuteMs
/** However many tokens ask for keys that nobody knows: so many fetches a minute, and so many more when there were none for long. */
const searchMs = minuteMs
const spareSearchesMax = 2
/** Between two fetches. */
const againMs = 5 * secondMs
const againAfterFailureMs = 10 * secondMs
const issuersMax = 500
/** Of one tenant, so that its slow issuers do not hold up those of others. */
const fetchesPerTenantMax = 8
const retryAfterSeconds = 10

/** What is told of fetched keys. */
export interface IssuerKeysObserver {
  keysFetched(outcome: 'fetched' | 'failed'): void
  /** @param issuer id of the tenant and of the issuer. */
  fetchFailed(issuer: string, error: unknown): void
}

interface Entry {
  readonly tenantId: string
  readonly issuerId: string
  readonly jwksUri: string
  keys: readonly PublicJwk[] | undefined
  fetchedAtMs: number
  attemptedAtMs: number
  /** When the searches that were made are paid for, at one a minute. */
  searchedUntilMs: number
  hasFailed: boolean
  fetching: Promise<void> | undefined
}

/**
 * The keys of trusted issuers. Those of an address are kept, looked at again every few minutes while they are used, and
 * outlive an outage of the issuer for a bounded time; tokens with unknown keys make the server fetch once a minute on average,
 * and at most three times within one.
 */
export class IssuerKeys {
  readonly #storage: Storage
  readonly #documents: DocumentSource
  readonly #observer: IssuerKeysObserver
  readonly #clock: Clock
  readonly #outageMsMax: number
  /** In the order of their last use. */
  readonly #entries = new Map<string, Promise<Entry>>()
  readonly #fetchCounts = new Map<string, number>()

  constructor(dependencies: {
    storage: Storage
    documents: DocumentSource
    observer: IssuerKeysObserver
    clock: Clock
    /** How long keys count that could not be fetched again. */
    outageMsMax: number
  }) {
    this.#storage = dependencies.storage
    this.#documents = dependencies.documents
    this.#observer = dependencies.observer
    this.#clock = dependencies.clock
    this.#outageMsMax = dependencies.outageMsMax
  }

  /**
   * The keys that count now; they are looked for again if `find` finds none among them and it is time.
   *
   * @returns what `find` found; undefined: the issuer has no such key.
   * @throws DomainError `unavailable` while the issuer cannot be asked and it is not known which keys it has.
   */
  async find(
    issuer: TrustedIssuer,
    find: (keys: readonly PublicJwk[]) => PublicJwk | undefined,
  ): Promise<PublicJwk | undefined> {
    const { jwksUri, jwks } = issuer
    if (jwksUri === null) return find(jwks?.keys ?? [])
    const entry = await this.#entryOf(issuer.tenantId, issuer.id, jwksUri)
    await this.#watch(entry)
    const known = this.#countingKeys(entry)
    const found = known && find(known)
    if (found !== undefined) return found
    if (!this.#takeSearch(entry)) {
      if (known === undefined || entry.hasFailed) throw undecided()
      return undefined
    }
    await this.#fetch(entry)
    const keys = this.#countingKeys(entry)
    const foundNow = keys && find(keys)
    if (foundNow === undefined && (keys === undefined || entry.hasFailed)) throw undecided()
    return foundNow
  }

  /** Fetches again what has not been looked at for long; waits for it only if the issuer was well the last time. */
  async #watch(entry: Entry): Promise<void> {
    const ageMs = this.#sinceMs(entry.fetchedAtMs)
    if (entry.keys === undefined || ageMs < freshMs || !this.#mayFetch(entry)) return
    const waits = ageMs >= keysUnwatchedMsMax && !entry.hasFailed
    const fetching = this.#fetch(entry)
    if (waits) await fetching
  }

  #countingKeys({ keys, fetchedAtMs }: Entry): readonly PublicJwk[] | undefined {
    return this.#sinceMs(fetchedAtMs) < keysUnwatchedMsMax + this.#outageMsMax ? keys : undefined
  }

  #mayFetch({ attemptedAtMs, hasFailed, fetching }: Entry): boolean {
    if (fetching !== undefined) return true
    return this.#sinceMs(attemptedAtMs) >= (hasFailed ? againAfterFailureMs : againMs)
  }

  /** One fetch for whoever asks at this moment; an issuer that is away is not searched but tried again. */
  #takeSearch(entry: Entry): boolean {
    if (!this.#mayFetch(entry)) return false
    if (entry.fetching !== undefined || entry.hasFailed) return true
    const nowMs = this.#clock()
    const spareMs = spareSearchesMax * searchMs
    // Further ahead than searches can lead: the clock was set back.
    const owedMs = Math.min(Math.max(entry.searchedUntilMs - nowMs, 0), spareMs + searchMs)
    const isSpare = owedMs <= spareMs
    entry.searchedUntilMs = nowMs + owedMs + (isSpare ? searchMs : 0)
    return isSpare
  }

  /** A moment that lies ahead, after the clock was set back, is as far away as one behind. */
  #sinceMs(atMs: number): number {
    return Math.abs(this.#clock() - atMs)
  }

  async #entryOf(tenantId: string, issuerId: string, jwksUri: string): Promise<Entry> {
    const name = [tenantId, issuerId, jwksUri].join('\n')
    const known = this.#entries.get(name)
    this.#entries.delete(name)
    const [oldest] = this.#entries.keys()
    if (this.#entries.size >= issuersMax && oldest !== undefined) this.#entries.delete(oldest)
    const entry = known ?? this.#load(tenantId, issuerId, jwksUri)
    this.#entries.set(name, entry)
    try {
      return await entry
    } catch (error) {
      this.#entries.delete(name)
      throw error
    }
  }

  async #load(tenantId: string, issuerId: string, jwksUri: string): Promise<Entry> {
    const of = { tenantId, issuerId, jwksUri }
    const stored = await this.#storage.read.issuerKeys.find(of)
    const fetchedAtMs = stored?.fetchedAtMs ?? Number.NEGATIVE_INFINITY
    return {
      ...of,
      keys: stored?.keys,
      fetchedAtMs,
      attemptedAtMs: fetchedAtMs,
      searchedUntilMs: Number.NEGATIVE_INFINITY,
      hasFailed: false,
      fetching: undefined,
    }
  }

  /** Never throws; whoever comes meanwhile waits for the same answer. */
  #fetch(entry: Entry): Promise<void> {
    entry.fetching ??= this.#fetchNow(entry).finally(() => {
      entry.fetching = undefined
    })
    return entry.fetching
  }

  async #fetchNow(entry: Entry): Promise<void> {
    const { tenantId } = entry
    const issuer = `${tenantId}/${entry.issuerId}`
    const runningCount = this.#fetchCounts.get(tenantId) ?? 0
    this.#fetchCounts.set(tenantId, runningCount + 1)
    entry.attemptedAtMs = this.#clock()
    try {
      if (runningCount >= fetchesPerTenantMax) throw new Error('Too many keys are being fetched.')
      const keys = readKeySet(await this.#documents.fetch(entry.jwksUri))
      if (keys === undefined) throw new Error(`It is no set of at most ${keptKeysMax} keys.`)
      Object.assign(entry, { keys, fetchedAtMs: this.#clock(), hasFailed: false })
      this.#observer.keysFetched('fetched')
    } catch (error) {
      entry.hasFailed = true
      this.#observer.keysFetched('failed')
      this.#observer.fetchFailed(issuer, error)
      return
    } finally {
      const stillCount = (this.#fetchCounts.get(tenantId) ?? 1) - 1
      if (stillCount === 0) this.#fetchCounts.delete(tenantId)
      else this.#fetchCounts.set(tenantId, stillCount)
    }
    // Keys that were fetched are good, whether or not they can be stored.
    await this.#save(entry).catch((error: unknown) => this.#observer.fetchFailed(issuer, error))
  }

  async #save({ tenantId, issuerId, jwksUri, keys = [], fetchedAtMs }: Entry): Promise<void> {
    await this.#storage.transaction(async ({ trustedIssuers, issuerKeys, journal }) => {
      const present = await trustedIssuers.find(tenantId, issuerId)
      if (present?.jwksUri !== jwksUri) return
      if (!(await issuerKeys.save({ tenantId, issuerId, jwksUri, keys, fetchedAtMs }))) return
      await journal.append(Caller.system(), tenantId, {
        action: 'trusted-issuer.keys-changed',
        target: { type: 'trusted-issuer', id: issuerId },
        detail: { keys: keys.map(({ kty, alg = null, kid = null }) => ({ kty, alg, kid })) },
      })
    })
  }
}

function undecided(): DomainError {
  return new DomainError('unavailable', 'The keys of the issuer cannot be fetched.', {
    retryAfterSeconds,
  })
}
