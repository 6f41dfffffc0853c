import { holdStanding } from '../approvals/decision-service.ts'
import type { Clock } from '../clock.ts'
import type { DeviceSession } from '../devices/device-gate.ts'
import { DeviceRefusal } from '../devices/device-refusal.ts'
import { requireUser } from '../devices/own-device-service.ts'
import type { Storage } from '../storage.ts'
import { canonicalNonce, nonceTarget, portalOf, refusalOf, type TypedNonce } from './nonce.ts'
import { attemptsOf } from './nonce-attempts.ts'
import type { NonceHasher } from './nonce-hasher.ts'

export interface NoncePreview {
  /** Origin of the address that will be told. */
  readonly portal: string
  readonly expiresAtMs: number
}

/** Says whose nonce it is before a user is asked: what shows a nonce can claim to be any portal. */
export class NoncePreviewService {
  readonly #storage: Storage
  readonly #hasher: NonceHasher
  readonly #clock: Clock

  constructor(dependencies: { storage: Storage; hasher: NonceHasher; clock: Clock }) {
    this.#storage = dependencies.storage
    this.#hasher = dependencies.hasher
    this.#clock = dependencies.clock
  }

  /**
   * Spends nothing. What is none counts as a failed redemption, so that nobody guesses here either.
   *
   * @throws DeviceRefusal `not_found` as a redemption would; what has become of the device meanwhile. DomainError
   *   `too_many_requests`.
   */
  async preview(session: DeviceSession, typed: TypedNonce): Promise<NoncePreview> {
    const { tenantId, deviceId, caller } = session
    const userId = requireUser(session)
    const shown = canonicalNonce(typed.nonce)
    const hash = shown === undefined ? undefined : await this.#hasher.hash(tenantId, shown)
    const preview = await this.#storage.transaction(async (stores) => {
      const nowMs = this.#clock()
      await holdStanding(stores, session, nowMs)
      const attempts = attemptsOf(stores, { tenantId, deviceId, userId })
      await attempts.take(nowMs)
      const nonce = hash === undefined ? undefined : await stores.nonces.rows.find(tenantId, hash)
      const reason = refusalOf(nonce, typed.action, nowMs)
      if (nonce !== undefined && reason === undefined) {
        await attempts.giveBack()
        return { portal: portalOf(nonce), expiresAtMs: nonce.expiresAtMs }
      }
      await stores.journal.append(caller, tenantId, {
        action: 'nonce.previewed',
        outcome: 'FAILURE',
        ...(nonce === undefined ? {} : { target: nonceTarget(nonce.id) }),
        userId,
        detail: { action: typed.action, reason: reason ?? 'UNKNOWN' },
      })
      return undefined
    })
    if (preview === undefined) throw new DeviceRefusal('not_found')
    return preview
  }
}
