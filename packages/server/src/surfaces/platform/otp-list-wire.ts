import type { OtpList } from '#domain/otp-lists/otp-list.ts'
import type { OtpListMethod } from '#domain/otp-lists/otp-list-method.ts'
import type { Schemas } from './contract.gen.ts'
import { toInstant, toInstantOrNull } from './wire.ts'

/** A list method as the contract shows it. */
export function toOtpListMethod(method: OtpListMethod): Schemas['OtpListMethod'] {
  const { name, description, otpWindowSize, otpLength, otpAlphabet, listSize, order } = method
  const { indexFormat, indexBlockSize, renewThreshold, maxFailures, lockSeconds } = method
  const { freeListMaxAgeSeconds, associatedListMaxAgeSeconds, maxAgeLimitSeconds } = method
  return {
    name,
    description,
    otpWindowSize,
    otpLength,
    otpAlphabet,
    listSize,
    order,
    indexFormat,
    indexBlockSize,
    freeListMaxAgeSeconds,
    associatedListMaxAgeSeconds,
    maxAgeLimitSeconds,
    renewThreshold,
    maxFailures,
    lockSeconds,
    createdAt: toInstant(method.createdAtMs),
    updatedAt: toInstant(method.updatedAtMs),
  }
}

/** A list as the contract shows it; never with codes. */
export function toOtpList(list: OtpList): Schemas['OtpList'] {
  const { id, method, status, userId, size, remaining, nextIndex } = list
  return {
    id,
    method,
    status,
    userId,
    size,
    remaining,
    nextIndex,
    expiresAt: toInstantOrNull(list.expiresAtMs),
    createdAt: toInstant(list.createdAtMs),
    updatedAt: toInstant(list.updatedAtMs),
  }
}
