import { createHmac } from 'node:crypto'

const secretPrefix = 'whsec_'

/** The key in a callback secret: `whsec_` and its bytes in base64. */
export function keyOf(secret: string): Uint8Array {
  return Buffer.from(secret.slice(secretPrefix.length), 'base64')
}

/** The headers by which receivers of OKM calls know who calls: HMAC-SHA-256 over the time in seconds, a dot and the body. */
export function signatureHeaders(
  key: Uint8Array,
  nowMs: number,
  body: Uint8Array,
): Readonly<Record<string, string>> {
  const timestamp = String(Math.floor(nowMs / 1000))
  const mac = createHmac('sha256', key).update(`${timestamp}.`).update(body).digest('hex')
  return { 'x-countersign-timestamp': timestamp, 'x-countersign-signature': `sha256=${mac}` }
}
