import { DerError, DerReader } from '../der/der-reader.ts'
import {
  bitString,
  element,
  integer,
  oid,
  sequence,
  smallInteger,
  tags,
  time,
} from '../der/der-writer.ts'
import type { SignCallback, VerifyCallback } from './crypto-callbacks.ts'
import { rawFromDer } from './ecdsa-signature.ts'
import { type Extension, readExtensions, writeExtension } from './extensions.ts'
import { oids } from './oids.ts'
import { readPoint } from './public-key.ts'

/** What a certificate of ours says. Names and keys are in DER. */
export interface CertificateFields {
  /** Magnitude, big-endian, without leading zeros. */
  readonly serial: Uint8Array
  readonly issuer: Uint8Array
  readonly subject: Uint8Array
  /** Whole seconds, as epoch milliseconds. */
  readonly notBeforeMs: number
  readonly notAfterMs: number
  /** SubjectPublicKeyInfo, P-256. */
  readonly publicKey: Uint8Array
  readonly extensions: readonly Extension[]
}

/** A certificate as read; `tbs` is what is signed. */
export interface Certificate extends CertificateFields {
  readonly der: Uint8Array
  readonly tbs: Uint8Array
  /** r and s, 32 bytes each. */
  readonly signature: Uint8Array
}

/** More than any certificate of ours. */
export const certificateBytesMax = 8_192
export const serialBytesMax = 20
const version3 = 2

export const ecdsaWithSha256: Uint8Array = sequence(oid(oids.ecdsaWithSha256))

/** The part that is signed. */
export function writeTbsCertificate(fields: CertificateFields): Uint8Array {
  return sequence(
    element(0xa0, smallInteger(version3)),
    integer(fields.serial),
    ecdsaWithSha256,
    fields.issuer,
    sequence(time(fields.notBeforeMs), time(fields.notAfterMs)),
    fields.subject,
    fields.publicKey,
    element(0xa3, sequence(...fields.extensions.map(writeExtension))),
  )
}

/** Certificate, request and list have one frame: what is signed, by which algorithm, the signature. */
export async function signFrame(tbs: Uint8Array, sign: SignCallback): Promise<Uint8Array> {
  return sequence(tbs, ecdsaWithSha256, bitString(await sign(tbs)))
}

export interface SignedFrame {
  readonly tbs: Uint8Array
  /** r and s, 32 bytes each. */
  readonly signature: Uint8Array
}

/** @throws DerError; also for every algorithm but ECDSA with SHA-256. */
export function readSignedFrame(der: Uint8Array, bytesMax: number): SignedFrame {
  if (der.length > bytesMax) throw new DerError('There are too many bytes.')
  const outer = new DerReader(der)
  const frame = outer.sequence()
  outer.finish()
  const tbs = frame.raw(tags.sequence)
  readSignatureAlgorithm(frame)
  const signature = rawFromDer(frame.bitString())
  frame.finish()
  return { tbs, signature }
}

/** @throws DerError unless it is ECDSA with SHA-256, without parameters. */
export function readSignatureAlgorithm(reader: DerReader): void {
  const algorithm = reader.sequence()
  if (algorithm.oid() !== oids.ecdsaWithSha256) {
    throw new DerError('The signature algorithm is not ECDSA with SHA-256.')
  }
  algorithm.finish()
}

/**
 * Reads an X.509 v3 certificate of our profile: P-256, ECDSA with SHA-256 inside and outside, extensions there.
 *
 * @throws DerError
 */
export function parseCertificate(der: Uint8Array): Certificate {
  const { tbs, signature } = readSignedFrame(der, certificateBytesMax)
  return { ...parseTbsCertificate(tbs), der, tbs, signature }
}

/** @throws DerError */
export function parseTbsCertificate(tbs: Uint8Array): CertificateFields {
  const outer = new DerReader(tbs)
  const reader = outer.sequence()
  outer.finish()
  const versions = reader.explicit(0)
  if (versions.smallInteger(version3) !== version3) throw new DerError('The version is not 3.')
  versions.finish()
  const serial = reader.unsigned(serialBytesMax)
  if (serial.length === 0) throw new DerError('The serial number is 0.')
  readSignatureAlgorithm(reader)
  const issuer = reader.raw(tags.sequence)
  const validity = reader.sequence()
  const notBeforeMs = validity.time()
  const notAfterMs = validity.time()
  validity.finish()
  if (notBeforeMs > notAfterMs) throw new DerError('The validity ends before it begins.')
  const subject = reader.raw(tags.sequence)
  const publicKey = reader.raw(tags.sequence)
  readPoint(publicKey)
  const wrapped = reader.explicit(3)
  const extensions = readExtensions(wrapped)
  wrapped.finish()
  reader.finish()
  return { serial, issuer, subject, notBeforeMs, notAfterMs, publicKey, extensions }
}

/** The value of an extension; undefined when it is not there. */
export function extensionOf(
  { extensions }: Pick<CertificateFields, 'extensions'>,
  id: string,
): Extension | undefined {
  return extensions.find((extension) => extension.id === id)
}

/** Whether the key's signature over the certificate holds. */
export async function isSignedBy(
  { tbs, signature }: SignedFrame,
  issuerKey: Uint8Array,
  verify: VerifyCallback,
): Promise<boolean> {
  return verify(issuerKey, tbs, signature)
}
