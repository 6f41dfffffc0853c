import type { Caller } from '../callers/caller.ts'
import { DomainError } from '../errors.ts'
import type { Stores } from '../storage.ts'
import {
  type Assignment,
  type AssignmentStatus,
  type AssignmentTerms,
  assignmentsPerTokenMax,
  checkValidity,
  withinToken,
} from './assignment.ts'
import { type OtpToken, requireActive, tokenNotFound, tokenTarget } from './otp-token.ts'
import { tellOfToken } from './token-document.ts'

/** One user is to get a token. */
export interface Assigning {
  readonly token: OtpToken
  readonly userId: string
  /** False: the user becomes the owner. */
  readonly isShared: boolean
  readonly terms: AssignmentTerms
  readonly status: AssignmentStatus
  readonly pinHash: string | null
  readonly id: string
  readonly nowMs: number
}

/** The token as it stays until the transaction ends. @throws DomainError `token_not_found`. */
export async function holdToken(
  { otpTokens }: Stores,
  tenantId: string,
  tokenId: string,
): Promise<OtpToken> {
  const token = (await otpTokens.hold(tenantId, tokenId))
    ? await otpTokens.find(tenantId, tokenId)
    : undefined
  if (token === undefined) throw tokenNotFound()
  return token
}

/**
 * Assigns a held token, in the running transaction, and records it.
 *
 * @throws DomainError `token_not_active`, `user_not_found`, `already_assigned`, `owned_by_other`, `limit_reached`;
 *   `invalid_request` for a validity that ends before it begins.
 */
export async function assign(
  stores: Stores,
  caller: Caller,
  { token, userId, isShared, terms, status, pinHash, id, nowMs }: Assigning,
): Promise<Assignment> {
  const { tenantId, id: tokenId } = token
  requireActive(token)
  if (!(await stores.users.hold(tenantId, userId))) {
    throw new DomainError('user_not_found', 'No such user.', { pointer: '/user' })
  }
  const holders = await stores.assignments.listOfToken(tenantId, tokenId)
  if (holders.some((holder) => holder.userId === userId)) throw alreadyAssigned()
  if (!isShared && holders.some(({ isOwner }) => isOwner)) throw ownedByOther()
  if (holders.length >= assignmentsPerTokenMax) {
    throw new DomainError('limit_reached', `A token has at most ${assignmentsPerTokenMax} users.`)
  }
  const { startsAtMs = null, expiresAtMs = null, usageLimit = 0, priority = 0 } = terms
  const validity = withinToken(token, { startsAtMs, expiresAtMs })
  checkValidity(validity)
  const assignment: Assignment = {
    tenantId,
    tokenId,
    userId,
    id,
    isOwner: !isShared,
    status,
    pinHash,
    failureCount: 0,
    lockedUntilMs: null,
    lockReason: status === 'LOCKED' ? 'ADMINISTRATOR' : null,
    ...validity,
    usageLimit,
    useCount: 0,
    priority,
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
  }
  if (!(await stores.assignments.insert(assignment))) {
    throw isShared ? alreadyAssigned() : ownedByOther()
  }
  await stores.journal.append(caller, tenantId, {
    action: 'otp-token.assigned',
    target: tokenTarget(tokenId),
    userId,
    detail: { serial: token.serial, isOwner: !isShared, hasPin: pinHash !== null, status },
  })
  await tellOfToken(stores, 'otp-token.assigned', assignment, nowMs)
  return assignment
}

function alreadyAssigned(): DomainError {
  return new DomainError('already_assigned', 'The token is already assigned to this user.')
}

function ownedByOther(): DomainError {
  return new DomainError('owned_by_other', 'The token is owned by another user.')
}
