import { createPublicKey, hash, type KeyObject, verify } from 'node:crypto'
import { derFromRaw } from '../certificate/ecdsa-signature.ts'
import { toPem } from '../certificate/pem.ts'
import { readPoint, spkiFromJwk } from '../certificate/public-key.ts'
import { DerReader } from '../der/der-reader.ts'
import type { EcPublicJwk } from './device-jws.ts'

const integerBytes = 32
const rawLength = 2 * integerBytes

/** RFC 7638 thumbprint with SHA-256, base64url. */
export function jwkThumbprint({ crv, kty, x, y }: EcPublicJwk): string {
  return hash('sha256', JSON.stringify({ crv, kty, x, y }), 'base64url')
}

/** @returns undefined for a point that is not on the curve, and for every other key. */
export function importEcPublicJwk({ kty, crv, x, y }: EcPublicJwk): KeyObject | undefined {
  const spki = kty === 'EC' && crv === 'P-256' ? spkiFromJwk({ x, y }) : undefined
  return spki && importEcPublicKey(spki)
}

/**
 * About 25 microseconds.
 *
 * @param spki SubjectPublicKeyInfo.
 * @returns undefined for a point that is not on the curve, and for every other key.
 */
export function importEcPublicKey(spki: Uint8Array): KeyObject | undefined {
  try {
    readPoint(spki)
    // As a text: that an object is no key already, node:crypto finds out by four exceptions, which take twice as long as the rest.
    return createPublicKey(toPem('PUBLIC KEY', spki))
  } catch {
    return undefined
  }
}

/** ES256 (RFC 7518, section 3.4) over the text of a JWS, about 50 microseconds. */
export function verifyEs256(key: KeyObject, signingInput: string, signature: Uint8Array): boolean {
  if (signature.length !== rawLength) return false
  return verify('sha256', Buffer.from(signingInput), key, derFromRaw(signature))
}

/** As {@link verifyEs256}, on the thread pool: the event loop spends a tenth of it. */
export function verifyEs256OnPool(
  key: KeyObject,
  signingInput: string,
  signature: Uint8Array,
): Promise<boolean> {
  if (signature.length !== rawLength) return Promise.resolve(false)
  return new Promise((resolve) => {
    // In DER, because node:crypto would convert r and s here and now, which takes as long as the check itself.
    verify('sha256', Buffer.from(signingInput), key, derFromRaw(signature), (error, holds) =>
      resolve(error === null && holds),
    )
  })
}

/**
 * The signature of a JWS, of one in DER: r and s, 32 bytes each.
 *
 * @throws DerError
 */
export function rawSignature(der: Uint8Array): Uint8Array {
  const reader = new DerReader(der)
  const pair = reader.sequence()
  const integers = [pair.unsigned(integerBytes), pair.unsigned(integerBytes)]
  pair.finish()
  reader.finish()
  const raw = new Uint8Array(rawLength)
  for (const [index, integer] of integers.entries()) {
    raw.set(integer, (index + 1) * integerBytes - integer.length)
  }
  return raw
}
