import { webhookSecret } from '@countersign/protocol/webhook/signature.ts'
import type { Randomness } from '#custody/randomness.ts'
import type { Vault } from '#custody/vault.ts'
import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import { decodeCursor, type Page, type PageRequest, pageOf } from '../paging.ts'
import { workInSteps } from '../stepwise-work.ts'
import type { Storage, Stores } from '../storage.ts'
import type { OutboundRule } from '../tenants/outbound-rule.ts'
import type { SettingsService } from '../tenants/settings-service.ts'
import type { IdSource } from '../ulid.ts'
import type { EventType } from './event-type.ts'
import {
  endpointNotFound,
  endpointsPerTenantMax,
  graceSecondsDefault,
  previousPlace,
  requireSecret,
  secretPlace,
  type WebhookEndpoint,
  wantedTypes,
} from './webhook-endpoint.ts'

const secretBytes = 32
const rotationsMax = 5

export interface NewWebhookEndpoint {
  readonly url: string
  readonly description?: string | undefined
  /** Absent: all, those of later versions too. */
  readonly eventTypes?: readonly EventType[] | undefined
  readonly enabled?: boolean | undefined
  /** Absent: a new one. */
  readonly secret?: string | undefined
}

export interface WebhookEndpointChanges {
  readonly url?: string | undefined
  readonly description?: string | undefined
  readonly eventTypes?: readonly EventType[] | undefined
  readonly enabled?: boolean | undefined
}

export interface EndpointWithSecret {
  readonly endpoint: WebhookEndpoint
  readonly secret: string
}

/** Who is told of events, and with which secret. */
export class WebhookService {
  readonly #storage: Storage
  readonly #vault: Vault
  readonly #settings: SettingsService
  readonly #outbound: OutboundRule
  readonly #clock: Clock
  readonly #nextId: IdSource
  readonly #randomness: Randomness

  constructor(dependencies: {
    storage: Storage
    vault: Vault
    settings: SettingsService
    outbound: OutboundRule
    clock: Clock
    nextId: IdSource
    randomness: Randomness
  }) {
    this.#storage = dependencies.storage
    this.#vault = dependencies.vault
    this.#settings = dependencies.settings
    this.#outbound = dependencies.outbound
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
    this.#randomness = dependencies.randomness
  }

