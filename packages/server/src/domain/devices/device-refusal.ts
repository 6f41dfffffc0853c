/** Every reason the device protocol has for refusing, `x-problem-codes` of its contract; statuses are the surface's. */
export type DeviceRefusalCode =
  | 'use_dpop_nonce'
  | 'invalid_scope'
  | 'token_invalid'
  | 'dpop_invalid'
  | 'client_invalid'
  | 'code_invalid'
  | 'proof_invalid'
  | 'clock_skew'
  | 'replayed'
  | 'device_locked'
  | 'tenant_disabled'
  | 'user_disabled'
  | 'not_linked'
  | 'version_unknown'
  | 'version_locked'
  | 'integrity_mismatch'
  | 'app_not_registered'
  | 'factor_required'
  | 'factor_rejected'
  | 'factor_locked'
  | 'factor_not_allowed'
  | 'verification_required'
  | 'scope_missing'
  | 'authentication_too_old'
  | 'operation_not_allowed'
  | 'property_read_only'
  | 'not_found'
  | 'device_key_known'
  | 'limit_reached'
  | 'last_factor'
  | 'signer_unavailable'
  | 'certificate_pending'
  | 'approval_not_retrieved'
  | 'approval_final'
  | 'no_decision_expected'
  | 'content_mismatch'
  | 'reference_used'
  | 'version_conflict'
  | 'csr_invalid'
  | 'key_not_allowed'
  | 'signature_invalid'
  | 'certificate_not_usable'
  | 'value_invalid'

/** What a device may learn beside the code. */
export interface DeviceRefusalFacts {
  /** For developers: English, no secret. */
  readonly detail?: string | undefined
  /** With `clock_skew`. */
  readonly serverTimeMs?: number | undefined
  /** With `device_locked`. */
  readonly lockReason?: string | undefined
  /** With `factor_rejected`. */
  readonly attemptsLeft?: number | undefined
  /** With `factor_locked`. */
  readonly retryAfterSeconds?: number | undefined
  /** With `scope_missing`. */
  readonly scope?: string | undefined
  /** With `authentication_too_old`, epoch seconds. */
  readonly authTimeAtLeast?: number | undefined
  /** With `approval_final`. */
  readonly approvalStatus?: string | undefined
  readonly decidedByThisDevice?: boolean | undefined
}

/** A device is refused. Only surfaces that devices call get these; whatever they share with others is a DomainError. */
export class DeviceRefusal extends Error {
  override readonly name = 'DeviceRefusal'
  readonly code: DeviceRefusalCode
  readonly facts: DeviceRefusalFacts

  constructor(code: DeviceRefusalCode, facts: DeviceRefusalFacts = {}) {
    super(facts.detail ?? code)
    this.code = code
    this.facts = facts
  }
}
