import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CabinetUser } from '@countersign/protocol/cabinet/access-list.ts'
import type { CabinetLink } from './cabinet-link.ts'
import type { FleetStatistics } from './fleet-statistics.ts'
import { binaryUpload, type KeyEvent, type PendingUpload, readableUpload } from './key-events.ts'
import { fromWireUser, type SimulatedCabinet, type WireUser } from './simulated-cabinet.ts'

const firstRetryMs = 1_000
const eagerPauseMs = 20
/** A cabinet that nobody hears keeps so many events, and forgets the oldest. */
const waitingEventsMax = 10_000
const eventsPerUploadMax = 1_000

export interface LifeOptions {
  readonly link: CabinetLink
  readonly statistics: FleetStatistics
  readonly random: () => number
  /** Undefined: what the server says. */
  readonly intervalSeconds: number | undefined
  /** True: asks again at once until nothing differs. */
  readonly isEager: boolean
  /** Who comes to the cabinet; empty: whoever is on its lists. */
  readonly visitors: readonly number[]
  /** Between two checkouts, on average; undefined: none. */
  readonly checkoutSeconds: number | undefined
  readonly isReadable: boolean
  readonly say: (text: string) => void
}

interface Access {
  readonly locks: readonly string[]
  readonly user: CabinetUser
}

/** What one cabinet does all day. */
export class CabinetLife {
  readonly cabinet: SimulatedCabinet
  readonly #options: LifeOptions
  readonly #waiting: KeyEvent[] = []
  #pending: PendingUpload | undefined
  #failuresInARow = 0

  constructor(cabinet: SimulatedCabinet, options: LifeOptions) {
    this.cabinet = cabinet
    this.#options = options
  }

  /** Polls, lets keys be taken and brought back, uploads; until it is aborted. Never throws. */
  async run(signal: AbortSignal): Promise<void> {
    const { random, isEager, checkoutSeconds } = this.#options
    // Cabinets that start together do not call together.
    let waitMs = isEager ? 0 : random() * this.#intervalMs
    let nextCheckoutAtMs = Date.now() + random() * (checkoutSeconds ?? 0) * 1000
    while (await pause(waitMs, signal)) {
      const hasDifference = await this.poll()
      if (checkoutSeconds !== undefined && Date.now() >= nextCheckoutAtMs) {
        await this.takeAndReturnKey()
        nextCheckoutAtMs = Date.now() + 2 * random() * checkoutSeconds * 1000
      }
      await this.upload()
      waitMs = this.#nextWaitMs(hasDifference)
    }
  }

  /** One heartbeat. @returns true when a setting was taken over. */
  async poll(): Promise<boolean> {
    const { link, statistics, say } = this.#options
    const { cabinet } = this
    try {
      const nowMs = Date.now()
      const target = `${cabinet.configUrl}/${cabinet.serial}`
      const query = cabinet.report(nowMs)
      const { status, body, milliseconds } = await link.call({ method: 'GET', target, query })
      statistics.count('polls')
      statistics.time(milliseconds)
      if (status !== 200 && status !== 204) throw new Error(`poll answered ${status}`)
      this.#failuresInARow = 0
      if (status === 204) return false
      const taken = cabinet.take(body, nowMs)
      statistics.count('differences')
      statistics.count(`taken.${taken.name}`)
      say(`takes over ${taken.name}: ${taken.text}`)
      return true
    } catch (error) {
      this.#fail('poll', error)
      return false
    }
  }

  /** Somebody takes a key, opens a lock and brings it back. Without anybody who may, nothing happens. */
  async takeAndReturnKey(): Promise<boolean> {
    const { random, statistics, say } = this.#options
    const { cabinet } = this
    const { users } = cabinet.users
    const { visitors } = this.#options
    const known = visitors.length > 0 ? visitors : users.map(({ userId }) => userId)
    const visitor = known[Math.floor(random() * known.length)]
    if (visitor === undefined) return false
    const access = cabinet.cacheMode ? this.#decide(visitor) : await this.#ask(visitor)
    if (access === undefined) return false
    const open = access.locks.filter((_, index) => access.user.permissions[index] !== 0)
    const lockSerial = open[Math.floor(random() * open.length)]
    if (lockSerial === undefined) return false
    const keySerial = `00000411${Math.floor(random() * 0xffff_ffff)
      .toString(16)
      .padStart(8, '0')}`
    const event = { cabinetSerial: cabinet.serial, keySerial, userId: access.user.userId }
    const record = (name: KeyEvent['event'], more: object = {}): void => {
      this.#waiting.push({ ...event, ...more, id: randomUUID(), atMs: Date.now(), event: name })
    }
    record('Checkout')
    record('Lock/Unlock', { lockSerial })
    record('Checkin')
    this.#waiting.splice(0, this.#waiting.length - waitingEventsMax)
    statistics.count('checkouts')
    say(`user ${event.userId} took key ${keySerial}, opened ${lockSerial} and brought it back`)
    return true
  }

