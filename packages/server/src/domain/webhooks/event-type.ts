/** Everything that webhooks can tell: `EventType` of the contract, in its order. */
export const eventTypes = [
  'approval.created',
  'approval.retrieved',
  'approval.approved',
  'approval.rejected',
  'approval.expired',
  'approval.cancelled',
  'audit.checkpoint-created',
  'certificate.issued',
  'certificate.revoked',
  'device.deleted',
  'device.enrolled',
  'device.locked',
  'device.unlocked',
  'otp-list.activated',
  'otp-list.renew-due',
  'otp-token.assigned',
  'otp-token.unassigned',
  'user.created',
  'user.deleted',
  'user.locked',
  'user.unlocked',
  'user.updated',
  'webhook.test',
] as const

export type EventType = (typeof eventTypes)[number]
