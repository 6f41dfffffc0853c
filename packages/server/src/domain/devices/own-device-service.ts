import type { Clock } from '../clock.ts'
import { requireUsable } from '../push/push-token.ts'
import type { Storage, Stores } from '../storage.ts'
import { type DeviceLink, deviceTarget, type LinkedDevice } from './device.ts'
import { type DeviceEnding, getDevice } from './device-ending.ts'
import type { DeviceSession } from './device-gate.ts'
import { DeviceRefusal } from './device-refusal.ts'
import type { DeviceChange } from './device-store.ts'
import type { FactorCheck } from './factor-check.ts'
import { checkKeyStatement } from './key-statement.ts'
import { movePushToken } from './push-token-move.ts'
import { replayMemoryMs, requireCloseTime } from './signed-by-device.ts'

/** How old the verification may be behind a change of factors. */
export const recentVerificationSeconds = 120

/** What a device may do with itself and with its user's factors. */
export class OwnDeviceService {
  readonly #storage: Storage
  readonly #ending: DeviceEnding
  readonly #factors: FactorCheck
  readonly #issuer: () => string
  readonly #clock: Clock

  constructor(dependencies: {
    storage: Storage
    ending: DeviceEnding
    factors: FactorCheck
    issuer: () => string
    clock: Clock
  }) {
    this.#storage = dependencies.storage
    this.#ending = dependencies.ending
    this.#factors = dependencies.factors
    this.#issuer = dependencies.issuer
    this.#clock = dependencies.clock
  }

