import { type Certificate, parseCertificate, serialBytesMax } from '../certificate/certificate.ts'
import type { Digest, SignCallback, VerifyCallback } from '../certificate/crypto-callbacks.ts'
import { rawFromDer } from '../certificate/ecdsa-signature.ts'
import { oids } from '../certificate/oids.ts'
import { checkDer, DerError, DerReader } from '../der/der-reader.ts'
import {
  constructedTag,
  element,
  integer,
  octetString,
  oid,
  sameBytes,
  sequence,
  setOf,
  smallInteger,
  tags,
  time,
} from '../der/der-writer.ts'

/** Content of 64 KiB and four certificates fit: the contract's bound, in bytes. */
export const signedDataBytesMax = 79_872
const certificatesMax = 4
const attributeCount = 4
const sha256Length = 32

const sha256Algorithm = sequence(oid(oids.sha256))

/** A CMS SignedData (RFC 5652) of the device protocol's profile, as read; nothing of it is proven yet. */
export interface SignedData {
  readonly content: Uint8Array
  /** In the order in which they stand. */
  readonly certificates: readonly Certificate[]
  /** The signer's certificate: the one of {@link certificates} that the signer info names. */
  readonly leaf: Certificate
  readonly signingTimeMs: number
  readonly messageDigest: Uint8Array
  /** SHA-256 of the leaf, by the signer's word. */
  readonly certificateHash: Uint8Array
  /** What is signed: the attributes as SET OF. */
  readonly signedAttributes: Uint8Array
  /** r and s, 32 bytes each. */
  readonly signature: Uint8Array
}

/**
 * Reads exactly the profile: DER, version 1, SHA-256, content attached, no lists, one signer by issuer and serial, the
 * four signed attributes each once, no unsigned ones.
 *
 * @throws DerError
 */
export function parseSignedData(der: Uint8Array): SignedData {
  if (der.length > signedDataBytesMax) throw new DerError('There are too many bytes.')
  const outer = new DerReader(der)
  const info = outer.sequence()
  outer.finish()
  info.expectOid(oids.signedData)
  const wrapped = info.explicit(0)
  info.finish()
  const signed = wrapped.sequence()
  wrapped.finish()
  if (signed.smallInteger(1) !== 1) throw new DerError('The version is not 1.')
  const [algorithm] = exactly(1, signed.setOf(1))
  readDigestAlgorithm(new DerReader(algorithm ?? new Uint8Array()))
  const content = readContent(signed.sequence())
  const certificates = signed.setOf(certificatesMax, constructedTag(0)).map(parseCertificate)
  const [signerInfo] = exactly(1, signed.setOf(1))
  signed.finish()
  return { content, certificates, ...readSignerInfo(signerInfo ?? new Uint8Array(), certificates) }
}

function readContent(encapsulated: DerReader): Uint8Array {
  encapsulated.expectOid(oids.data)
  const wrapped = encapsulated.explicit(0)
  encapsulated.finish()
  const content = wrapped.octetString()
  wrapped.finish()
  return content
}

function readSignerInfo(
  der: Uint8Array,
  certificates: readonly Certificate[],
): Omit<SignedData, 'content' | 'certificates'> {
  const outer = new DerReader(der)
  const signer = outer.sequence()
  outer.finish()
  if (signer.smallInteger(1) !== 1)
    throw new DerError('The signer is not named by issuer and serial.')
  const sid = signer.sequence()
  const issuer = sid.raw(tags.sequence)
  const serial = sid.unsigned(serialBytesMax)
  sid.finish()
  readDigestAlgorithm(signer)
  const implicit = signer.raw(constructedTag(0))
  const attributes = readAttributes(implicit)
  const signatureAlgorithm = signer.sequence()
  signatureAlgorithm.expectOid(oids.ecdsaWithSha256)
  signatureAlgorithm.finish()
  const signature = rawFromDer(signer.octetString())
  signer.finish()
  const named = certificates.filter(
    (certificate) => sameBytes(certificate.issuer, issuer) && sameBytes(certificate.serial, serial),
  )
  const [leaf] = exactly(1, named)
  if (leaf === undefined) throw new DerError('The certificate of the signer is missing.')
  const signedAttributes = Uint8Array.from(implicit)
  signedAttributes[0] = tags.set
  return { ...attributes, leaf, signedAttributes, signature }
}

