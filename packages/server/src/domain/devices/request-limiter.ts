import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'

const windowMs = 60_000
const devicesMax = 100_000

interface Window {
  readonly endsAtMs: number
  count: number
}

/** Bounds how often one device (by its id, once it has proven that) or one address calls. Per process. */
export class RequestLimiter {
  readonly #requestsMax: number
  readonly #clock: Clock
  /** In the order in which the windows were opened. */
  readonly #windows = new Map<string, Window>()

  /** @param requestsPerMinute 0: no limit. */
  constructor(requestsPerMinute: number, clock: Clock) {
    this.#requestsMax = requestsPerMinute
    this.#clock = clock
  }

  /** Counts a call. @throws DomainError `too_many_requests` until the device's minute is over. */
  count(deviceId: string): void {
    if (this.#requestsMax === 0) return
    const nowMs = this.#clock()
    const window = this.#windows.get(deviceId)
    if (window === undefined || window.endsAtMs <= nowMs) {
      this.#open(deviceId, nowMs)
      return
    }
    if (window.count >= this.#requestsMax) {
      throw new DomainError('too_many_requests', 'Too many requests.', {
        retryAfterSeconds: Math.ceil((window.endsAtMs - nowMs) / 1000),
      })
    }
    window.count++
  }

  #open(deviceId: string, nowMs: number): void {
    this.#windows.delete(deviceId)
    // Windows that are over go first, then the oldest one.
    for (const [id, { endsAtMs }] of this.#windows) {
      if (endsAtMs > nowMs && this.#windows.size < devicesMax) break
      this.#windows.delete(id)
    }
    this.#windows.set(deviceId, { endsAtMs: nowMs + windowMs, count: 1 })
  }
}
