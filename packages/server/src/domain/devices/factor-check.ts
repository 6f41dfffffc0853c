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

/** A factor that holds. */
export interface HeldFactor {
  readonly factor: Factor
  /** Of a PIN: what it was compared with. */
  readonly pinHash?: string | undefined
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
   * @returns the hash of the PIN that fits, for {@link passFactor}.
   * @throws DomainError `too_many_requests` when too many PINs wait.
   */
  async matchPin({ tenantId, userId }: FactorHolder, pin: string): Promise<string | undefined> {
    const stored = await this.#storage.read.devicePins.find(tenantId, userId)
    const pinHash = stored?.pinHash ?? undefined
    const fits = await inPinQueue(() => this.#pins.verify(pinHash, normalPin(pin)))
    return fits ? pinHash : undefined
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
      // Device, link, PIN: whoever writes several of them does it in this order.
      await stores.devices.recordFailure(tenantId, deviceId, nowMs)
      await stores.deviceLinks.recordFailure({ tenantId, deviceId, userId }, nowMs)
      const counted = await stores.devicePins.fail(tenantId, userId, {
        failuresMax: deviceMaxFailures,
        lockUntilMs: nowMs + deviceLockSeconds * 1000,
        nowMs,
      })
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
 * Lock and PIN as they stand inside the transaction that lets a right factor through: wrong ones of the same moment come
 * first, and so does a change of the PIN.
 *
 * @throws DeviceRefusal `factor_locked`; `factor_rejected` for a PIN that was right and is not the user's any more.
 */
export async function passFactor(
  { devicePins }: Stores,
  { tenantId, userId }: Pick<FactorHolder, 'tenantId' | 'userId'>,
  { pinHash }: Pick<HeldFactor, 'pinHash'>,
  nowMs: number,
): Promise<void> {
  if (pinHash !== undefined) {
    if (await devicePins.succeedByPin(tenantId, userId, { pinHash, nowMs })) return
  }
  const pin = await devicePins.find(tenantId, userId)
  requireNoLock(pin?.lockedUntilMs ?? null, nowMs)
  if (pinHash !== undefined) throw new DeviceRefusal('factor_rejected')
  await devicePins.succeed(tenantId, userId, nowMs)
}

function requireNoLock(lockedUntilMs: number | null, nowMs: number): void {
  if (lockedUntilMs !== null && lockedUntilMs > nowMs) throw factorLocked(lockedUntilMs, nowMs)
}

function factorLocked(lockedUntilMs: number, nowMs: number): DeviceRefusal {
  const retryAfterSeconds = Math.max(1, Math.ceil((lockedUntilMs - nowMs) / 1000))
  return new DeviceRefusal('factor_locked', { retryAfterSeconds })
}
