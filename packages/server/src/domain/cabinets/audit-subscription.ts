import { MemberCheck } from '../users/name-text.ts'

export type SubscriptionStatus = 'ACTIVE' | 'PAUSED'

/** How a customer wants to be told of audit events. */
export interface SubscriptionDraft {
  readonly endpointUrl: string
  /** Events that came before are not told. */
  readonly startAtMs: number
  /** Most events of a message. */
  readonly fetchLimit: number
  /** Between two messages. */
  readonly readIntervalSeconds: number
}

/** A customer has one at most. */
export interface AuditSubscription extends SubscriptionDraft {
  readonly tenantId: string
  /** Unique on the server. */
  readonly id: number
  readonly status: SubscriptionStatus
  readonly lastReadAtMs: number | null
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

const urlLengthMax = 2048

/** @throws DomainError `invalid_request`, with pointers in the members' names of the OKM contract. */
export function checkSubscription(draft: SubscriptionDraft): void {
  const check = new MemberCheck()
  const range = (name: string, value: number, min: number, max: number): void => {
    if (Number.isInteger(value) && value >= min && value <= max) return
    check.add(`/${name}`, 'out_of_range', `must be between ${min} and ${max}`)
  }
  const { endpointUrl } = draft
  if (endpointUrl.length > urlLengthMax || !URL.canParse(endpointUrl)) {
    check.add('/endpoint_url', 'bad_format', 'must be a URL')
  }
  if (!Number.isSafeInteger(draft.startAtMs)) {
    check.add('/start_time', 'bad_format', 'must be a time')
  }
  range('fetch_limit', draft.fetchLimit, 1, 1_000)
  range('read_interval', draft.readIntervalSeconds, 1, 86_400)
  check.finish()
}