  /** Sends what was recorded; what is not acknowledged is sent again, byte for byte. @returns true when nothing waits. */
  async upload(): Promise<boolean> {
    const { link, statistics, say } = this.#options
    const { cabinet } = this
    try {
      for (;;) {
        this.#pending ??= this.#nextUpload()
        if (this.#pending === undefined) return true
        const { bytes, contentType, eventCount } = this.#pending
        const target = `${cabinet.auditUrl}/${cabinet.serial}`
        const answer = await link.call({ method: 'POST', target, body: { bytes, contentType } })
        if (answer.status !== 200 && answer.status !== 204) {
          throw new Error(`upload answered ${answer.status}`)
        }
        this.#pending = undefined
        statistics.count('uploads')
        statistics.count('events', eventCount)
        say(`uploaded ${eventCount} events`)
        const { auditUrl } = (answer.body ?? {}) as { auditUrl?: string }
        if (auditUrl !== undefined) cabinet.auditUrl = auditUrl
      }
    } catch (error) {
      this.#fail('upload', error)
      return false
    }
  }

  /** Cached mode: by the lists that the cabinet holds. */
  #decide(visitor: number): Access | undefined {
    const user = this.cabinet.users.users.find(({ userId }) => userId === visitor)
    return user && { locks: this.cabinet.locks.locks, user }
  }

  /** Non-cached mode: by what the server says of this user now. */
  async #ask(visitor: number): Promise<Access | undefined> {
    const { link, statistics } = this.#options
    const { cabinet } = this
    try {
      const bytes = Buffer.from(JSON.stringify({ user_id: visitor }))
      const { status, body } = await link.call({
        method: 'POST',
        target: `${cabinet.configUrl}/${cabinet.serial}/user-assets`,
        body: { bytes, contentType: 'application/json' },
      })
      statistics.count('fetches')
      if (status !== 200) return undefined
      const found = body as { assetList: string[]; user: WireUser }
      return { locks: found.assetList, user: fromWireUser(found.user) }
    } catch (error) {
      this.#fail('fetch', error)
      return undefined
    }
  }

  /** The burnt-in path takes bytes only. */
  #nextUpload(): PendingUpload | undefined {
    const events = this.#waiting.splice(0, eventsPerUploadMax)
    if (events.length === 0) return undefined
    const isReadable = this.#options.isReadable && !this.cabinet.auditUrl.startsWith('/embedded')
    return isReadable ? readableUpload(events) : binaryUpload(events, '127.0.0.1')
  }

  #fail(what: string, error: unknown): void {
    const { statistics, say } = this.#options
    this.#failuresInARow++
    statistics.count('failures')
    statistics.count(`failed.${what}`)
    say(`${what} failed: ${error instanceof Error ? error.message : String(error)}`)
  }

  get #intervalMs(): number {
    return (this.#options.intervalSeconds ?? this.cabinet.pollingIntervalSeconds) * 1000
  }

  /** After a failure sooner than the next heartbeat, but later and later. */
  #nextWaitMs(hasDifference: boolean): number {
    const { isEager, random } = this.#options
    if (hasDifference && isEager) return eagerPauseMs
    const jitter = 0.95 + 0.1 * random()
    if (this.#failuresInARow === 0) return this.#intervalMs * jitter
    const backoffMs = firstRetryMs * 2 ** Math.min(this.#failuresInARow - 1, 20)
    return Math.min(this.#intervalMs, backoffMs) * (0.5 + random() / 2)
  }
}

/** False when it was aborted. */
async function pause(milliseconds: number, signal: AbortSignal): Promise<boolean> {
  try {
    await sleep(milliseconds, undefined, { signal })
    return true
  } catch {
    return false
  }
}
