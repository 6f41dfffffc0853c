import { type Caller, platformTenantId } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import type { Storage } from '../storage.ts'
import type { IdSource } from '../ulid.ts'
import { foldSerial, isSerial } from './cabinet.ts'
import type { ContactNote } from './contact-store.ts'

/** How long a process believes that there is no room, without asking. */
const fullMs = 10_000

/** Cabinets that call and that nobody has registered: so many and no more, because anybody may make up serials. */
export class UnclaimedCabinets {
  readonly #storage: Storage
  readonly #clock: Clock
  readonly #nextId: IdSource
  readonly #max: number
  #fullUntilMs = 0

  constructor(dependencies: {
    storage: Storage
    clock: Clock
    nextId: IdSource
    /** COUNTERSIGN_OKM_UNCLAIMED_MAX. */
    unclaimedMax: number
  }) {
    this.#storage = dependencies.storage
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
    this.#max = dependencies.unclaimedMax
  }

  /** Remembers a serial that called for the first time, if there is room. */
  async remember(caller: Caller, serial: string, note: ContactNote): Promise<void> {
    const nowMs = this.#clock()
    if (!isSerial(serial) || nowMs < this.#fullUntilMs) return
    const hasRoom = await this.#storage.transaction(async ({ cabinets, journal }) => {
      const { registered, contacts, tally } = cabinets
      if (!(await tally.addBelow(platformTenantId, 'cabinet', this.#max))) return false
      if (!(await registered.insertUnclaimed(serial, this.#nextId(), nowMs))) {
        await tally.add(platformTenantId, 'cabinet', -1)
        return true
      }
      await contacts.insert({ tenantId: platformTenantId, id: foldSerial(serial) }, note)
      await journal.append(caller, platformTenantId, {
        action: 'cabinet.appeared',
        target: { type: 'cabinet', id: serial },
      })
      return true
    })
    if (!hasRoom) this.#fullUntilMs = nowMs + fullMs
  }
}
