import type { Approval } from '../approvals/approval.ts'
import type { Asker } from '../approvals/approval-draft.ts'
import { openIn } from '../approvals/approval-opening.ts'
import { holdStanding } from '../approvals/decision-service.ts'
import type { TmsService } from '../approvals/tms-service.ts'
import type { Clock } from '../clock.ts'
import type { DeviceSession } from '../devices/device-gate.ts'
import { DeviceRefusal } from '../devices/device-refusal.ts'
import type { DeviceWakeups } from '../devices/device-wakeups.ts'
import { requireUser } from '../devices/own-device-service.ts'
import { DomainError } from '../errors.ts'
import type { Storage, Stores } from '../storage.ts'
import type { SettingsService } from '../tenants/settings-service.ts'
import type { UserSchemeService } from '../users/user-scheme-service.ts'
import {
  canonicalNonce,
  type Nonce,
  type NonceTms,
  nonceTarget,
  refusalOf,
  type TypedNonce,
} from './nonce.ts'
import { attemptsOf } from './nonce-attempts.ts'
import { callbackMessage } from './nonce-callback.ts'
import type { NonceHasher } from './nonce-hasher.ts'

export interface RedeemedNonce {
  readonly redeemedAtMs: number
  /** The transaction that a TMS_NONCE started. */
  readonly approvalId: string | undefined
}

/** Spends nonces: the user of a device is logged in at the portal that showed one. */
export class NonceRedemptionService {
  readonly #storage: Storage
  readonly #hasher: NonceHasher
  readonly #tms: TmsService
  readonly #users: UserSchemeService
  readonly #settings: SettingsService
  readonly #wakeups: DeviceWakeups
  readonly #clock: Clock

  constructor(dependencies: {
    storage: Storage
    hasher: NonceHasher
    tms: TmsService
    userSchemes: UserSchemeService
    settings: SettingsService
    wakeups: DeviceWakeups
    clock: Clock
  }) {
    this.#storage = dependencies.storage
    this.#hasher = dependencies.hasher
    this.#tms = dependencies.tms
    this.#users = dependencies.userSchemes
    this.#settings = dependencies.settings
    this.#wakeups = dependencies.wakeups
    this.#clock = dependencies.clock
  }

  /**
   * Redeems a nonce for the user of the session, once. What was named and is none counts as a failure of the device and of
   * the user. Nonce, record, callback and transaction are one transaction of the database.
   *
   * @throws DeviceRefusal `verification_required` for a token without a verification, unless the tenant waives it; `not_found`
   *   for a nonce that is unknown, used or expired and for another action, which spends nothing; what has become of the
   *   device meanwhile. DomainError `too_many_requests` after ten failures in five minutes.
   */
  async redeem(session: DeviceSession, typed: TypedNonce): Promise<RedeemedNonce> {
    const { tenantId, deviceId, caller } = session
    const userId = requireUser(session)
    const { ast } = await this.#settings.settingsFor(caller, tenantId)
    if (ast.nonceNeedsVerification && session.factor === null) {
      throw new DeviceRefusal('verification_required')
    }
    const prepared = await this.#prepare(tenantId, typed, { userId, deviceId })
    const result = await this.#storage.transaction(async (stores) => {
      const nowMs = this.#clock()
      await holdStanding(stores, session, nowMs)
      const attempts = attemptsOf(stores, { tenantId, deviceId, userId })
      await attempts.take(nowMs)
      const { nonce } = prepared
      const isSpent =
        'shown' in prepared &&
        (await stores.nonces.rows.spend(prepared.nonce, typed.action, { userId, deviceId, nowMs }))
      if (!isSpent) {
        await stores.journal.append(caller, tenantId, {
          action: 'nonce.redeemed',
          outcome: 'FAILURE',
          ...(nonce === undefined ? {} : { target: nonceTarget(nonce.id) }),
          userId,
          detail: {
            action: typed.action,
            // Open when it was read: somebody else was faster.
            reason:
              refusalOf(nonce, typed.action, nowMs) ??
              ('shown' in prepared ? 'USED' : 'NO_TRANSACTION'),
          },
        })
        return undefined
      }
      await attempts.giveBack()
      return finish(stores, session, prepared, nowMs)
    })
    if (result === undefined) throw new DeviceRefusal('not_found')
    this.#wakeups.wake(tenantId, result.woken)
    return { redeemedAtMs: result.redeemedAtMs, approvalId: result.approvalId }
  }

  /** What takes long, or another service, comes before the transaction. */
  async #prepare(
    tenantId: string,
    { nonce: typed }: TypedNonce,
    to: { readonly userId: string; readonly deviceId: string },
  ): Promise<Redeemable | Unredeemable> {
    const shown = canonicalNonce(typed)
    if (shown === undefined) return { nonce: undefined }
    const hash = await this.#hasher.hash(tenantId, shown)
    const nonce = await this.#storage.read.nonces.rows.find(tenantId, hash)
    if (nonce === undefined) return { nonce }
    const approval = nonce.tms === null ? undefined : await this.#approvalOf(nonce, nonce.tms, to)
    if (approval === 'impossible') return { nonce }
    const userName = await this.#users.nameToldOf(tenantId, to.userId)
    return { shown, nonce, approval, userName }
  }

  /** It could be started when the nonce was made; a template, or a setting, may have changed since. */
  async #approvalOf(
    { tenantId, createdBy }: Nonce,
    tms: NonceTms,
    to: { readonly userId: string; readonly deviceId: string },
  ): Promise<Approval | 'impossible'> {
    const asker: Asker = {
      surface: 'ast',
      id: createdBy,
      tenantId: null,
      settingsVersion: undefined,
    }
    try {
      return await this.#tms.build(asker, tenantId, tms, to)
    } catch (error) {
      if (error instanceof DomainError && error.code === 'invalid_request') return 'impossible'
      throw error
    }
  }
}

interface Redeemable {
  /** The nonce in its canonical spelling. */
  readonly shown: string
  readonly nonce: Nonce
  /** The transaction that starts with it. */
  readonly approval: Approval | undefined
  readonly userName: string
}

/** Nothing that was ever made, or a nonce whose transaction cannot be started any more. */
interface Unredeemable {
  readonly nonce: Nonce | undefined
}

/** What follows from a nonce that has just been spent. */
async function finish(
  stores: Stores,
  { caller, tenantId, deviceId, userId }: DeviceSession,
  { shown, nonce, approval, userName }: Redeemable,
  nowMs: number,
): Promise<RedeemedNonce & { readonly woken: readonly string[] }> {
  const { auditMessage } = nonce.tms ?? {}
  const note = auditMessage === undefined ? undefined : { auditMessage }
  const asked = approval === undefined ? [] : await openIn(stores, caller, approval, note)
  const approvalId = approval?.id
  const redemption = { shown, nonce, deviceId, userName, approvalId, nowMs }
  await stores.outbox.append(tenantId, callbackMessage(redemption))
  await stores.journal.append(caller, tenantId, {
    action: 'nonce.redeemed',
    target: nonceTarget(nonce.id),
    ...(userId === null ? {} : { userId }),
    detail: { action: nonce.action, ...(approvalId === undefined ? {} : { approvalId }) },
  })
  return { redeemedAtMs: nowMs, approvalId, woken: asked.map(({ id }) => id) }
}
