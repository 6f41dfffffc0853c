import { webhookKey } from '@countersign/protocol/webhook/signature.ts'
import type { Place } from '#custody/vault.ts'
import { DomainError } from '../errors.ts'
import { type EventType, eventTypes } from './event-type.ts'

/** Why nothing is sent: somebody switched it off, it answered 410, or nothing succeeded for five days. */
export type DisabledReason = 'ADMINISTRATOR' | 'GONE' | 'FAILING'

/** Somebody who is told of events. */
export interface WebhookEndpoint {
  readonly tenantId: string
  readonly id: string
  readonly url: string
  readonly description: string
  /** Undefined: all that there are or will be. */
  readonly eventTypes: readonly EventType[] | undefined
  readonly enabled: boolean
  readonly disabledReason: DisabledReason | null
  readonly createdAtMs: number
  readonly updatedAtMs: number
  readonly secretRotatedAtMs: number
}

/** Of an endpoint, what signs. */
export interface SealedSecrets {
  readonly sealedSecret: Uint8Array
  readonly sealedPrevious: Uint8Array | null
  readonly previousValidUntilMs: number | null
}

/** Name of the kind under which the outbox has webhooks. */
export const webhookKindName = 'webhook'

/** An endpoint without any success for so long is disabled. */
export const failingMsMax = 5 * 24 * 3_600_000

export const endpointsPerTenantMax = 50
export const graceSecondsDefault = 86_400

export function wantedTypes({ eventTypes: wanted }: WebhookEndpoint): readonly EventType[] {
  return wanted ?? eventTypes
}

export function secretPlace(tenantId: string, id: string): Place {
  return { tenantId, table: 'webhook_endpoint', row: id, column: 'sealed_secret' }
}

export function previousPlace(tenantId: string, id: string): Place {
  return { tenantId, table: 'webhook_endpoint', row: id, column: 'sealed_previous' }
}

/** @throws DomainError `invalid_request`. */
export function requireSecret(secret: string): void {
  if (webhookKey(secret) !== undefined) return
  const message = 'must be whsec_ and 24 to 64 bytes in base64'
  throw new DomainError('invalid_request', 'The secret is not well formed.', {
    faults: [{ pointer: '/secret', code: 'bad_format', message }],
  })
}

export function endpointNotFound(): DomainError {
  return new DomainError('webhook_not_found', 'No such endpoint.')
}

/** `webhook-id` of a message. */
export function messageIdOf(id: string): string {
  return `msg_${id}`
}
