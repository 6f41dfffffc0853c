import type { Assignment } from '#domain/otp-tokens/assignment.ts'
import type { HeldToken } from '#domain/otp-tokens/otp-token.ts'
import type { Schemas } from './contract.gen.ts'
import { toInstant, toInstantOrNull } from './wire.ts'

/** A token as the contract shows it. */
export function toOtpToken(token: HeldToken): Schemas['OtpToken'] {
  const { id, serial, type, algorithm, digits, counter, driftSteps, status } = token
  const { description, origin, confined } = token
  const { manufacturerCode, productCode } = token.product
  return {
    id,
    serial,
    product: { manufacturerCode, productCode },
    type,
    algorithm,
    digits,
    period: token.periodSeconds,
    counter,
    driftSteps,
    status,
    description,
    origin,
    confined,
    assignments: token.assignments.map(toAssignment),
    createdAt: toInstant(token.createdAtMs),
    updatedAt: toInstant(token.updatedAtMs),
  }
}

/** An assignment as the contract shows it; of the PIN only that there is one. */
export function toAssignment(assignment: Assignment): Schemas['OtpTokenAssignment'] {
  const { userId, isOwner, status, failureCount, usageLimit, priority } = assignment
  return {
    userId,
    isOwner,
    status,
    hasPin: assignment.pinHash !== null,
    failureCount,
    lockedUntil: toInstantOrNull(assignment.lockedUntilMs),
    startsAt: toInstantOrNull(assignment.startsAtMs),
    expiresAt: toInstantOrNull(assignment.expiresAtMs),
    usageLimit,
    priority,
    createdAt: toInstant(assignment.createdAtMs),
    updatedAt: toInstant(assignment.updatedAtMs),
  }
}
