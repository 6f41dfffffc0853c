import type { ActiveSigner } from '../certificates/active-signer.ts'
import { DomainError } from '../errors.ts'
import { type DeliveryKind, doublingSchedule, type Preparation } from '../outbox/delivery-kind.ts'
import type { OutboxMessage } from '../outbox/outbox-message.ts'
import type { OutboundRule } from '../tenants/outbound-rule.ts'
import type { SettingsService } from '../tenants/settings-service.ts'
import { isCallbackAllowed } from './callback-address.ts'
import { type CallbackEnvelope, nonceCallbackKindName } from './nonce-callback.ts'

/** ast.md, section 8: no answer in 5 seconds is a failed attempt, the first repeat comes after 5 seconds. */
const callMsMax = 5_000
const firstRepeatMs = 5_000
const repeatMsMax = 60_000

/** `typ` of the signature's header, so that nothing else that a signer signs is taken for a callback. */
const signatureType = 'nonce-callback+jws'

/** How portals are told, and how they know that it is true: a detached JWS of the tenant's ACTIVE signer over the body. */
export class NonceCallbackKind implements DeliveryKind {
  readonly name = nonceCallbackKindName
  readonly isOrdered = false
  readonly keepsDelivered = false
  readonly retry = doublingSchedule(firstRepeatMs, repeatMsMax)
  readonly #signer: ActiveSigner
  readonly #settings: SettingsService
  readonly #outbound: OutboundRule

  constructor(dependencies: {
    activeSigner: ActiveSigner
    settings: SettingsService
    outbound: OutboundRule
  }) {
    this.#signer = dependencies.activeSigner
    this.#settings = dependencies.settings
    this.#outbound = dependencies.outbound
  }

  /** A tenant without a signer that can sign is a matter of its operator: it is reported, and tried until the time is over. */
  async prepare(
    { tenantId, envelope, payload }: OutboxMessage,
    nowMs: number,
  ): Promise<Preparation> {
    const { url, endsAtMs } = JSON.parse(envelope) as CallbackEnvelope
    if (nowMs >= endsAtMs) return 'give-up'
    const allowedOrigins = await this.#allowedOrigins(tenantId)
    if (allowedOrigins === undefined) return 'drop'
    if (!isCallbackAllowed(this.#outbound, url, allowedOrigins)) return 'refused'
    return {
      url,
      headers: {
        'content-type': 'application/json',
        'countersign-signature': await this.#signer.signDetached(tenantId, signatureType, payload),
      },
      body: payload,
      timeoutMs: callMsMax,
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
}
