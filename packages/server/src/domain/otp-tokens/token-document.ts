import type { Stores } from '../storage.ts'
import { type Assignment, asOf } from './assignment.ts'
import type { HeldToken } from './otp-token.ts'

/** A token as the platform API shows one, in replies and in events: `OtpToken` of its contract. */
export function tokenDocument(token: HeldToken) {
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
    assignments: token.assignments.map(assignmentDocument),
    createdAt: instant(token.createdAtMs),
    updatedAt: instant(token.updatedAtMs),
  }
}

/** An assignment as the platform API shows one: `OtpTokenAssignment`. Of the PIN only that there is one. */
export function assignmentDocument(assignment: Assignment) {
  const { userId, isOwner, status, failureCount, usageLimit, priority } = assignment
  return {
    userId,
    isOwner,
    status,
    hasPin: assignment.pinHash !== null,
    failureCount,
    lockedUntil: instantOrNull(assignment.lockedUntilMs),
    startsAt: instantOrNull(assignment.startsAtMs),
    expiresAt: instantOrNull(assignment.expiresAtMs),
    usageLimit,
    priority,
    createdAt: instant(assignment.createdAtMs),
    updatedAt: instant(assignment.updatedAtMs),
  }
}

/** Tells webhooks in the running transaction who got or lost a token; read only if somebody wants to hear of it. */
export async function tellOfToken(
  { events, otpTokens, assignments }: Stores,
  type: 'otp-token.assigned' | 'otp-token.unassigned',
  { tenantId, tokenId, userId }: { tenantId: string; tokenId: string; userId: string },
  nowMs: number,
): Promise<void> {
  const data = async () => {
    const token = await otpTokens.find(tenantId, tokenId)
    if (token === undefined) return { userId }
    const held = await assignments.listOfToken(tenantId, tokenId)
    const document = tokenDocument({ ...token, assignments: held.map((one) => asOf(one, nowMs)) })
    return { token: document, userId }
  }
  await events.append(tenantId, { type, data })
}

function instant(atMs: number): string {
  return new Date(atMs).toISOString()
}

function instantOrNull(atMs: number | null): string | null {
  return atMs === null ? null : instant(atMs)
}
