import { DerError, DerReader } from '../der/der-reader.ts'
import { bitString, oid, sequence } from '../der/der-writer.ts'
import { decodeBase64url, encodeBase64url } from '../encoding/base64.ts'
import type { EcPublicJwk } from '../message/device-jws.ts'
import { oids } from './oids.ts'

const coordinateLength = 32
const pointLength = 1 + 2 * coordinateLength
const uncompressed = 0x04

const algorithm = sequence(oid(oids.ecPublicKey), oid(oids.p256))
/** What stands before the point: in DER always the same. */
const pointHead = writeSpki(new Uint8Array(pointLength)).slice(0, -pointLength)

/**
 * The point of a SubjectPublicKeyInfo: P-256 as a named curve, uncompressed. Whether it lies on the curve is said by
 * whoever checks a signature with it.
 *
 * @throws DerError for every other key.
 */
export function readPoint(spki: Uint8Array): Uint8Array {
  const isOurs =
    spki.length === pointHead.length + pointLength &&
    pointHead.every((byte, index) => spki[index] === byte)
  const point = isOurs ? spki.subarray(pointHead.length) : readOtherPoint(spki)
  if (point.length !== pointLength || point[0] !== uncompressed) {
    throw new DerError('The key is not an uncompressed point.')
  }
  return point
}

/** Says what is wrong with it. */
function readOtherPoint(spki: Uint8Array): Uint8Array {
  const outer = new DerReader(spki)
  const info = outer.sequence()
  outer.finish()
  const type = info.sequence()
  if (type.oid() !== oids.ecPublicKey || type.oid() !== oids.p256) {
    throw new DerError('The key is not on P-256.')
  }
  type.finish()
  const point = info.bitString()
  info.finish()
  return point
}

/** @param point 04, x and y. */
export function writeSpki(point: Uint8Array): Uint8Array {
  return sequence(algorithm, bitString(point))
}

/** @throws DerError as {@link readPoint}. */
export function jwkFromSpki(spki: Uint8Array): EcPublicJwk {
  const point = readPoint(spki)
  return {
    kty: 'EC',
    crv: 'P-256',
    x: encodeBase64url(point.subarray(1, 1 + coordinateLength)),
    y: encodeBase64url(point.subarray(1 + coordinateLength)),
  }
}

/** Undefined unless both coordinates are 32 bytes in canonical base64url. */
export function spkiFromJwk({ x, y }: Pick<EcPublicJwk, 'x' | 'y'>): Uint8Array | undefined {
  const left = decodeBase64url(x)
  const right = decodeBase64url(y)
  if (left?.length !== coordinateLength || right?.length !== coordinateLength) return undefined
  return writeSpki(Uint8Array.of(uncompressed, ...left, ...right))
}
