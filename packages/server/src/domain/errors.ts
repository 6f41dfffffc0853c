/** Things that do not exist, or that this caller may not see. */
export const missingReasons = [
  'tenant_not_found',
  'account_not_found',
  'issuer_not_found',
  'domain_not_found',
  'user_not_found',
  'identifier_not_found',
  'product_not_found',
  'repository_not_found',
  'token_not_found',
  'assignment_not_found',
  'ticket_not_found',
  'webhook_not_found',
  'record_not_found',
  'cabinet_not_found',
  'cabinet_user_not_found',
  'acl_not_found',
  'acl_link_not_found',
  'firmware_not_found',
  'subscription_not_found',
  'enrolment_code_not_found',
  'device_not_found',
  'method_not_found',
  'list_not_found',
  'certificate_not_found',
  'signer_not_found',
  'approval_not_found',
  'property_not_found',
  'template_not_found',
  'version_not_found',
  'platform_not_found',
  'app_not_found',
  'policy_not_found',
  'policy_assignment_not_found',
  'registration_not_found',
] as const

/** The state of things is in the way. */
export const stateReasons = [
  'already_exists',
  'already_assigned',
  'not_assigned',
  'owned_by_other',
  'in_use',
  'state_conflict',
  'token_not_active',
  'token_confined',
  'assignment_not_active',
  'assignment_locked',
  'list_not_free',
  'user_disabled',
  'tenant_disabled',
  'not_supported',
  'limit_reached',
  'no_matching_device',
  'approval_final',
  'not_signed',
  'idempotency_key_reused',
  'idempotency_in_progress',
  'one_time_output_gone',
] as const

/** Every reason the core can give for not carrying out a request. */
export type ErrorCode =
  // The request
  | 'invalid_request'
  | 'cursor_invalid'
  | 'url_not_allowed'
  | 'import_format_unknown'
  | 'import_rejected'
  | 'import_key_required'
  | 'ambiguous_reference'
  // The caller
  | 'unauthenticated'
  | 'forbidden'
  | 'not_grantable'
  | 'device_not_trusted'
  | 'too_many_requests'
  | (typeof missingReasons)[number]
  | (typeof stateReasons)[number]
  // The server
  | 'unavailable'

/** One fault of one member of a request. */
export interface Fault {
  /** JSON Pointer into the body, or `query:<name>`, `header:<name>`. */
  readonly pointer: string
  /** required, unknown_member, wrong_type, out_of_range, bad_format, not_unique, mutually_exclusive, not_found, duplicate, bad_secret, bad_mac, key_required, unsupported */
  readonly code: string
  readonly message: string
  /** Entry of an import file, from 1. */
  readonly index?: number
}

export interface DomainErrorOptions {
  readonly cause?: unknown
  /** What is wrong, member by member; at most 1000 are kept. */
  readonly faults?: readonly Fault[]
  /** Set when the missing or ambiguous thing was named in the body: where. */
  readonly pointer?: string
  /** For `too_many_requests` and `unavailable`: seconds until a repeat makes sense. */
  readonly retryAfterSeconds?: number
}

const faultsMax = 1000

/**
 * The core refuses. `message` is safe for the caller, `cause` is for the operator's log.
 * A negative decision (a wrong code) is never one of these.
 */
export class DomainError extends Error {
  override readonly name = 'DomainError'
  readonly code: ErrorCode
  readonly faults: readonly Fault[]
  readonly pointer: string | undefined
  readonly retryAfterSeconds: number | undefined

  constructor(code: ErrorCode, message: string, options: DomainErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.faults = (options.faults ?? []).slice(0, faultsMax)
    this.pointer = options.pointer
    this.retryAfterSeconds = options.retryAfterSeconds
  }
}
