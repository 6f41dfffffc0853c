import { createECDH, createPrivateKey, type KeyObject } from 'node:crypto'

const vapidPrivateBytes = 32
const vapidPublicBytes = 65
const coordinateBytes = 32

/**
 * A private key that somebody else made: PEM, or DER as PKCS#8, PKCS#1 or SEC 1.
 *
 * @returns undefined for anything else, encrypted keys among it.
 */
export function readPrivateKey(material: string | Uint8Array): KeyObject | undefined {
  if (typeof material === 'string') return keyOrNothing({ key: material, format: 'pem' })
  const key = Buffer.from(material)
  for (const type of ['pkcs8', 'pkcs1', 'sec1'] as const) {
    const found = keyOrNothing({ key, format: 'der', type })
    if (found !== undefined) return found
  }
  return undefined
}

/**
 * The P-256 key pair of a sender of Web Push messages (RFC 8292), as its two halves are usually given.
 *
 * @param publicKey uncompressed point, 65 bytes.
 * @param privateKey 32 bytes.
 * @returns undefined when either is none, or the two do not belong together.
 */
export function readVapidKey({
  publicKey,
  privateKey,
}: {
  readonly publicKey: Uint8Array
  readonly privateKey: Uint8Array
}): KeyObject | undefined {
  if (privateKey.length !== vapidPrivateBytes || publicKey.length !== vapidPublicBytes) {
    return undefined
  }
  try {
    const pair = createECDH('prime256v1')
    pair.setPrivateKey(privateKey)
    if (!pair.getPublicKey().equals(publicKey)) return undefined
    const part = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url')
    const x = part(publicKey.subarray(1, 1 + coordinateBytes))
    const y = part(publicKey.subarray(1 + coordinateBytes))
    const key = { kty: 'EC', crv: 'P-256', x, y, d: part(privateKey) }
    return createPrivateKey({ key, format: 'jwk' })
  } catch {
    return undefined
  }
}

function keyOrNothing(input: Parameters<typeof createPrivateKey>[0]): KeyObject | undefined {
  try {
    return createPrivateKey(input)
  } catch {
    // What OpenSSL says of it may repeat some of the text.
    return undefined
  }
}
