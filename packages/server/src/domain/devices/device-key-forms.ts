import { createPublicKey } from 'node:crypto'
import {
  decodeBase64,
  decodeBase64url,
  encodeBase64,
  encodeBase64url,
} from '@countersign/protocol/encoding/base64.ts'
import type { EcPublicJwk } from '@countersign/protocol/message/device-jws.ts'
import { importEcPublicJwk } from '@countersign/protocol/message/es256.ts'

const uncompressed = 4
const coordinateBytes = 32

/** SEC 1, section 2.3.3: 0x04 and both coordinates, 65 bytes, in base64. */
export function pointOfKey({ x, y }: EcPublicJwk): string {
  const coordinates = [x, y].map((coordinate) => decodeBase64url(coordinate) ?? new Uint8Array())
  return encodeBase64(Buffer.concat([Uint8Array.of(uncompressed), ...coordinates]))
}

/** @returns undefined for any other text, and for a point that is not on P-256. */
export function keyOfPoint(point64: string): EcPublicJwk | undefined {
  const bytes = decodeBase64(point64)
  if (bytes?.length !== 1 + 2 * coordinateBytes || bytes[0] !== uncompressed) return undefined
  const key: EcPublicJwk = {
    kty: 'EC',
    crv: 'P-256',
    x: encodeBase64url(bytes.slice(1, 1 + coordinateBytes)),
    y: encodeBase64url(bytes.slice(1 + coordinateBytes)),
  }
  return importEcPublicJwk(key) === undefined ? undefined : key
}

/** SubjectPublicKeyInfo in PEM, with a line feed at the end of each line. */
export function pemOfKey({ x, y }: EcPublicJwk): string {
  const key = createPublicKey({ key: { kty: 'EC', crv: 'P-256', x, y }, format: 'jwk' })
  return key.export({ type: 'spki', format: 'pem' }).toString()
}
