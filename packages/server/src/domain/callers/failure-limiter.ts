import ipaddr from 'ipaddr.js'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'

const windowMs = 60_000
const addressesMax = 50_000
/** Whoever has one IPv6 address has its whole /64. */
const ipv6PrefixLength = 64

interface Window {
  readonly endsAtMs: number
  failureCount: number
}

/** Refuses addresses that fail to authenticate too often, before any work is done for them. Per process. */
export class FailureLimiter {
  readonly #failuresMax: number
  readonly #clock: Clock
  /** In the order in which the windows were opened. */
  readonly #windows = new Map<string, Window>()

  /** @param failuresPerMinute 0: no limit. */
  constructor(failuresPerMinute: number, clock: Clock) {
    this.#failuresMax = failuresPerMinute
    this.#clock = clock
  }

  /** @throws DomainError `too_many_requests` until the address's minute is over. */
  requireRoom(address: string | null): void {
    if (this.#windows.size === 0 || address === null) return
    const window = this.#windows.get(groupOf(address))
    if (window === undefined || window.failureCount < this.#failuresMax) return
    const restMs = window.endsAtMs - this.#clock()
    if (restMs <= 0) return
    throw new DomainError('too_many_requests', 'Too many failed credentials from this address.', {
      retryAfterSeconds: Math.ceil(restMs / 1000),
    })
  }

  /** Counts a refused credential. */
  count(address: string | null): void {
    if (this.#failuresMax === 0 || address === null) return
    const nowMs = this.#clock()
    const group = groupOf(address)
    const window = this.#windows.get(group)
    if (window !== undefined && window.endsAtMs > nowMs) {
      window.failureCount++
      return
    }
    this.#windows.delete(group)
    this.#makeRoom(nowMs)
    this.#windows.set(group, { endsAtMs: nowMs + windowMs, failureCount: 1 })
  }

  /** Windows that are over go first, then the oldest one. */
  #makeRoom(nowMs: number): void {
    for (const [group, { endsAtMs }] of this.#windows) {
      if (endsAtMs > nowMs && this.#windows.size < addressesMax) return
      this.#windows.delete(group)
    }
  }
}

/** Who is limited together. */
export function groupOf(address: string): string {
  if (!address.includes(':') || !ipaddr.IPv6.isValid(address)) return address
  const parsed = ipaddr.IPv6.parse(address)
  if (parsed.isIPv4MappedAddress()) return parsed.toIPv4Address().toString()
  return ipaddr.IPv6.networkAddressFromCIDR(
    `${parsed.toNormalizedString().replace(/%.*$/, '')}/${ipv6PrefixLength}`,
  ).toString()
}
