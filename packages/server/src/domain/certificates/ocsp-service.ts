import {
  type CertificateId,
  type OcspRequest,
  parseOcspRequest,
} from '@countersign/protocol/certificate/ocsp-request.ts'
import {
  type CertificateStatus,
  writeOcspRefusal,
  writeOcspResponse,
} from '@countersign/protocol/certificate/ocsp-response.ts'
import { readPoint } from '@countersign/protocol/certificate/public-key.ts'
import { DerError } from '@countersign/protocol/der/der-reader.ts'
import { sameBytes } from '@countersign/protocol/der/der-writer.ts'
import { encodeHex } from '@countersign/protocol/encoding/hex.ts'
import { sha1, sha256 } from '#custody/digests.ts'
import type { KeyCustody } from '#custody/key-custody.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import type { Storage } from '../storage.ts'
import { revocationReasons } from './certificate.ts'
import type { Issuer } from './issuer.ts'
import type { PublicIssuers } from './public-issuers.ts'
import { draftIssuerOf } from './root-service.ts'

/** How long an answer may be believed. */
const validMs = 3_600_000
const secondMs = 1_000
/** Answers that are being signed; whoever comes then is asked to come later. */
const inFlightMax = 256

/** Tells anybody whether a certificate is revoked (RFC 6960). The issuer's own key signs. */
export class OcspService {
  readonly #storage: Storage
  readonly #custody: KeyCustody
  readonly #issuers: PublicIssuers
  readonly #clock: Clock
  #inFlight = 0

  constructor(dependencies: {
    storage: Storage
    custody: KeyCustody
    issuers: PublicIssuers
    clock: Clock
  }) {
    this.#storage = dependencies.storage
    this.#custody = dependencies.custody
    this.#issuers = dependencies.issuers
    this.#clock = dependencies.clock
  }

  /**
   * Answers a request in DER. Faults of the request are answers too: malformedRequest, unauthorized for an issuer that is
   * not the tenant's or is revoked, tryLater under load.
   *
   * @throws DomainError `tenant_not_found`.
   */
  async answer(tenantId: string, request: Uint8Array): Promise<Uint8Array> {
    await this.#storage.read.tenants.get(tenantId)
    const parsed = parse(request)
    if (parsed === undefined) return writeOcspRefusal('malformedRequest')
    if (this.#inFlight >= inFlightMax) return writeOcspRefusal('tryLater')
    this.#inFlight++
    try {
      return await this.#answer(tenantId, parsed)
    } finally {
      this.#inFlight--
    }
  }

  async #answer(tenantId: string, { certificates, nonce }: OcspRequest): Promise<Uint8Array> {
    const [first] = certificates
    const issuer = first && (await this.#issuerOf(tenantId, first))
    const publicKey = issuer && draftIssuerOf(issuer)?.publicKey
    if (issuer === undefined || publicKey === undefined) return writeOcspRefusal('unauthorized')
    const point = readPoint(publicKey)
    const answers: { id: Uint8Array; answer: CertificateStatus }[] = []
    for (const certificate of certificates) {
      const isOurs = isNamed(certificate, issuer.subject, point)
      const answer: CertificateStatus = isOurs
        ? await this.#statusOf(issuer, certificate)
        : { status: 'unknown' }
      answers.push({ id: certificate.der, answer })
    }
    const thisUpdateMs = Math.floor(this.#clock() / secondMs) * secondMs
    const key = await this.#signingKey(issuer)
    if (key === undefined) return writeOcspRefusal('unauthorized')
    return writeOcspResponse(
      {
        responderKeyHash: sha1(point),
        producedAtMs: thisUpdateMs,
        thisUpdateMs,
        nextUpdateMs: thisUpdateMs + validMs,
        answers,
        nonce,
      },
      (bytes) => this.#custody.sign(tenantId, key, bytes),
    )
  }

  async #issuerOf(tenantId: string, asked: CertificateId): Promise<Issuer | undefined> {
    const issuer = await this.#storage.read.pki.issuers.findByKey(
      tenantId,
      asked.hash,
      encodeHex(asked.issuerKeyHash),
    )
    return issuer?.certificate === undefined ? undefined : issuer
  }

  async #statusOf(
    { tenantId, id: issuerId }: Issuer,
    { serial }: CertificateId,
  ): Promise<CertificateStatus> {
    const issued = await this.#storage.read.pki.issuance.findIssued(tenantId, encodeHex(serial))
    if (issued?.issuerId !== issuerId) return { status: 'unknown' }
    const { revokedAtMs, revocationReason } = issued
    if (revokedAtMs === null) return { status: 'good' }
    const reason = revocationReasons[revocationReason ?? 'UNSPECIFIED']
    return { status: 'revoked', revokedAtMs, reason }
  }

  async #signingKey(issuer: Issuer) {
    try {
      return await this.#issuers.signingKey(issuer)
    } catch (error) {
      // Revoked at this moment.
      if (error instanceof DomainError && error.code === 'signer_not_found') return undefined
      throw error
    }
  }
}

function parse(request: Uint8Array): OcspRequest | undefined {
  try {
    return parseOcspRequest(request)
  } catch (error) {
    if (error instanceof DerError) return undefined
    throw error
  }
}

function isNamed(
  { hash, issuerNameHash, issuerKeyHash }: CertificateId,
  subject: Uint8Array,
  point: Uint8Array,
): boolean {
  const digest = hash === 'sha1' ? sha1 : sha256
  return sameBytes(digest(subject), issuerNameHash) && sameBytes(digest(point), issuerKeyHash)
}
