import type { Storage } from '../storage.ts'
import type { Cabinet } from './cabinet.ts'
import type { CabinetKey } from './cabinet-store.ts'
import type { ContactNote } from './contact-store.ts'

/** More than one process takes in between two flushes. */
const waitingMax = 50_000
const rowsPerTransaction = 500

interface Waiting {
  readonly key: CabinetKey
  readonly note: ContactNote
}

/**
 * Notes when and from where cabinets called, without a write per call: the process writes what it saw every second, and
 * sees it at once itself. A process that dies forgets the calls of its last second; the next poll tells the same again.
 */
export class ContactRecorder {
  readonly #storage: Storage
  #waiting = new Map<string, Waiting>()

  constructor({ storage }: { storage: Storage }) {
    this.#storage = storage
  }

  note(key: CabinetKey, note: ContactNote): void {
    const name = nameOf(key)
    const earlier = this.#waiting.get(name)
    if (earlier === undefined && this.#waiting.size >= waitingMax) return
    this.#waiting.set(name, {
      key,
      note: earlier === undefined ? note : combine(earlier.note, note),
    })
  }

  /** The cabinet with the calls that are not written yet. */
  withLatest(cabinet: Cabinet): Cabinet {
    const note = this.#waiting.get(nameOf(cabinet))?.note
    if (note === undefined || note.lastSyncAtMs < (cabinet.lastSyncAtMs ?? 0)) return cabinet
    return {
      ...cabinet,
      lastSyncAtMs: note.lastSyncAtMs,
      firmwareVersion: note.firmwareVersion ?? cabinet.firmwareVersion,
    }
  }

  /** What was seen of a cabinet that is gone. */
  forget(key: CabinetKey): void {
    this.#waiting.delete(nameOf(key))
  }

  /** Writes what was noted; to be called by a timer every second, and before the process ends. */
  async flush(): Promise<void> {
    // In one order everywhere, so that two processes never wait for each other.
    const inOrder = [...this.#waiting.entries()].sort(([one], [other]) => (one < other ? -1 : 1))
    for (let start = 0; start < inOrder.length; start += rowsPerTransaction) {
      const rows = inOrder.slice(start, start + rowsPerTransaction)
      await this.#storage.transaction(async ({ cabinets }) => {
        for (const [, { key, note }] of rows) await cabinets.contacts.note(key, note)
      })
      for (const [name, written] of rows) {
        if (this.#waiting.get(name) === written) this.#waiting.delete(name)
      }
    }
  }
}

function nameOf({ tenantId, id }: CabinetKey): string {
  return `${tenantId}\n${id}`
}

function combine(earlier: ContactNote, later: ContactNote): ContactNote {
  return {
    lastSyncAtMs: Math.max(earlier.lastSyncAtMs, later.lastSyncAtMs),
    lastAddress: later.lastAddress ?? earlier.lastAddress,
    firmwareVersion: later.firmwareVersion ?? earlier.firmwareVersion,
    installCode: later.installCode ?? earlier.installCode,
  }
}