function readAttributes(
  implicit: Uint8Array,
): Pick<SignedData, 'signingTimeMs' | 'messageDigest' | 'certificateHash'> {
  const members = new DerReader(implicit).setOf(attributeCount, constructedTag(0))
  const values = new Map<string, Uint8Array>()
  for (const member of exactly(attributeCount, members)) {
    const outer = new DerReader(member)
    const attribute = outer.sequence()
    outer.finish()
    const type = attribute.oid()
    const [value] = exactly(1, attribute.setOf(1))
    attribute.finish()
    if (value !== undefined) values.set(type, value)
  }
  const single = (type: string): DerReader => {
    const value = values.get(type)
    if (value === undefined) throw new DerError('A signed attribute is missing.')
    return new DerReader(value)
  }
  const contentType = single(oids.contentType)
  contentType.expectOid(oids.data)
  contentType.finish()
  const signingTime = single(oids.signingTime)
  const signingTimeMs = signingTime.time()
  signingTime.finish()
  const digest = single(oids.messageDigest)
  const messageDigest = digest.octetString()
  digest.finish()
  const certificateHash = readSigningCertificate(single(oids.signingCertificateV2))
  if (messageDigest.length !== sha256Length || certificateHash.length !== sha256Length) {
    throw new DerError('A hash has another length.')
  }
  return { signingTimeMs, messageDigest, certificateHash }
}

/** RFC 5035: one certificate, by its SHA-256, which is the default and not written. */
function readSigningCertificate(value: DerReader): Uint8Array {
  const outer = value.sequence()
  value.finish()
  const list = outer.sequence()
  outer.finish()
  const id = list.sequence()
  list.finish()
  const hash = id.octetString()
  if (!id.isAtEnd) checkDer(id.raw(tags.sequence))
  id.finish()
  return hash
}

/** RFC 5754: parameters are absent, but NULL is to be taken too. */
function readDigestAlgorithm(reader: DerReader): void {
  const algorithm = reader.sequence()
  algorithm.expectOid(oids.sha256)
  if (!algorithm.isAtEnd) algorithm.null()
  algorithm.finish()
}

function exactly<T>(count: number, members: readonly T[]): readonly T[] {
  if (members.length !== count) throw new DerError(`There are not exactly ${count}.`)
  return members
}

/**
 * Whether the leaf's key signed exactly this content under exactly this certificate. Whether the certificate may be
 * used is another question: see `certificate/path.ts`.
 */
export async function isSignatureValid(
  data: SignedData,
  { sha256, verify }: { readonly sha256: Digest; readonly verify: VerifyCallback },
): Promise<boolean> {
  if (!sameBytes(await sha256(data.content), data.messageDigest)) return false
  if (!sameBytes(await sha256(data.leaf.der), data.certificateHash)) return false
  return verify(data.leaf.publicKey, data.signedAttributes, data.signature)
}

/** What a device signs to accept a transaction. */
export interface SignedDataDraft {
  readonly content: Uint8Array
  /** The certificate of the key that signs, in DER. */
  readonly leaf: Uint8Array
  /** Its issuers, the anchor last. */
  readonly chain: readonly Uint8Array[]
  /** Whole seconds are kept. */
  readonly signingTimeMs: number
}

/** The attributes as SET OF: exactly what is signed. */
export function writeSignedAttributes(values: {
  readonly signingTimeMs: number
  readonly messageDigest: Uint8Array
  readonly certificateHash: Uint8Array
}): Uint8Array {
  const certificateId = sequence(octetString(values.certificateHash))
  return setOf([
    attribute(oids.contentType, oid(oids.data)),
    attribute(oids.signingTime, time(values.signingTimeMs)),
    attribute(oids.messageDigest, octetString(values.messageDigest)),
    attribute(oids.signingCertificateV2, sequence(sequence(certificateId))),
  ])
}

/** A SignedData of the profile. @throws DerError for certificates that are none. */
export async function writeSignedData(
  draft: SignedDataDraft,
  { sha256, sign }: { readonly sha256: Digest; readonly sign: SignCallback },
): Promise<Uint8Array> {
  const leaf = parseCertificate(draft.leaf)
  const signedAttributes = writeSignedAttributes({
    signingTimeMs: draft.signingTimeMs,
    messageDigest: await sha256(draft.content),
    certificateHash: await sha256(draft.leaf),
  })
  const implicit = Uint8Array.from(signedAttributes)
  implicit[0] = constructedTag(0)
  const signerInfo = sequence(
    smallInteger(1),
    sequence(leaf.issuer, integer(leaf.serial)),
    sha256Algorithm,
    implicit,
    sequence(oid(oids.ecdsaWithSha256)),
    octetString(await sign(signedAttributes)),
  )
  const signed = sequence(
    smallInteger(1),
    setOf([sha256Algorithm]),
    sequence(oid(oids.data), element(constructedTag(0), octetString(draft.content))),
    setOf([draft.leaf, ...draft.chain], constructedTag(0)),
    setOf([signerInfo]),
  )
  return sequence(oid(oids.signedData), element(constructedTag(0), signed))
}

function attribute(type: string, value: Uint8Array): Uint8Array {
  return sequence(oid(type), setOf([value]))
}
