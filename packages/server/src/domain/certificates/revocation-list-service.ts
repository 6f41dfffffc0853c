import { signFrame } from '@countersign/protocol/certificate/certificate.ts'
import {
  authorityKeyIdentifier,
  crlNumber,
  issuingDistributionPoint,
} from '@countersign/protocol/certificate/extensions.ts'
import { readPoint } from '@countersign/protocol/certificate/public-key.ts'
import {
  writeRevokedEntry,
  writeTbsRevocationList,
} from '@countersign/protocol/certificate/revocation-list.ts'
import { decodeHex } from '@countersign/protocol/encoding/hex.ts'
import { sha1 } from '#custody/digests.ts'
import type { KeyCustody } from '#custody/key-custody.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import type { Storage } from '../storage.ts'
import { lastShardOf, revocationReasons } from './certificate.ts'
import type { Issuer } from './issuer.ts'
import type { PkiUrls } from './pki-urls.ts'
import type { PublicIssuers } from './public-issuers.ts'
import type { StoredList } from './revocation-store.ts'
import { spkiOf } from './root-service.ts'

const hourMs = 3_600_000
/** A list is signed again after a day, whether something was revoked or not; it is valid for a week. */
const renewedAfterMs = 24 * hourMs
const validMs = 7 * 24 * hourMs
/** RFC 5280, section 4.1.2.5: no later list will come. */
const neverMs = Date.UTC(9999, 11, 31, 23, 59, 59)
const attemptsMax = 5
const entriesAtOnce = 1_000

/**
 * Revocation lists. An issuer's certificates are divided among lists of a bounded size; a list keeps its entries in
 * DER, and grows by those that came since: what it costs depends on what changed, not on what was ever revoked.
 */
export class RevocationListService {
  readonly #storage: Storage
  readonly #custody: KeyCustody
  readonly #issuers: PublicIssuers
  readonly #urls: PkiUrls
  readonly #clock: Clock
  readonly #running = new Map<string, Promise<Uint8Array>>()

  constructor(dependencies: {
    storage: Storage
    custody: KeyCustody
    issuers: PublicIssuers
    urls: PkiUrls
    clock: Clock
  }) {
    this.#storage = dependencies.storage
    this.#custody = dependencies.custody
    this.#issuers = dependencies.issuers
    this.#urls = dependencies.urls
    this.#clock = dependencies.clock
  }

  /**
   * The list of one part of an issuer's certificates, DER; signed anew if something was revoked since, or a day has
   * passed. That of a revoked signer is the last one, as `SignerClosing` left it.
   *
   * @param shard 0: the first part, and for most issuers the only one.
   * @param notBeforeMs a list that was signed earlier is signed anew: evidence wants one that could know of a revocation.
   * @throws DomainError `signer_not_found`, also for a shard that has no certificates.
   */
  async get(
    tenantId: string,
    issuerId: string,
    shard: number,
    { notBeforeMs = 0 }: { readonly notBeforeMs?: number } = {},
  ): Promise<Uint8Array> {
    const issuer = await this.#issuers.withLists(tenantId, issuerId)
    const lastShard = lastShardOf(issuer.issuedCount)
    if (shard > lastShard) throw noSuchList()
    const isPartial = lastShard > 0
    const isClosed = await this.#issuers.isClosed(issuer)
    const stored = await this.#storage.read.pki.revocations.find({ tenantId, issuerId, shard })
    if (isClosed) {
      if (stored?.der === undefined) throw noSuchList()
      return stored.der
    }
    const isCurrent = (list: StoredList) =>
      list.thisUpdateMs >= notBeforeMs && this.#isCurrent(list, isPartial)
    if (stored?.der !== undefined && isCurrent(stored)) return stored.der
    const name = `${tenantId}\n${issuerId}\n${shard}`
    const running = this.#running.get(name) ?? this.#renew(issuer, shard, isPartial, isCurrent)
    this.#running.set(name, running)
    try {
      return await running
    } finally {
      this.#running.delete(name)
    }
  }

  #isCurrent(list: StoredList, isPartial: boolean): boolean {
    return (
      list.listedCount === list.revokedCount &&
      list.isPartial === isPartial &&
      this.#clock() - list.thisUpdateMs < renewedAfterMs
    )
  }

  async #renew(
    issuer: Issuer,
    shardNumber: number,
    isPartial: boolean,
    isCurrent: (list: StoredList) => boolean,
  ): Promise<Uint8Array> {
    const { tenantId, id: issuerId } = issuer
    const shard = { tenantId, issuerId, shard: shardNumber }
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      const stored = await this.#storage.read.pki.revocations.find(shard)
      if (stored === undefined) {
        await this.#storage.transaction(({ pki: { revocations } }) =>
          revocations.ensureShard(shard),
        )
        continue
      }
      if (stored.der !== undefined && isCurrent(stored)) return stored.der
      const { entries, listedCount } = await this.#appendEntries(shard, stored)
      const thisUpdateMs = this.#clock()
      const der = await this.#sign(issuer, {
        entries,
        thisUpdateMs,
        number: stored.crlNumber + 1,
        partUrl: isPartial ? this.#urls.crl(tenantId, issuerId, shardNumber) : undefined,
      })
      const list = {
        seenNumber: stored.crlNumber,
        listedCount,
        entries,
        der,
        isPartial,
        thisUpdateMs,
      }
      const isNext = await this.#storage.transaction(({ pki: { revocations } }) =>
        revocations.replace(shard, list),
      )
      if (isNext) return der
    }
    throw new DomainError('unavailable', 'The list is being signed elsewhere.', {
      retryAfterSeconds: 1,
    })
  }

  async #appendEntries(
    shard: { tenantId: string; issuerId: string; shard: number },
    stored: StoredList,
  ): Promise<{ entries: Uint8Array; listedCount: number }> {
    const parts = [stored.entries]
    let { listedCount } = stored
    for (;;) {
      const revoked = await this.#storage.read.pki.revocations.listRevoked(
        shard,
        listedCount,
        entriesAtOnce,
      )
      for (const { serial, revokedAtMs, reason } of revoked) {
        const bytes = decodeHex(serial) ?? new Uint8Array()
        parts.push(
          writeRevokedEntry({ serial: bytes, revokedAtMs, reason: revocationReasons[reason] }),
        )
      }
      listedCount += revoked.length
      if (revoked.length < entriesAtOnce) return { entries: Buffer.concat(parts), listedCount }
    }
  }

  async #sign(
    issuer: Issuer,
    list: {
      entries: Uint8Array
      thisUpdateMs: number
      number: number
      partUrl: string | undefined
    },
  ): Promise<Uint8Array> {
    const { tenantId, subject, state } = issuer
    const key = await this.#issuers.signingKey(issuer)
    const publicKey = spkiOf(key)
    const tbs = writeTbsRevocationList({
      issuer: subject,
      thisUpdateMs: list.thisUpdateMs,
      nextUpdateMs: state === 'REVOKED' ? neverMs : list.thisUpdateMs + validMs,
      entries: list.entries,
      extensions: [
        authorityKeyIdentifier(sha1(readPoint(publicKey))),
        crlNumber(list.number),
        ...(list.partUrl === undefined ? [] : [issuingDistributionPoint(list.partUrl)]),
      ],
    })
    return signFrame(tbs, (bytes) => this.#custody.sign(tenantId, key, bytes))
  }
}

function noSuchList(): DomainError {
  return new DomainError('signer_not_found', 'No such list.')
}
