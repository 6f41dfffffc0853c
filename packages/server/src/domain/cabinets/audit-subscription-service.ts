import { type Caller, platformTenantId } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import { type Storage, takenKey } from '../storage.ts'
import {
  type AuditSubscription,
  checkSubscription,
  type SubscriptionDraft,
  type SubscriptionStatus,
} from './audit-subscription.ts'
import type { CallableUrls } from './callable-urls.ts'

/** Who wants to be told of audit events. */
export class AuditSubscriptionService {
  readonly #storage: Storage
  readonly #clock: Clock
  readonly #callableUrls: CallableUrls

  constructor(dependencies: { storage: Storage; clock: Clock; callableUrls: CallableUrls }) {
    this.#storage = dependencies.storage
    this.#clock = dependencies.clock
    this.#callableUrls = dependencies.callableUrls
  }

  /**
   * @throws DomainError `forbidden`, `tenant_not_found`, `invalid_request`, `url_not_allowed`; `already_exists` when the
   * tenant has a subscription.
   */
  async subscribe(
    caller: Caller,
    tenantId: string,
    draft: SubscriptionDraft,
  ): Promise<AuditSubscription> {
    caller.requireIn(tenantId, 'audit:subscribe')
    checkSubscription(draft)
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    const url = { pointer: '/endpoint_url', url: draft.endpointUrl }
    await this.#callableUrls.check(tenantId, [url])
    try {
      return await this.#storage.transaction(async ({ cabinets, journal }) => {
        const nowMs = this.#clock()
        const subscription: AuditSubscription = {
          ...draft,
          tenantId,
          id: await cabinets.tally.add(platformTenantId, 'subscription', 1),
          status: 'ACTIVE',
          lastReadAtMs: null,
          createdAtMs: nowMs,
          updatedAtMs: nowMs,
        }
        await cabinets.subscriptions.insert(subscription)
        await journal.append(caller, tenantId, {
          action: 'audit-subscription.created',
          target: target(subscription),
          detail: {
            endpointUrl: draft.endpointUrl,
            fetchLimit: draft.fetchLimit,
            readIntervalSeconds: draft.readIntervalSeconds,
          },
        })
        return subscription
      })
    } catch (error) {
      if (takenKey(error) === undefined) throw error
      throw new DomainError('already_exists', 'The tenant has an audit subscription.')
    }
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`, `subscription_not_found`. */
  async get(caller: Caller, tenantId: string): Promise<AuditSubscription> {
    caller.requireIn(tenantId, 'audit:subscribe')
    const subscription = await this.#storage.read.cabinets.subscriptions.find(tenantId)
    if (subscription === undefined) throw subscriptionNotFound()
    return subscription
  }

  /**
   * Stops the telling for a while, or goes on where it stopped. Doing so again changes nothing.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `subscription_not_found`.
   */
  async setStatus(
    caller: Caller,
    tenantId: string,
    status: SubscriptionStatus,
  ): Promise<AuditSubscription> {
    caller.requireIn(tenantId, 'audit:subscribe')
    return this.#storage.transaction(async ({ cabinets, journal }) => {
      const present = await cabinets.subscriptions.find(tenantId)
      if (present === undefined) throw subscriptionNotFound()
      const nowMs = this.#clock()
      if (!(await cabinets.subscriptions.setStatus(tenantId, present.id, status, nowMs))) {
        return present
      }
      await journal.append(caller, tenantId, {
        action: status === 'ACTIVE' ? 'audit-subscription.resumed' : 'audit-subscription.paused',
        target: target(present),
      })
      return { ...present, status, updatedAtMs: nowMs }
    })
  }

  /** @returns what was removed, undefined when there was nothing. @throws DomainError `forbidden`, `tenant_not_found`. */
  async remove(caller: Caller, tenantId: string): Promise<AuditSubscription | undefined> {
    caller.requireIn(tenantId, 'audit:subscribe')
    return this.#storage.transaction(async ({ cabinets, journal }) => {
      const present = await cabinets.subscriptions.find(tenantId)
      if (present === undefined) return undefined
      if (!(await cabinets.subscriptions.remove(tenantId, present.id))) return undefined
      await journal.append(caller, tenantId, {
        action: 'audit-subscription.removed',
        target: target(present),
      })
      return present
    })
  }
}

function target({ id }: AuditSubscription): { type: string; id: string } {
  return { type: 'audit-subscription', id: String(id) }
}

function subscriptionNotFound(): DomainError {
  return new DomainError('subscription_not_found', 'No audit subscription.')
}
