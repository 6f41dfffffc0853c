import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type KeyObject,
} from 'node:crypto'
import type { Randomness } from './randomness.ts'

const nonceLength = 12
const tagLength = 16
const keyLength = 32

/** The one key that is not in the database. It wraps tenants' data keys and never touches data. */
export class MasterKey {
  /** Names the key without telling anything about it: 16 hex digits. */
  readonly id: string
  readonly #key: KeyObject

  /** @param bytes 32 bytes. */
  constructor(bytes: Uint8Array) {
    if (bytes.length !== keyLength) throw new RangeError('A master key has 32 bytes.')
    this.#key = createSecretKey(bytes)
    this.id = createHmac('sha256', bytes)
      .update('countersign master key id')
      .digest('hex')
      .slice(0, 16)
  }

  /** @returns nonce, ciphertext and tag; `place` must be the same when it is unwrapped. */
  wrap(dataKey: Uint8Array, place: string, randomness: Randomness): Uint8Array {
    const nonce = randomness(nonceLength)
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce)
    cipher.setAAD(Buffer.from(`countersign-wrap-v1\n${place}`))
    return Buffer.concat([nonce, cipher.update(dataKey), cipher.final(), cipher.getAuthTag()])
  }

  /** @returns undefined when this is another key, another place, or a changed value. */
  unwrap(wrapped: Uint8Array, place: string): Uint8Array | undefined {
    if (wrapped.length !== nonceLength + keyLength + tagLength) return undefined
    const decipher = createDecipheriv('aes-256-gcm', this.#key, wrapped.subarray(0, nonceLength))
    decipher.setAAD(Buffer.from(`countersign-wrap-v1\n${place}`))
    decipher.setAuthTag(wrapped.subarray(-tagLength))
    try {
      return Buffer.concat([
        decipher.update(wrapped.subarray(nonceLength, -tagLength)),
        decipher.final(),
      ])
    } catch {
      return undefined
    }
  }

  toString(): string {
    return '[secret]'
  }

  toJSON(): string {
    return '[secret]'
  }
}
