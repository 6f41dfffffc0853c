import { signWebhook } from '@countersign/protocol/webhook/signature.ts'
import type { Vault } from '#custody/vault.ts'
import { Caller } from '../callers/caller.ts'
import { DomainError } from '../errors.ts'
import {
  type DeliveryKind,
  fixedSchedule,
  type Preparation,
  type Settlement,
} from '../outbox/delivery-kind.ts'
import type { OutboxMessage } from '../outbox/outbox-message.ts'
import type { Storage, Stores } from '../storage.ts'
import type { OutboundRule } from '../tenants/outbound-rule.ts'
import type { SettingsService } from '../tenants/settings-service.ts'
import {
  messageIdOf,
  previousPlace,
  type SealedSecrets,
  secretPlace,
  type WebhookEndpoint,
  webhookKindName,
} from './webhook-endpoint.ts'

const secondMs = 1_000
const minuteMs = 60 * secondMs
const hourMs = 60 * minuteMs

/** Waits between attempts; platform.md, section 6. */
export const webhookDelaysMs: readonly number[] = [
  5 * secondMs,
  5 * minuteMs,
  30 * minuteMs,
  2 * hourMs,
  5 * hourMs,
  10 * hourMs,
  14 * hourMs,
  20 * hourMs,
  24 * hourMs,
]

/** How webhooks are signed and sent, and what their fate means for the endpoint. */
export class WebhookKind implements DeliveryKind {
  readonly name = webhookKindName
  readonly isOrdered = false
  readonly keepsDelivered = true
  readonly retry = fixedSchedule(webhookDelaysMs)
  readonly #storage: Storage
  readonly #vault: Vault
  readonly #settings: SettingsService
  readonly #outbound: OutboundRule

  constructor(dependencies: {
    storage: Storage
    vault: Vault
    settings: SettingsService
    outbound: OutboundRule
  }) {
    this.#storage = dependencies.storage
    this.#vault = dependencies.vault
    this.#settings = dependencies.settings
    this.#outbound = dependencies.outbound
  }

  async prepare(message: OutboxMessage, nowMs: number): Promise<Preparation> {
    const { tenantId, target, topic, payload } = message
    const endpoint = await this.#storage.read.webhookEndpoints.find(tenantId, target)
    if (endpoint === undefined) return 'drop'
    if (!endpoint.enabled && topic !== 'webhook.test') return 'give-up'
    const allowedOrigins = await this.#allowedOrigins(tenantId)
    if (allowedOrigins === undefined) return 'drop'
    if (!this.#outbound.permitsWithin(endpoint.url, allowedOrigins)) return 'refused'
    const id = messageIdOf(message.id)
    const timestampSeconds = Math.floor(nowMs / 1000)
    const signed = { id, timestampSeconds, body: payload }
    return {
      url: endpoint.url,
      headers: {
        'content-type': 'application/json',
        'webhook-id': id,
        'webhook-timestamp': String(timestampSeconds),
        'webhook-signature': signWebhook(signed, await this.#secrets(endpoint, nowMs)),
      },
      body: payload,
    }
  }

  async settled(stores: Stores, settlements: readonly Settlement[], nowMs: number): Promise<void> {
    const [first] = settlements
    if (first === undefined) return
    const { tenantId, target } = first.message
    const { webhookEndpoints } = stores
    const tried = settlements.filter(({ attempt }) => attempt !== undefined)
    if (tried.some(({ attempt }) => attempt?.statusCode === 410)) {
      if (await webhookEndpoints.noteGone(tenantId, target, nowMs)) {
        await reportDisabled(stores, tenantId, target, 'GONE')
      }
    } else if (tried.some(({ outcome }) => outcome === 'delivered')) {
      await webhookEndpoints.noteSuccess(tenantId, target)
    } else if (tried.length > 0 && (await webhookEndpoints.noteFailure(tenantId, target, nowMs))) {
      await reportDisabled(stores, tenantId, target, 'FAILING')
    }
  }

  /** Undefined when the tenant is gone. */
  async #allowedOrigins(tenantId: string): Promise<readonly string[] | undefined> {
    try {
      return (await this.#settings.settingsOf(tenantId)).callbacks.allowedOrigins
    } catch (error) {
      if (error instanceof DomainError && error.code === 'tenant_not_found') return undefined
      throw error
    }
  }

  async #secrets(
    endpoint: WebhookEndpoint & SealedSecrets,
    nowMs: number,
  ): Promise<readonly string[]> {
    const { tenantId, id, sealedSecret, sealedPrevious, previousValidUntilMs } = endpoint
    const secrets = [await this.#vault.open(secretPlace(tenantId, id), sealedSecret)]
    if (sealedPrevious !== null && previousValidUntilMs !== null && nowMs < previousValidUntilMs) {
      secrets.push(await this.#vault.open(previousPlace(tenantId, id), sealedPrevious))
    }
    return secrets.map((secret) => Buffer.from(secret).toString())
  }
}

async function reportDisabled(
  { journal }: Stores,
  tenantId: string,
  id: string,
  reason: string,
): Promise<void> {
  await journal.append(Caller.system(), tenantId, {
    action: 'webhook-endpoint.disabled',
    target: { type: 'webhook-endpoint', id },
    detail: { reason },
  })
}
