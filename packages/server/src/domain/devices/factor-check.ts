import type { PinHasher } from '#custody/pin-hasher.ts'
import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { inPinQueue } from '../otp-tokens/pin.ts'
import type { Storage, Stores } from '../storage.ts'
import type { SettingsService } from '../tenants/settings-service.ts'
import { deviceTarget, type Factor } from './device.ts'
import { DeviceRefusal } from './device-refusal.ts'

/** Whose factor, on which device. */
export interface FactorHolder {
  readonly tenantId: string
  readonly deviceId: string
  readonly userId: string
}

/** A factor that was brought, and whether it holds. */
export interface BroughtFactor {
  readonly factor: Factor
  readonly holds: boolean
}

/** What a factor was brought for. */
export interface FactorAttempt {
  readonly factor: Factor
  /** Of the record. */
  readonly action: string
  /** Of the approval that it was about: its reference, else its id. */
  readonly reference?: string | undefined
}

/** Text as people type it, in one form: the same PIN from another keyboard is the same PIN. */
export function normalPin(pin: string): string {
  return pin.normalize('NFC')
}

/** The user's factors on all devices: comparing, counting wrong ones, locking. */
export class FactorCheck {
  readonly #storage: Storage
  readonly #pins: PinHasher
  readonly #settings: SettingsService
  readonly #clock: Clock

  constructor(dependencies: {
    storage: Storage
    pins: PinHasher
    settings: SettingsService
    clock: Clock
  }) {
    this.#storage = dependencies.storage
    this.#pins = dependencies.pins
    this.#settings = dependencies.settings
    this.#clock = dependencies.clock
  }

  /** While it lasts no factor is looked at and none is counted. @throws DeviceRefusal `factor_locked`. */
  async requireUnlocked({ tenantId, userId }: FactorHolder): Promise<void> {
    const pin = await this.#storage.read.devicePins.find(tenantId, userId)
    requireNoLock(pin?.lockedUntilMs ?? null, this.#clock())
  }

  /**
   * Compares a PIN with the user's; a user without one costs the same.
   *
   * @throws DomainError `too_many_requests` when too many PINs wait.
   */
  async pinHolds({ tenantId, userId }: FactorHolder, pin: string): Promise<boolean> {
    const stored = await this.#storage.read.devicePins.find(tenantId, userId)
    return inPinQueue(() => this.#pins.verify(stored?.pinHash ?? undefined, normalPin(pin)))
  }

  /** Takes tens of milliseconds, so it comes before a transaction. @throws DomainError `too_many_requests`. */
  hashPin(pin: string): Promise<string> {
    return inPinQueue(() => this.#pins.hash(normalPin(pin)))
  }

  /**
   * Counts a factor that does not hold, for good: in a transaction of its own, with its record. `alongside` is written
   * with it.
   *
   * @returns the refusal to throw: `factor_rejected` with what is left, `factor_locked` when a lock stood already.
   */
  async refuse(
    caller: Caller,
    holder: FactorHolder,
    { factor, action, reference }: FactorAttempt,
    alongside: (stores: Stores) => Promise<void> = async () => {},
  ): Promise<DeviceRefusal> {
    const { tenantId, deviceId, userId } = holder
    const { deviceMaxFailures, deviceLockSeconds } = (
      await this.#settings.settingsFor(caller, tenantId)
    ).lockout
    return this.#storage.transaction(async (stores) => {
      const nowMs = this.#clock()
      await alongside(stores)
      const counted = await stores.devicePins.fail(tenantId, userId, {
        failuresMax: deviceMaxFailures,
        lockUntilMs: nowMs + deviceLockSeconds * 1000,
        nowMs,
      })
      await stores.deviceLinks.recordFailure({ tenantId, deviceId, userId }, nowMs)
      await stores.devices.recordFailure(tenantId, deviceId, nowMs)
      await stores.journal.append(caller, tenantId, {
        action,
        outcome: 'FAILURE',
        target: deviceTarget(deviceId),
        userId,
        detail: {
          factor,
          ...(reference === undefined ? {} : { reference }),
          reason: counted === undefined ? 'FACTOR_LOCKED' : 'WRONG_FACTOR',
          ...(counted === undefined ? {} : { failureCount: counted.failures }),
        },
      })
      if (counted === undefined) {
        const pin = await stores.devicePins.find(tenantId, userId)
        return factorLocked(pin?.lockedUntilMs ?? nowMs, nowMs)
      }
      const attemptsLeft = Math.max(0, deviceMaxFailures - counted.failures)
      return new DeviceRefusal('factor_rejected', { attemptsLeft })
    })
  }
}

/**
 * The lock as it stands inside the transaction that lets a right factor through: wrong ones of the same moment come
 * first.
 *
 * @throws DeviceRefusal `factor_locked`.
 */
export async function passFactor(
  stores: Stores,
  { tenantId, userId }: FactorHolder,
  nowMs: number,
): Promise<void> {
  const pin = await stores.devicePins.find(tenantId, userId)
  requireNoLock(pin?.lockedUntilMs ?? null, nowMs)
  await stores.devicePins.succeed(tenantId, userId, nowMs)
}

function requireNoLock(lockedUntilMs: number | null, nowMs: number): void {
  if (lockedUntilMs !== null && lockedUntilMs > nowMs) throw factorLocked(lockedUntilMs, nowMs)
}

function factorLocked(lockedUntilMs: number, nowMs: number): DeviceRefusal {
  const retryAfterSeconds = Math.max(1, Math.ceil((lockedUntilMs - nowMs) / 1000))
  return new DeviceRefusal('factor_locked', { retryAfterSeconds })
}
