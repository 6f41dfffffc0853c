import { createHmac, hash, timingSafeEqual } from 'node:crypto'
import type { Randomness } from './randomness.ts'

/** A new API secret of three parts of 32 hex digits with dots between them. Shown once. */
export function newDottedSecret(randomness: Randomness): string {
  return [16, 16, 16].map((length) => Buffer.from(randomness(length)).toString('hex')).join('.')
}

/** A new API secret: `csk_` and 32 random bytes in base64url. Shown once. */
export function newApiSecret(randomness: Randomness): string {
  return `csk_${Buffer.from(randomness(32)).toString('base64url')}`
}

/** 256 random bits as base64url: tickets, codes in links. */
export function newTicket(randomness: Randomness): string {
  return Buffer.from(randomness(32)).toString('base64url')
}

/** SHA-256 as lower-case hex. For secrets only when they carry 128 random bits or more. */
export function sha256Hex(text: string | Uint8Array): string {
  return hash('sha256', text, 'hex')
}

/** HMAC-SHA-256 as lower-case hex. */
export function keyedHashHex(key: Uint8Array, text: string | Uint8Array): string {
  return createHmac('sha256', key).update(text).digest('hex')
}

/** Compares in constant time; texts of different length are unequal. */
export function secretsEqual(one: string, other: string): boolean {
  const left = Buffer.from(one)
  const right = Buffer.from(other)
  return left.length === right.length && timingSafeEqual(left, right)
}
