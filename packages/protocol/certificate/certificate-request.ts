import { checkDer, DerError, DerReader } from '../der/der-reader.ts'
import { element, sequence, smallInteger, tags } from '../der/der-writer.ts'
import { readSignedFrame, type SignedFrame, signFrame } from './certificate.ts'
import type { SignCallback, VerifyCallback } from './crypto-callbacks.ts'
import { readPoint } from './public-key.ts'

/** More than any request for a P-256 key needs. */
export const requestBytesMax = 4_096
const attributesMax = 16

/** A PKCS#10 request (RFC 2986). Its subject and attributes are read by nobody. */
export interface CertificationRequest extends SignedFrame {
  /** SubjectPublicKeyInfo, P-256. */
  readonly publicKey: Uint8Array
}

/** @param subject a name in DER. @param attributes none, as devices send it. */
export async function writeCertificationRequest(
  { subject, publicKey }: { subject: Uint8Array; publicKey: Uint8Array },
  sign: SignCallback,
): Promise<Uint8Array> {
  return signFrame(sequence(smallInteger(0), subject, publicKey, element(0xa0)), sign)
}

/**
 * Reads a request for a P-256 key. What is ignored must be DER nevertheless, so that nothing can hide in it.
 *
 * @throws DerError
 */
export function parseCertificationRequest(der: Uint8Array): CertificationRequest {
  const { tbs, signature } = readSignedFrame(der, requestBytesMax)
  const outer = new DerReader(tbs)
  const reader = outer.sequence()
  outer.finish()
  if (reader.smallInteger(0) !== 0) throw new DerError('The version is not 1.')
  checkDer(reader.raw(tags.sequence))
  const publicKey = reader.raw(tags.sequence)
  readPoint(publicKey)
  for (const attribute of reader.setOf(attributesMax, 0xa0)) checkDer(attribute)
  reader.finish()
  return { tbs, signature, publicKey }
}

/** Proof of possession: the request is signed by the key that it asks a certificate for. */
export async function provesPossession(
  { tbs, signature, publicKey }: CertificationRequest,
  verify: VerifyCallback,
): Promise<boolean> {
  return verify(publicKey, tbs, signature)
}
