import { createDecipheriv, createECDH, createHmac, randomBytes } from 'node:crypto'

/** The receiving end of Web Push: keys of a subscription, and what a browser does with a message. */
export interface WebPushBrowser {
  readonly keys: { readonly p256dh: Buffer; readonly auth: Buffer }
  /** @throws Error for what is not meant for it. */
  open(message: Uint8Array): Buffer
}

/** Written after RFC 8188 and RFC 8291 step by step, with HMAC alone, apart from the code that encrypts. */
export function createWebPushBrowser(
  given: { privateKey?: Uint8Array; auth?: Uint8Array } = {},
): WebPushBrowser {
  const own = createECDH('prime256v1')
  if (given.privateKey === undefined) own.generateKeys()
  else own.setPrivateKey(given.privateKey)
  const p256dh = own.getPublicKey()
  const auth = Buffer.from(given.auth ?? randomBytes(16))
  return {
    keys: { p256dh, auth },
    open(message) {
      const bytes = Buffer.from(message)
      const salt = bytes.subarray(0, 16)
      const recordSize = bytes.readUInt32BE(16)
      const idLength = bytes.readUInt8(20)
      const sender = bytes.subarray(21, 21 + idLength)
      const record = bytes.subarray(21 + idLength)
      if (record.length > recordSize) throw new Error('There is more than one record.')
      const prkKey = hmac(auth, own.computeSecret(sender))
      const keyInfo = Buffer.concat([Buffer.from('WebPush: info\0'), p256dh, sender])
      const ikm = hmac(prkKey, Buffer.concat([keyInfo, Buffer.of(1)]))
      const prk = hmac(salt, ikm)
      const key = hmac(prk, Buffer.from('Content-Encoding: aes128gcm\0\x01')).subarray(0, 16)
      const nonce = hmac(prk, Buffer.from('Content-Encoding: nonce\0\x01')).subarray(0, 12)
      const decipher = createDecipheriv('aes-128-gcm', key, nonce)
      decipher.setAuthTag(record.subarray(-16))
      const padded = Buffer.concat([decipher.update(record.subarray(0, -16)), decipher.final()])
      const end = padded.findLastIndex((byte) => byte !== 0)
      if (padded[end] !== 2) throw new Error('This is not the last record.')
      return padded.subarray(0, end)
    },
  }
}

function hmac(key: Uint8Array, data: Uint8Array): Buffer {
  return createHmac('sha256', key).update(data).digest()
}
