import type { EventData, WebhookEvent } from '../webhooks/event-store.ts'
import type { EventType } from '../webhooks/event-type.ts'
import type { Approval } from './approval.ts'
import { approvalView } from './approval-view.ts'

/** What webhooks hear of an approval: what the native API answers. */
export function approvalEvent(
  type: Extract<EventType, `approval.${string}`>,
  approval: Approval,
): WebhookEvent {
  return { type, data: { approval: approvalView(approval) } satisfies EventData }
}
