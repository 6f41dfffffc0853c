import { DomainError } from '../errors.ts'
import type { UserReference } from '../users/user-resolver.ts'
import type { OtpListMethod } from './otp-list-method.ts'

export const listsPerCallMax = 1_000
export const codesPerCallMax = 100_000

/** Lists to be made. At most one of `expiresAtMs` and `maxAgeSeconds`; neither: as the method says. */
export interface NewOtpLists {
  readonly method: string
  /** 1 unless said otherwise. */
  readonly count?: number | undefined
  readonly expiresAtMs?: number | undefined
  readonly maxAgeSeconds?: number | undefined
  /** Gets the list at once; the count must be 1 then. */
  readonly user?: UserReference | undefined
}

/** @throws DomainError `invalid_request`. */
export function requireCount({ count = 1, user }: NewOtpLists, method: OtpListMethod): number {
  if (!Number.isInteger(count) || count < 1 || count > listsPerCallMax) {
    throw refusal('/count', 'out_of_range', `must be from 1 to ${listsPerCallMax}`)
  }
  if (user !== undefined && count !== 1) {
    throw refusal('/count', 'mutually_exclusive', 'must be 1 for a list that a user gets at once')
  }
  if (count * method.listSize > codesPerCallMax) {
    throw refusal('/count', 'out_of_range', `must not make more than ${codesPerCallMax} codes`)
  }
  return count
}

/**
 * The instant at which a free list expires.
 *
 * @throws DomainError `invalid_request` in the past, beyond the method's limit, and for both ways to say it at once.
 */
export function expiryOf(
  { expiresAtMs, maxAgeSeconds }: NewOtpLists,
  { freeListMaxAgeSeconds, maxAgeLimitSeconds }: OtpListMethod,
  nowMs: number,
): number {
  const latestMs = nowMs + maxAgeLimitSeconds * 1_000
  if (expiresAtMs !== undefined && maxAgeSeconds !== undefined) {
    throw refusal('/maxAgeSeconds', 'mutually_exclusive', 'must not stand beside an expiry')
  }
  if (expiresAtMs !== undefined) {
    if (expiresAtMs <= nowMs) {
      throw refusal('/expiresAt', 'out_of_range', 'must be in the future')
    }
    if (expiresAtMs > latestMs) {
      throw refusal('/expiresAt', 'out_of_range', 'must be within the limit of the method')
    }
    return expiresAtMs
  }
  if (maxAgeSeconds === undefined) {
    return Math.min(nowMs + freeListMaxAgeSeconds * 1_000, latestMs)
  }
  if (!Number.isInteger(maxAgeSeconds) || maxAgeSeconds < 1 || maxAgeSeconds > maxAgeLimitSeconds) {
    throw refusal('/maxAgeSeconds', 'out_of_range', 'must be within the limit of the method')
  }
  return nowMs + maxAgeSeconds * 1_000
}

function refusal(pointer: string, code: string, message: string): DomainError {
  return new DomainError('invalid_request', 'The lists cannot be made.', {
    faults: [{ pointer, code, message }],
  })
}
