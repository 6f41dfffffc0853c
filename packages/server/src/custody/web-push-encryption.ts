import { createCipheriv, createECDH, ECDH, hkdfSync } from 'node:crypto'

/** Of a browser's subscription (RFC 8291, section 2). */
export interface SubscriptionKeys {
  /** Its P-256 point, uncompressed, 65 bytes. */
  readonly p256dh: Uint8Array
  /** 16 bytes. */
  readonly auth: Uint8Array
}

const curve = 'prime256v1'
export const authLength = 16
const pointLength = 65
const saltLength = 16
const tagLength = 16
const recordSize = 4_096
const headerLength = saltLength + 4 + 1 + pointLength
/** What fits into the one record (RFC 8291, section 4) of 4,096 bytes that every push service takes (RFC 8030, 7.2). */
export const webPushBytesMax: number = recordSize - headerLength - tagLength - 1

/** True for the uncompressed form of a point on the curve. */
export function isPublicPoint(bytes: Uint8Array): boolean {
  if (bytes.length !== pointLength || bytes[0] !== 4) return false
  try {
    ECDH.convertKey(bytes, curve)
    return true
  } catch {
    return false
  }
}

/**
 * Encrypts for one subscription: RFC 8291 over RFC 8188, a single record, with a key pair made for this message alone.
 *
 * @param salt 16 bytes, random, never used twice.
 * @param ownPrivateKey of the published vector; else one is made.
 * @throws Error for a point that is none, and for more than {@link webPushBytesMax}.
 */
export function encryptWebPush(
  plain: Uint8Array,
  { p256dh, auth }: SubscriptionKeys,
  salt: Uint8Array,
  ownPrivateKey?: Uint8Array,
): Uint8Array {
  if (plain.length > webPushBytesMax) throw new Error('The message is too long for one record.')
  const own = createECDH(curve)
  if (ownPrivateKey === undefined) own.generateKeys()
  else own.setPrivateKey(ownPrivateKey)
  const ownPoint = own.getPublicKey()
  const shared = own.computeSecret(p256dh)
  const keyInfo = Buffer.concat([Buffer.from('WebPush: info\0'), p256dh, ownPoint])
  const keying = derive(shared, auth, keyInfo, 32)
  const key = derive(keying, salt, Buffer.from('Content-Encoding: aes128gcm\0'), 16)
  const nonce = derive(keying, salt, Buffer.from('Content-Encoding: nonce\0'), 12)
  const header = Buffer.alloc(headerLength)
  header.set(salt, 0)
  header.writeUInt32BE(recordSize, saltLength)
  header.writeUInt8(pointLength, saltLength + 4)
  header.set(ownPoint, saltLength + 5)
  const cipher = createCipheriv('aes-128-gcm', key, nonce)
  // 2 ends the last record (RFC 8188, section 2).
  const content = [cipher.update(plain), cipher.update(Buffer.of(2)), cipher.final()]
  return Buffer.concat([header, ...content, cipher.getAuthTag()])
}

function derive(key: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Buffer {
  return Buffer.from(hkdfSync('sha256', key, salt, info, length))
}
