import type { UserReference } from '../users/user-resolver.ts'
import type { ListRestriction } from './list-search.ts'

/** What a code was found to be (platform.md, section 4). */
export type VerificationResult =
  | 'ACCEPTED'
  | 'REJECTED'
  | 'LOCKED'
  | 'RESYNC_REQUIRED'
  | 'NO_CREDENTIAL'

/** Why. Told to callers who may read the tenant, and recorded in any case. */
export type VerificationReason =
  | 'WRONG_CODE'
  | 'REPLAYED'
  | 'WRONG_PIN'
  | 'USER_UNKNOWN'
  | 'USER_DISABLED'
  | 'USER_LOCKED'
  | 'CREDENTIAL_LOCKED'
  | 'NO_USABLE_CREDENTIAL'
  | 'OUT_OF_SYNC'

/** One token; without a user, as its owner holds it. */
export type TokenReference =
  | { readonly id: string }
  | {
      readonly serial: string
      readonly product?: { readonly manufacturerCode: string; readonly productCode: string }
    }

/** Goes to the journal and nowhere else. */
export interface VerificationContext {
  readonly address?: string
  readonly userAgent?: string
  readonly application?: string
  readonly transactionId?: string
}

export interface VerificationRequest {
  readonly user?: UserReference
  readonly token?: TokenReference
  readonly code: string
  readonly pin?: string
  /** True where a PIN may stand in front of the code, as DualShield has it. */
  readonly pinMayLead?: boolean
  /** `token`, `list` or `list:<name>`, tried in this order; absent: tokens, then lists. */
  readonly methods?: readonly string[]
  /** Of printed lists, only this one, only the code with this label. */
  readonly list?: ListRestriction
  readonly context?: VerificationContext
  /** True for a logon: the user's last login is set as well. */
  readonly isLogon?: boolean
}

/** Why a token that was named cannot be used, for surfaces that tell it. */
export type UnusableReason =
  | 'not_assigned'
  | 'token_not_active'
  | 'assignment_not_active'
  | 'not_yet_valid'
  | 'expired'
  | 'usage_limit_reached'
  | 'used_up'

/** What accepted a code. */
export type MatchedCredential =
  | { readonly kind: 'TOKEN'; readonly tokenId: string; readonly serial: string }
  | {
      readonly kind: 'LIST'
      readonly listId: string
      readonly method: string
      /** Label of the code on the sheet. */
      readonly index: string
      /** Codes that are left now. */
      readonly remaining: number
      /** True: a new sheet is due. */
      readonly renew: boolean
    }

/** The decision, whole. What of it a caller may see is `visibleTo`'s matter. */
export interface Verification {
  readonly result: VerificationResult
  readonly reason: VerificationReason | undefined
  readonly userId: string | undefined
  /** What accepted the code. */
  readonly credential: MatchedCredential | undefined
  /** LOCKED for a limited time: seconds, at least 1. */
  readonly retryAfterSeconds: number | undefined
  /** The instant at which that time ends. */
  readonly lockedUntilMs: number | undefined
  /** Failures until the next lock. */
  readonly attemptsLeft: number | undefined
  readonly unusable: UnusableReason | undefined
  /** ULID of the journal record of this attempt. */
  readonly auditId: string
}
