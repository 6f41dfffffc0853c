import { checkDer, DerError, DerReader } from '../der/der-reader.ts'
import { element, integer, nullValue, octetString, oid, sequence, tags } from '../der/der-writer.ts'
import { serialBytesMax } from './certificate.ts'
import { type Extension, readExtensions, writeExtension } from './extensions.ts'
import { oids } from './oids.ts'

/** RFC 6960: which certificate is asked about. */
export interface CertificateId {
  readonly hash: 'sha1' | 'sha256'
  /** Hash of the issuer's name in DER. */
  readonly issuerNameHash: Uint8Array
  /** Hash of the issuer's point. */
  readonly issuerKeyHash: Uint8Array
  readonly serial: Uint8Array
  /** As it was asked, to be repeated in the answer. */
  readonly der: Uint8Array
}

export interface OcspRequest {
  readonly certificates: readonly CertificateId[]
  /** The value of the nonce extension, to be repeated; undefined without one. */
  readonly nonce: Uint8Array | undefined
}

export const ocspRequestBytesMax = 4_096
/** Certificates of one request. */
export const ocspCertificatesMax = 16
/** RFC 8954 allows 32 bytes; older clients send more. */
const nonceBytesMax = 128
const hashes = { sha1: oids.sha1, sha256: oids.sha256 } as const
const hashLengths = { sha1: 20, sha256: 32 } as const

/** @throws DerError; also for a critical extension that we do not know. */
export function parseOcspRequest(der: Uint8Array): OcspRequest {
  if (der.length > ocspRequestBytesMax) throw new DerError('There are too many bytes.')
  const outer = new DerReader(der)
  const request = outer.sequence()
  outer.finish()
  const reader = request.sequence()
  // Signatures of those who ask are looked at by nobody.
  if (request.hasExplicit(0)) checkDer(request.raw())
  request.finish()
  if (reader.hasExplicit(1)) checkDer(reader.raw())
  const list = reader.sequence()
  const certificates: CertificateId[] = []
  while (!list.isAtEnd) {
    if (certificates.length >= ocspCertificatesMax) throw new DerError('Too much is asked at once.')
    const one = list.sequence()
    certificates.push(parseCertificateId(one.raw(tags.sequence)))
    if (one.hasExplicit(0)) readKnownExtensions(one.explicit(0))
    one.finish()
  }
  if (certificates.length === 0) throw new DerError('Nothing is asked.')
  const extensions = reader.hasExplicit(2) ? readKnownExtensions(reader.explicit(2)) : []
  reader.finish()
  return { certificates, nonce: nonceOf(extensions) }
}

/** @param fields.issuer the issuer's name and key, hashed. */
export function writeOcspRequest(
  certificates: readonly Omit<CertificateId, 'der'>[],
  nonce?: Uint8Array,
): Uint8Array {
  const list = sequence(...certificates.map((id) => sequence(writeCertificateId(id))))
  const extensions = nonce === undefined ? [] : [element(0xa2, sequence(nonceExtension(nonce)))]
  return sequence(sequence(list, ...extensions))
}

/** The nonce, as an extension of requests and answers. */
export function nonceExtension(nonce: Uint8Array): Uint8Array {
  return writeExtension({ id: oids.ocspEcho, critical: false, value: octetString(nonce) })
}

export function nonceOf(extensions: readonly Extension[]): Uint8Array | undefined {
  const extension = extensions.find(({ id }) => id === oids.ocspEcho)
  if (extension === undefined) return undefined
  const reader = new DerReader(extension.value)
  const nonce = reader.octetString()
  reader.finish()
  if (nonce.length === 0 || nonce.length > nonceBytesMax)
    throw new DerError('The nonce has no usual length.')
  return nonce
}

export function writeCertificateId(id: Omit<CertificateId, 'der'>): Uint8Array {
  return sequence(
    sequence(oid(hashes[id.hash]), nullValue),
    octetString(id.issuerNameHash),
    octetString(id.issuerKeyHash),
    integer(id.serial),
  )
}

/** @throws DerError */
export function parseCertificateId(der: Uint8Array): CertificateId {
  const outer = new DerReader(der)
  const reader = outer.sequence()
  outer.finish()
  const algorithm = reader.sequence()
  const type = algorithm.oid()
  if (!algorithm.isAtEnd) algorithm.null()
  algorithm.finish()
  const hash = (['sha1', 'sha256'] as const).find((candidate) => hashes[candidate] === type)
  if (hash === undefined) throw new DerError('The hash is neither SHA-1 nor SHA-256.')
  const issuerNameHash = reader.octetString()
  const issuerKeyHash = reader.octetString()
  const serial = reader.unsigned(serialBytesMax)
  reader.finish()
  if (issuerNameHash.length !== hashLengths[hash] || issuerKeyHash.length !== hashLengths[hash]) {
    throw new DerError('A hash has another length.')
  }
  return { hash, issuerNameHash, issuerKeyHash, serial, der }
}

function readKnownExtensions(reader: DerReader): Extension[] {
  const extensions = readExtensions(reader)
  reader.finish()
  if (extensions.some(({ id, critical }) => critical && id !== oids.ocspEcho)) {
    throw new DerError('A critical extension is unknown.')
  }
  return extensions
}
