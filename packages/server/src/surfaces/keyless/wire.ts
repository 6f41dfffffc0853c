import type { JwtFlaw } from '#domain/approvals/customer-jwt-check.ts'
import type { Factor } from '#domain/devices/device.ts'
import type { Schemas } from './contract.gen.ts'

/** `LocalDateTime`: UTC without a zone, fractions of a second without trailing zeros. */
export function toLocalDateTime(atMs: number): string {
  return new Date(atMs)
    .toISOString()
    .slice(0, -1)
    .replace(/\.?0+$/, (zeros, at) => (at < 19 ? zeros : ''))
}

/** Factors in the words of this API. */
export const wireFactor = {
  bio: 'biom',
  pin: 'pin',
} as const satisfies Record<Factor, Schemas['AuthType']>

/** The other way round. */
export const coreFactor = {
  biom: 'bio',
  pin: 'pin',
} as const satisfies Record<Schemas['AuthType'], Factor>

export const wireFlaw = {
  unsupported_algorithm: 'unsupported-algorithm',
  unknown_key: 'unknown-key',
  bad_signature: 'bad-signature',
  wrong_issuer: 'wrong-issuer',
  expired: 'expired',
} as const satisfies Record<JwtFlaw, Schemas['VerifyJwtResponse']['reason']>

/** On every answer but the key set: what is asked of users is kept by nobody on the way. */
export const noStore = { 'cache-control': 'no-store' } as const

export const success = { success: true } as const
