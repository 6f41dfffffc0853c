import { DomainError } from '../errors.ts'
import { MemberCheck } from '../users/name-text.ts'

export type AssignmentStatus = 'ACTIVE' | 'INACTIVE' | 'LOCKED' | 'DISABLED'
export type LockReason = 'FAILURES' | 'ADMINISTRATOR'

/** A token in the hands of one user. */
export interface Assignment {
  readonly tenantId: string
  readonly tokenId: string
  readonly userId: string
  readonly id: string
  /** One user owns a token; all others share it. */
  readonly isOwner: boolean
  readonly status: AssignmentStatus
  /** argon2id; null: no PIN is asked for. */
  readonly pinHash: string | null
  readonly failureCount: number
  /** Null while LOCKED: until unlocked. */
  readonly lockedUntilMs: number | null
  /** Null while not LOCKED. */
  readonly lockReason: LockReason | null
  readonly startsAtMs: number | null
  readonly expiresAtMs: number | null
  /** Successful verifications allowed in all; 0: unlimited. */
  readonly usageLimit: number
  readonly useCount: number
  /** Lower is tried first. */
  readonly priority: number
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

/** When and how often a user may use a token. */
export interface AssignmentTerms {
  readonly startsAtMs?: number | null | undefined
  readonly expiresAtMs?: number | null | undefined
  readonly usageLimit?: number | undefined
  readonly priority?: number | undefined
}

/** What a change may say; absent members stay. A PIN of null is taken away. */
export interface AssignmentChanges extends AssignmentTerms {
  readonly status?: AssignmentStatus | undefined
  readonly pin?: string | null | undefined
}

export const assignmentsPerTokenMax = 100
export const usageLimitMax = 1_000_000
export const priorityMax = 1000
export const pinPattern = /^[0-9A-Za-z]{4,16}$/

/** As it counts at a moment: a timed lock that has ended is none, and its failures are forgotten. */
export function asOf(assignment: Assignment, nowMs: number): Assignment {
  const { status, lockedUntilMs } = assignment
  if (status !== 'LOCKED' || lockedUntilMs === null || nowMs < lockedUntilMs) return assignment
  return { ...assignment, status: 'ACTIVE', failureCount: 0, lockedUntilMs: null, lockReason: null }
}

/** @throws DomainError `invalid_request` naming every member that is out of range. */
export function checkTerms(terms: AssignmentTerms): void {
  const check = new MemberCheck()
  const checkRange = (name: 'usageLimit' | 'priority', max: number) => {
    const value = terms[name]
    if (value !== undefined && !(Number.isInteger(value) && value >= 0 && value <= max)) {
      check.add(`/${name}`, 'out_of_range', `must be from 0 to ${max}`)
    }
  }
  checkRange('usageLimit', usageLimitMax)
  checkRange('priority', priorityMax)
  check.finish()
}

/** @throws DomainError `invalid_request` for a validity that ends before it begins. */
export function checkValidity({ startsAtMs, expiresAtMs }: Validity): void {
  if (startsAtMs === null || expiresAtMs === null || startsAtMs < expiresAtMs) return
  const message = 'must be after startsAt'
  throw new DomainError('invalid_request', `The end ${message}.`, {
    faults: [{ pointer: '/expiresAt', code: 'out_of_range', message }],
  })
}

/** @throws DomainError `invalid_request`; the PIN is not repeated. */
export function checkPin(pin: string): void {
  if (pinPattern.test(pin)) return
  const message = 'must be 4 to 16 letters or digits'
  throw new DomainError('invalid_request', `The PIN ${message}.`, {
    faults: [{ pointer: '/pin', code: 'bad_format', message }],
  })
}

/** From when and until when; null: no bound. */
export interface Validity {
  readonly startsAtMs: number | null
  readonly expiresAtMs: number | null
}

/** The part of the wanted validity that the token's maker allows. */
export function withinToken(token: Validity, wanted: Validity): Validity {
  return {
    startsAtMs: later(token.startsAtMs, wanted.startsAtMs),
    expiresAtMs: earlier(token.expiresAtMs, wanted.expiresAtMs),
  }
}

export function assignmentNotFound(): DomainError {
  return new DomainError('assignment_not_found', 'The token is not assigned to this user.')
}

function later(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : Math.max(one, other)
}

function earlier(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : Math.min(one, other)
}
