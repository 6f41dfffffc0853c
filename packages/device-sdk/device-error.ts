/** What a device should do about an error: docs/contracts/device.md, section 14. */
export type Advice =
  /** Log in again, then repeat. */
  | 'log_in'
  /** Ask for PIN or biometrics, log in with it, repeat. */
  | 'ask_factor'
  /** Tell the user how many attempts are left, or how long to wait. */
  | 'tell_factor'
  /** Erase the user's data on this device and ask for a new code. */
  | 'erase'
  /** Tell the user and stop; try again slowly. */
  | 'stop'
  /** A fault: retrieve again or renew the certificate. Never sign blindly. */
  | 'retrieve_again'
  /** Close the dialog: it is decided, or gone. */
  | 'close'
  /** Wait, then repeat, each time longer. */
  | 'back_off'
  /** Ask for another code: this one cannot be used. */
  | 'new_code'
  /** What the server says is not what was agreed: trust nothing of it, tell somebody. */
  | 'distrust'
  /** The request was wrong; repeating it changes nothing. */
  | 'give_up'

/** What the SDK finds out itself, beside the server's `x-problem-codes`. */
export type LocalCode =
  | 'unreachable'
  | 'answer_invalid'
  | 'issuer_mismatch'
  | 'anchor_mismatch'
  | 'certificate_wrong'
  | 'content_wrong'
  | 'payload_invalid'
  | 'already_enrolled'
  | 'no_certificate'
  | 'no_factor'
  | 'storage_damaged'

const advices: Readonly<Record<string, Advice>> = {
  token_invalid: 'log_in',
  dpop_invalid: 'log_in',
  client_invalid: 'erase',
  not_linked: 'erase',
  code_invalid: 'new_code',
  device_key_known: 'new_code',
  limit_reached: 'stop',
  device_locked: 'stop',
  user_disabled: 'stop',
  tenant_disabled: 'stop',
  version_locked: 'stop',
  version_unknown: 'stop',
  integrity_mismatch: 'stop',
  app_not_registered: 'stop',
  factor_rejected: 'tell_factor',
  factor_locked: 'tell_factor',
  factor_required: 'ask_factor',
  factor_not_allowed: 'ask_factor',
  scope_missing: 'ask_factor',
  authentication_too_old: 'ask_factor',
  verification_required: 'ask_factor',
  invalid_scope: 'ask_factor',
  content_mismatch: 'retrieve_again',
  signature_invalid: 'retrieve_again',
  certificate_not_usable: 'retrieve_again',
  approval_not_retrieved: 'retrieve_again',
  // The copy is the server's value by then.
  version_conflict: 'retrieve_again',
  approval_final: 'close',
  no_decision_expected: 'close',
  not_found: 'close',
  too_many_requests: 'back_off',
  unavailable: 'back_off',
  internal: 'back_off',
  certificate_pending: 'back_off',
  signer_unavailable: 'back_off',
  // The clock was set, or the nonce taken, and the call repeated once: it is asked for again.
  clock_skew: 'back_off',
  use_dpop_nonce: 'back_off',

  unreachable: 'back_off',
  answer_invalid: 'distrust',
  issuer_mismatch: 'distrust',
  anchor_mismatch: 'distrust',
  certificate_wrong: 'distrust',
  content_wrong: 'distrust',
  payload_invalid: 'new_code',
  already_enrolled: 'give_up',
  no_certificate: 'retrieve_again',
  no_factor: 'ask_factor',
  storage_damaged: 'new_code',
}

/** Members of the server's problem that a device acts on. */
export interface ProblemFacts {
  readonly attemptsLeft?: number
  readonly retryAfterSeconds?: number
  readonly lockReason?: string
  readonly approvalStatus?: string
  readonly decidedByThisDevice?: boolean
  readonly requiredScope?: string
  readonly authTimeAtLeast?: number
  readonly serverTimeMs?: number
}

/** Whatever keeps a device from doing what it was asked for. */
export class DeviceError extends Error {
  override readonly name = 'DeviceError'
  /** A code of the device contract, or a {@link LocalCode}. */
  readonly code: string
  /** HTTP status; undefined for what the SDK found out itself. */
  readonly status: number | undefined
  readonly advice: Advice
  readonly facts: ProblemFacts

  constructor(
    code: LocalCode | (string & {}),
    message: string,
    options: { status?: number; facts?: ProblemFacts; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.status = options.status
    this.advice = Object.hasOwn(advices, code) ? (advices[code] ?? 'give_up') : 'give_up'
    this.facts = options.facts ?? {}
  }
}