  /**
   * @throws DomainError `forbidden`, `tenant_not_found`; `url_not_allowed`; `invalid_request` for a secret that is none;
   *   `limit_reached` at 50 endpoints.
   */
  async create(
    caller: Caller,
    tenantId: string,
    draft: NewWebhookEndpoint,
  ): Promise<EndpointWithSecret> {
    caller.requireIn(tenantId, 'tenant:write')
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    const { url, description = '', eventTypes, enabled = true } = draft
    const secret = draft.secret ?? this.#newSecret()
    requireSecret(secret)
    await this.#requireCallable(tenantId, url)
    const id = this.#nextId()
    const sealed = await this.#vault.seal(secretPlace(tenantId, id), Buffer.from(secret))
    const endpoint = await this.#storage.transaction(async (stores) => {
      // Held: who makes endpoints counts them one after the other.
      await stores.tenants.holdFor(caller, tenantId)
      const { webhookEndpoints } = stores
      const present = await webhookEndpoints.list(tenantId, '', endpointsPerTenantMax)
      if (present.length >= endpointsPerTenantMax) {
        const message = `A tenant has at most ${endpointsPerTenantMax} endpoints.`
        throw new DomainError('limit_reached', message)
      }
      const nowMs = this.#clock()
      const made: WebhookEndpoint = {
        tenantId,
        id,
        url,
        description,
        eventTypes,
        enabled,
        disabledReason: enabled ? null : 'ADMINISTRATOR',
        createdAtMs: nowMs,
        updatedAtMs: nowMs,
        secretRotatedAtMs: nowMs,
      }
      await webhookEndpoints.insert(made, sealed)
      await report(stores, caller, 'webhook-endpoint.created', made)
      return made
    })
    return { endpoint, secret }
  }

  /** In order of creation. @throws DomainError `forbidden`, `tenant_not_found`, `cursor_invalid`. */
  async list(
    caller: Caller,
    tenantId: string,
    { limit, cursor }: PageRequest,
  ): Promise<Page<WebhookEndpoint>> {
    caller.requireIn(tenantId, 'tenant:read')
    const { tenants, webhookEndpoints } = this.#storage.read
    await tenants.requireFor(caller, tenantId)
    const scope = { list: 'webhook-endpoints', tenantId, nowMs: this.#clock() }
    const [afterId] = decodeCursor(cursor, ['text'], scope) ?? ['']
    return pageOf(
      await webhookEndpoints.list(tenantId, afterId, limit + 1),
      limit,
      scope,
      ({ id }) => [id],
      (endpoint) => endpoint,
    )
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`, `webhook_not_found`. */
  async get(caller: Caller, tenantId: string, id: string): Promise<WebhookEndpoint> {
    caller.requireIn(tenantId, 'tenant:read')
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    return getEndpoint(this.#storage.read, tenantId, id)
  }

  /**
   * Changes what is named. Enabling forgets why it was disabled; what waits for an endpoint that is disabled ends as
   * FAILED when it is due.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `webhook_not_found`, `url_not_allowed`.
   */
  async update(
    caller: Caller,
    tenantId: string,
    id: string,
    changes: WebhookEndpointChanges,
  ): Promise<WebhookEndpoint> {
    caller.requireIn(tenantId, 'tenant:write')
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    if (changes.url !== undefined) await this.#requireCallable(tenantId, changes.url)
    return this.#storage.transaction(async (stores) => {
      await stores.tenants.requireFor(caller, tenantId)
      const nowMs = this.#clock()
      if (!(await stores.webhookEndpoints.hold(tenantId, id, nowMs))) throw endpointNotFound()
      const before = await getEndpoint(stores, tenantId, id)
      const { url, description, eventTypes, enabled = before.enabled } = changes
      const after: WebhookEndpoint = {
        ...before,
        url: url ?? before.url,
        description: description ?? before.description,
        eventTypes: eventTypes ?? before.eventTypes,
        enabled,
        disabledReason: enabled ? null : (before.disabledReason ?? 'ADMINISTRATOR'),
      }
      await stores.webhookEndpoints.replace(before, after)
      await report(stores, caller, 'webhook-endpoint.updated', after)
      return after
    })
  }

  /**
   * Deletes the endpoint and its log, the last of a long log behind the answer; nothing that waits is sent any more.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `webhook_not_found`.
   */
  async delete(caller: Caller, tenantId: string, id: string): Promise<void> {
    caller.requireIn(tenantId, 'tenant:write')
    await this.#storage.transaction(async (stores) => {
      await stores.tenants.requireFor(caller, tenantId)
      const isThere = await stores.webhookEndpoints.hold(tenantId, id, this.#clock())
      if (!isThere) throw endpointNotFound()
      const endpoint = await getEndpoint(stores, tenantId, id)
      await stores.webhookEndpoints.remove(endpoint)
      await report(stores, caller, 'webhook-endpoint.deleted', endpoint)
    })
    await workInSteps(async () => {
      const removed = await this.#storage.transaction(({ outbox }) =>
        outbox.removeOfTarget(tenantId, id),
      )
      return removed > 0
    })
  }

  /**
   * Replaces the secret. For the time of grace every delivery carries the signatures of both.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `webhook_not_found`; `invalid_request` for a secret that is none.
   */
  async rotateSecret(
    caller: Caller,
    tenantId: string,
    id: string,
    request: { readonly secret?: string | undefined; readonly graceSeconds?: number | undefined },
  ): Promise<EndpointWithSecret> {
    caller.requireIn(tenantId, 'tenant:write')
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    const { secret = this.#newSecret(), graceSeconds = graceSecondsDefault } = request
    requireSecret(secret)
    for (let attempt = 1; attempt <= rotationsMax; attempt++) {
      const present = await this.#storage.read.webhookEndpoints.find(tenantId, id)
      if (present === undefined) throw endpointNotFound()
      const { sealedSecret: seen } = present
      const old = await this.#vault.open(secretPlace(tenantId, id), seen)
      const sealedSecret = await this.#vault.seal(secretPlace(tenantId, id), Buffer.from(secret))
      const sealedPrevious =
        graceSeconds === 0 ? null : await this.#vault.seal(previousPlace(tenantId, id), old)
      const endpoint = await this.#storage.transaction(async (stores) => {
        await stores.tenants.requireFor(caller, tenantId)
        const nowMs = this.#clock()
        const previousValidUntilMs = graceSeconds === 0 ? null : nowMs + graceSeconds * 1000
        const secrets = { seen, sealedSecret, sealedPrevious, previousValidUntilMs, nowMs }
        if (!(await stores.webhookEndpoints.replaceSecret(present, secrets))) return undefined
        await report(stores, caller, 'webhook-endpoint.secret-rotated', present)
        return getEndpoint(stores, tenantId, id)
      })
      if (endpoint !== undefined) return { endpoint, secret }
    }
    throw new DomainError('unavailable', 'The secret is being changed.', { retryAfterSeconds: 1 })
  }

  #newSecret(): string {
    return webhookSecret(this.#randomness(secretBytes))
  }

  async #requireCallable(tenantId: string, url: string): Promise<void> {
    const { callbacks } = await this.#settings.settingsOf(tenantId)
    if (this.#outbound.permitsWithin(url, callbacks.allowedOrigins)) return
    throw new DomainError('url_not_allowed', 'The address is outside the allow-list.', {
      faults: [{ pointer: '/url', code: 'unsupported', message: 'is outside the allow-list' }],
    })
  }
}

/** @throws DomainError `webhook_not_found`. */
export async function getEndpoint(
  { webhookEndpoints }: Stores,
  tenantId: string,
  id: string,
): Promise<WebhookEndpoint> {
  const endpoint = await webhookEndpoints.find(tenantId, id)
  if (endpoint === undefined) throw endpointNotFound()
  return endpoint
}

/** Of the URL only its origin: the rest may be a secret of the receiver's. */
async function report(
  { journal }: Stores,
  caller: Caller,
  action: string,
  endpoint: WebhookEndpoint,
): Promise<void> {
  const { tenantId, id, url, enabled } = endpoint
  await journal.append(caller, tenantId, {
    action,
    target: { type: 'webhook-endpoint', id },
    detail: { origin: new URL(url).origin, eventTypes: [...wantedTypes(endpoint)], enabled },
  })
}
