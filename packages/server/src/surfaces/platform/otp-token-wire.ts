import type { Assignment } from '#domain/otp-tokens/assignment.ts'
import type { HeldToken } from '#domain/otp-tokens/otp-token.ts'
import { assignmentDocument, tokenDocument } from '#domain/otp-tokens/token-document.ts'
import type { Schemas } from './contract.gen.ts'

/** A token as the contract shows it. */
export function toOtpToken(token: HeldToken): Schemas['OtpToken'] {
  return tokenDocument(token)
}

/** An assignment as the contract shows it; of the PIN only that there is one. */
export function toAssignment(assignment: Assignment): Schemas['OtpTokenAssignment'] {
  return assignmentDocument(assignment)
}
