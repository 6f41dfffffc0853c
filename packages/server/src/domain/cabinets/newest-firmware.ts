import type { Clock } from '../clock.ts'
import type { Storage } from '../storage.ts'
import { type Firmware, type FirmwareType, firmwareTypes } from './firmware.ts'

/** How long another process may go on offering what was the newest: far less than cabinets poll apart. */
const keptMs = 2_000

type Newest = Readonly<Partial<Record<FirmwareType, Firmware>>>

/** The newest entry of each type, kept so that polls need not read it. */
export class NewestFirmware {
  readonly #storage: Storage
  readonly #clock: Clock
  #kept: { readonly newest: Newest; readonly atMs: number } | undefined
  #forgotten = 0

  constructor({ storage, clock }: { storage: Storage; clock: Clock }) {
    this.#storage = storage
    this.#clock = clock
  }

  async get(): Promise<Newest> {
    const nowMs = this.#clock()
    const kept = this.#kept
    if (kept !== undefined && nowMs >= kept.atMs && nowMs < kept.atMs + keptMs) return kept.newest
    const forgotten = this.#forgotten
    const newest: { [Type in FirmwareType]?: Firmware } = {}
    for (const type of firmwareTypes) {
      const entry = await this.#storage.read.cabinets.firmware.findNewest(type)
      if (entry !== undefined) newest[type] = entry
    }
    // What changed while it was being read is read again next time.
    if (forgotten === this.#forgotten) this.#kept = { newest, atMs: nowMs }
    return newest
  }

  /** An entry was written or removed. */
  forget(): void {
    this.#forgotten++
    this.#kept = undefined
  }
}
