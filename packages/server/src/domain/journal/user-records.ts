import type { Clock } from '../clock.ts'
import type { Storage } from '../storage.ts'
import {
  nthSeq,
  type PlacedRecord,
  type RecordFilter,
  type RecordRange,
  upTo,
} from './journal-reader-store.ts'

/** So many that wait are listed soon; fewer wait at most this long. */
const waitingMax = 2_000
const restMsMax = 10_000
/** One unit of work: small enough not to hold up requests behind it. */
const recordsPerStep = 500

/** One part of a search: where to look, and whether rows of the user lead there. */
interface Part extends RecordRange {
  readonly isListed: boolean
}

export interface UserSearch {
  readonly filter: RecordFilter & { readonly userId: string }
  readonly order: 'asc' | 'desc'
  readonly limit: number
  /** Rows that may be looked at on either side of where the list ends. */
  readonly scannedRowsMax: number
}

/**
 * Lists which records of the journal are about which user, behind the writers: an index would make every record change a
 * page at a place of its own before anybody is answered. What is not listed yet is found by looking at each record.
 */
export class UserRecords {
  readonly #storage: Storage
  readonly #clock: Clock
  /** Chains that grew, with since when their list is behind. */
  readonly #grown = new Map<string, { headSeq: number; sinceMs: number }>()

  constructor({ storage, clock }: { storage: Storage; clock: Clock }) {
    this.#storage = storage
    this.#clock = clock
  }

  /** A chain has grown. */
  note(tenantId: string, headSeq: number): void {
    const sinceMs = this.#grown.get(tenantId)?.sinceMs ?? this.#clock()
    this.#grown.set(tenantId, { headSeq, sinceMs })
  }

  /** Continues the lists that are due. To be called about once a second. */
  async continueDue(): Promise<void> {
    const { userRecords } = this.#storage.read
    for (const [tenantId, { headSeq, sinceMs }] of this.#grown) {
      const isOld = this.#clock() - sinceMs >= restMsMax
      if (!isOld && headSeq - (await userRecords.findListedTo(tenantId)) < waitingMax) continue
      this.#grown.delete(tenantId)
      await this.listTo(tenantId, headSeq)
    }
  }

  /** Lists everything up to and with a record, unless somebody else does it at the same time. */
  async listTo(tenantId: string, toSeq: number): Promise<void> {
    const listedTo = await this.#storage.read.userRecords.findListedTo(tenantId)
    for (let from = listedTo; from < toSeq; from += recordsPerStep) {
      const to = Math.min(from + recordsPerStep, toSeq)
      const isMine = await this.#storage.transaction(async ({ userRecords, journalReader }) => {
        // The tenant may have been deleted.
        if ((await journalReader.find(tenantId, to)) === undefined) return false
        const hasMoved = await userRecords.moveListedTo(tenantId, from, to)
        if (hasMoved) await userRecords.add(tenantId, { fromSeq: from + 1, toSeq: to })
        return hasMoved
      })
      if (!isMine) return
    }
  }

  /** Records of a range that are about a user, with how much of the range was looked at, from the end that `order` begins at. */
  async search(
    tenantId: string,
    range: RecordRange,
    { filter, order, limit, scannedRowsMax }: UserSearch,
  ): Promise<{ rows: PlacedRecord[]; looked: RecordRange }> {
    const { userRecords, journalReader } = this.#storage.read
    const rows: PlacedRecord[] = []
    let looked = range
    const listedTo = await userRecords.findListedTo(tenantId)
    for (const part of partsOf(range, listedTo, order)) {
      const last = part.isListed
        ? await userRecords.findSeq(tenantId, filter.userId, part, order, scannedRowsMax)
        : nthSeq(part, order, scannedRowsMax)
      const scanned = upTo(part, order, last)
      const store = part.isListed ? userRecords : journalReader
      rows.push(...(await store.search(tenantId, scanned, filter, order, limit - rows.length)))
      looked = upTo(range, order, order === 'asc' ? scanned.toSeq : scanned.fromSeq)
      const isWhole = scanned.fromSeq === part.fromSeq && scanned.toSeq === part.toSeq
      if (rows.length === limit || !isWhole) break
    }
    return { rows, looked }
  }
}

/** What is listed and what is not, in the order in which it is wanted. */
function partsOf({ fromSeq, toSeq }: RecordRange, listedTo: number, order: 'asc' | 'desc'): Part[] {
  const parts = [
    { fromSeq, toSeq: Math.min(toSeq, listedTo), isListed: true },
    { fromSeq: Math.max(fromSeq, listedTo + 1), toSeq, isListed: false },
  ].filter((part) => part.fromSeq <= part.toSeq)
  return order === 'asc' ? parts : parts.reverse()
}
