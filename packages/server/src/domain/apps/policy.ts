import { DomainError } from '../errors.ts'
import { characterCount, isStorable } from '../users/name-text.ts'
import type { RegistrationPolicy } from './registration-policy.ts'

/** A rule of registration under a name, and what it is assigned to. */
export interface Policy {
  readonly name: string
  readonly rule: RegistrationPolicy
  readonly assignments: readonly PolicyAssignment[]
}

/** One thing that a policy is assigned to; what is absent counts for all. */
export interface AssignmentTarget {
  readonly appName: string
  readonly platform?: string | undefined
  readonly architecture?: string | undefined
}

export interface PolicyAssignment extends AssignmentTarget {
  readonly id: string
}

/** The built-in policy: it is assigned to whatever has no other, and may be assigned like any. */
export const defaultPolicyName = 'registrationUser'

/** Policies are listed in one go. */
export const policiesPerTenantMax = 200
/** Assignments are listed with their policies. */
export const assignmentsPerTenantMax = 2_000
const nameCharactersMax = 50

/** True for names that policies can have: 1 to 50 characters, no control characters. */
export function isPolicyName(name: string): boolean {
  if (name === '' || name.length > 2 * nameCharactersMax || !isStorable(name)) return false
  return characterCount(name) <= nameCharactersMax && ![...name].some(isControl)
}

function isControl(character: string): boolean {
  return character < ' ' || character === '\x7f'
}

export function policyNotFound(): DomainError {
  return new DomainError('policy_not_found', 'No such policy.')
}