  /** Its links are those of the session's user only. */
  async get({ tenantId, deviceId, userId }: DeviceSession): Promise<LinkedDevice> {
    const device = await getDevice(this.#storage.read, tenantId, deviceId)
    return { ...device, links: device.links.filter((link) => link.userId === userId) }
  }

  /**
   * Only the members given change; a push token that another device of the tenant holds moves here.
   *
   * @throws DomainError `invalid_request` for a subscription of a browser that cannot be sent to; `unavailable` when too
   *   many devices come with one push token at once.
   */
  async update(session: DeviceSession, change: DeviceChange): Promise<LinkedDevice> {
    const { tenantId, deviceId, caller } = session
    const { pushToken } = change
    if (typeof pushToken === 'string') requireUsable(pushToken)
    const move = async (stores: Stores): Promise<void> => {
      if (typeof pushToken === 'string') {
        await stores.devices.pushTokens.dropElsewhere({ tenantId, deviceId, pushToken })
      }
      const nowMs = this.#clock()
      if (!(await stores.devices.update(tenantId, deviceId, { ...change, nowMs }))) throw gone()
      await stores.journal.append(caller, tenantId, {
        action: 'device.updated',
        target: deviceTarget(deviceId),
        ...ofUser(session),
        detail: { changed: Object.keys(change).sort() },
      })
    }
    await movePushToken(this.#storage, session, move)
    return this.get(session)
  }

  /** Ends all links, revokes certificates and tokens. Its key is never enrolled again. */
  async delete({ tenantId, deviceId, caller }: DeviceSession): Promise<void> {
    await this.#storage.transaction((stores) =>
      this.#ending.removeDevice(stores, caller, { tenantId, deviceId }),
    )
    this.#ending.wake(tenantId, [deviceId])
  }

  /**
   * Ends the link of the session's user: certificates and tokens of this user on this device are void.
   *
   * @throws DeviceRefusal `not_found` for any other user.
   */
  async unlink(session: DeviceSession, userId: string): Promise<void> {
    const { tenantId, deviceId, caller } = session
    if (session.userId !== userId) throw new DeviceRefusal('not_found')
    await this.#storage.transaction(async (stores) => {
      const link = { tenantId, deviceId, userId }
      if (!(await this.#ending.endLink(stores, caller, link))) throw gone()
    })
    this.#ending.wake(tenantId, [deviceId])
  }

  /**
   * Sets the user's first PIN, or changes it after it was shown a moment ago. It counts on all devices, and ends what the
   * others carry of an earlier verification.
   *
   * @throws DeviceRefusal `verification_required`, `authentication_too_old`. DomainError `too_many_requests`.
   */
  async setPin(session: DeviceSession, pin: string): Promise<void> {
    const { tenantId, deviceId, caller } = session
    const userId = requireUser(session)
    this.#requireRecent(session)
    const stored = await this.#storage.read.devicePins.find(tenantId, userId)
    const { pinHash: formerHash = null, changedAtMs = 0 } = stored ?? {}
    // A PIN that was changed since was not the one that was shown.
    const hasShown = session.factor === 'pin' && (session.verifiedAtMs ?? 0) >= changedAtMs
    if (formerHash !== null && !hasShown) {
      throw new DeviceRefusal('verification_required')
    }
    const pinHash = await this.#factors.hashPin(pin)
    await this.#storage.transaction(async (stores) => {
      const nowMs = this.#clock()
      // Links before the PIN, as logins write them: one that is under way is waited for, or finds another PIN.
      await stores.deviceLinks.forgetVerificationElsewhere({ tenantId, deviceId, userId })
      const isSet =
        formerHash === null
          ? await stores.devicePins.setFirst(tenantId, userId, pinHash, nowMs)
          : await stores.devicePins.change(tenantId, userId, { formerHash, pinHash, nowMs })
      // Another device was faster: what was shown here is not the PIN any more.
      if (!isSet) throw new DeviceRefusal('verification_required')
      await stores.journal.append(caller, tenantId, {
        action: formerHash === null ? 'device-pin.set' : 'device-pin.changed',
        target: { type: 'user', id: userId },
        userId,
        detail: { deviceId },
      })
    })
  }

  /**
   * @throws DeviceRefusal `verification_required`, `authentication_too_old`, `proof_invalid`, `clock_skew`, `replayed`;
   *   `key_not_allowed` for a key that this server knows.
   */
  async setBioKey(
    session: DeviceSession,
    proofs: { readonly proof: string; readonly bioProof: string },
  ): Promise<void> {
    const { tenantId, deviceId, caller } = session
    const userId = requireUser(session)
    this.#requireRecent(session)
    const keys = await checkKeyStatement(proofs, {
      aud: this.#issuer(),
      codeHash: undefined,
      iss: deviceId,
      sub: userId,
    })
    if (keys.device.thumbprint !== session.keyThumbprint) throw new DeviceRefusal('proof_invalid')
    const { bio, claims } = keys
    if (bio === null) throw new DeviceRefusal('proof_invalid')
    requireCloseTime(claims.iat, this.#clock())
    await this.#storage.transaction(async (stores) => {
      const nowMs = this.#clock()
      const proof = {
        tenantId,
        keyThumbprint: session.keyThumbprint,
        jti: claims.jti,
        untilMs: nowMs + replayMemoryMs,
      }
      if (!(await stores.deviceSessions.remember(proof))) throw new DeviceRefusal('replayed')
      const key = {
        thumbprint: bio.thumbprint,
        ownerTenantId: tenantId,
        deviceId,
        purpose: 'BIO' as const,
      }
      if (!(await stores.enrolledKeys.take(key, nowMs))) throw new DeviceRefusal('key_not_allowed')
      const link = { tenantId, deviceId, userId }
      if (!(await stores.deviceLinks.setBio(link, bio, keys.statement))) throw gone()
      await stores.journal.append(caller, tenantId, {
        action: 'device.bio-key-set',
        target: deviceTarget(deviceId),
        userId,
        detail: { keyThumbprint: bio.thumbprint },
      })
    })
  }

  /** @throws DeviceRefusal `not_found` without a key; `last_factor` when the user has no PIN. */
  async deleteBioKey(session: DeviceSession): Promise<void> {
    const { tenantId, deviceId, caller } = session
    const userId = requireUser(session)
    await this.#storage.transaction(async (stores) => {
      const link = await findLink(stores, session)
      if (link.bioKey === null) throw new DeviceRefusal('not_found')
      if (!link.hasPin) throw new DeviceRefusal('last_factor')
      await stores.deviceLinks.setBio({ tenantId, deviceId, userId }, null, link.keyStatement)
      await stores.journal.append(caller, tenantId, {
        action: 'device.bio-key-removed',
        target: deviceTarget(deviceId),
        userId,
      })
    })
  }

  /** @throws DeviceRefusal */
  #requireRecent({ factor, verifiedAtMs }: DeviceSession): void {
    if (factor === null || verifiedAtMs === null) throw new DeviceRefusal('verification_required')
    const oldestSeconds = Math.floor(this.#clock() / 1000) - recentVerificationSeconds
    if (Math.floor(verifiedAtMs / 1000) < oldestSeconds) {
      throw new DeviceRefusal('authentication_too_old', { authTimeAtLeast: oldestSeconds })
    }
  }
}

/** @throws DeviceRefusal `not_linked` for a device without users. */
export function requireUser({ userId }: Pick<DeviceSession, 'userId'>): string {
  if (userId === null) throw new DeviceRefusal('not_linked')
  return userId
}

/** @throws DeviceRefusal `not_linked` when the link has ended since the call came in. */
export async function findLink(stores: Stores, session: DeviceSession): Promise<DeviceLink> {
  const { tenantId, deviceId } = session
  const link = await stores.deviceLinks.find({ tenantId, deviceId, userId: requireUser(session) })
  if (link === undefined) throw new DeviceRefusal('not_linked')
  return link
}

function ofUser({ userId }: DeviceSession): { userId?: string } {
  return userId === null ? {} : { userId }
}

/** Deleted or unlinked in the same moment. */
function gone(): DeviceRefusal {
  return new DeviceRefusal('token_invalid')
}
