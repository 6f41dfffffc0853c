import { createHmac } from 'node:crypto'

const prefix = 'whsec_'
const keyBytesMin = 24
const keyBytesMax = 64

/** What a signature covers. */
export interface SignedWebhook {
  /** `webhook-id`, the same on every attempt. */
  readonly id: string
  /** `webhook-timestamp`, Unix seconds of this attempt. */
  readonly timestampSeconds: number
  readonly body: Uint8Array
}

/** The key in a secret: `whsec_` and 24 to 64 bytes in base64. Undefined for any other spelling. */
export function webhookKey(secret: string): Uint8Array | undefined {
  if (!secret.startsWith(prefix)) return undefined
  const text = secret.slice(prefix.length)
  const key = Buffer.from(text, 'base64')
  const isCanonical = key.toString('base64') === text
  return isCanonical && key.length >= keyBytesMin && key.length <= keyBytesMax ? key : undefined
}

/** The secret of a key. */
export function webhookSecret(key: Uint8Array): string {
  return prefix + Buffer.from(key).toString('base64')
}

/**
 * `webhook-signature` of Standard Webhooks (symmetric, v1): for each secret the HMAC-SHA256 over
 * `{id}.{timestamp}.{body}`, separated by blanks; a receiver takes the message if it knows one of them.
 */
export function signWebhook(
  { id, timestampSeconds, body }: SignedWebhook,
  secrets: readonly string[],
): string {
  return secrets
    .map((secret) => {
      const key = webhookKey(secret)
      if (key === undefined) throw new RangeError('That is no secret of a webhook.')
      const mac = createHmac('sha256', key).update(`${id}.${timestampSeconds}.`).update(body)
      return `v1,${mac.digest('base64')}`
    })
    .join(' ')
}
