import { setImmediate as nextTurn } from 'node:timers/promises'
import type { PinHasher } from '#custody/pin-hasher.ts'
import { BoundedWork } from '../bounded-work.ts'
import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import type { Storage, Stores } from '../storage.ts'
import type { IdSource } from '../ulid.ts'
import { assign, holdToken } from './assigning.ts'
import { applyChanges, recordChanges } from './assignment-changes.ts'
import { type BatchFile, BatchFileFault, type BatchLine, readBatchFile } from './batch-file.ts'
import {
  type BatchFault,
  BatchResolver,
  type ResolvedRow,
  rowsLookedUpAtOnce,
} from './batch-resolver.ts'
import { requireActive } from './otp-token.ts'
import { requireTokenAdmin } from './token-rights.ts'

export interface BatchRequest extends BatchFile {
  /** `abort`: one bad row undoes all. */
  readonly onError: 'continue' | 'abort'
}

/** What became of the rows. Undone: nothing is counted but the bad ones. */
export interface BatchReport {
  readonly total: number
  /** Rows that made or changed an assignment. */
  readonly assigned: number
  readonly unchanged: number
  readonly failed: number
  /** The bad rows, in order. */
  readonly faults: readonly BatchFault[]
}

/** A file that cannot be read is an answer, too. */
export type BatchOutcome =
  | { readonly isReadable: true; readonly report: BatchReport }
  /** Nothing was done; the reason is part of a sentence. */
  | { readonly isReadable: false; readonly reason: string }

type RowOutcome = 'assigned' | 'unchanged' | BatchFault

/** Rows of one transaction when they are independent. */
const rowsAtOnce = 100
/** Rows after which the event loop gets a turn within a transaction. */
const rowsPerTurn = 25

/** PINs of all batches that stand in the queue of PINs: a login waits behind so many of them and no more. */
const pinsAtOnceMax = 2
/** Whoever comes with another one is sent away before anything is done. */
const batchesAtOnceMax = 4

/** All rows are undone. */
class BatchUndone extends Error {
  override readonly name = 'BatchUndone'
  readonly outcomes: readonly RowOutcome[]

  constructor(outcomes: readonly RowOutcome[]) {
    super('A row of the batch is bad.')
    this.outcomes = outcomes
  }
}

/** Assigns many tokens in one go (dualshield.md, section 10). */
export class BatchAssignmentService {
  readonly #storage: Storage
  readonly #pins: PinHasher
  readonly #batches = new BoundedWork({
    atOnceMax: batchesAtOnceMax,
    waitingMax: 0,
    refusal: 'Too many batches with PINs are under way.',
  })
  readonly #pinTurns = new BoundedWork({
    atOnceMax: pinsAtOnceMax,
    // All that the batches under way have to compute at a time.
    waitingMax: batchesAtOnceMax * rowsLookedUpAtOnce,
    refusal: 'Too many PINs wait to be computed.',
  })
  readonly #clock: Clock
  readonly #nextId: IdSource

  constructor(dependencies: {
    storage: Storage
    pins: PinHasher
    clock: Clock
    nextId: IdSource
  }) {
    this.#storage = dependencies.storage
    this.#pins = dependencies.pins
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
  }

  /**
   * Rows are carried out from top to bottom, each whole or not at all.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`; `too_many_requests` when too many PINs or batches wait: nothing was
   *   done.
   */
  async assign(caller: Caller, tenantId: string, request: BatchRequest): Promise<BatchOutcome> {
    requireTokenAdmin(caller, tenantId)
    const { read } = this.#storage
    await read.tenants.requireFor(caller, tenantId)
    const lines = readLines(request)
    if (!Array.isArray(lines)) return { isReadable: false, reason: lines.message }
    const resolver = new BatchResolver(read, this.#pins, this.#pinTurns, tenantId)
    const hasPins = lines.some((line) => 'pin' in line && line.pin !== undefined)
    const resolve = () => resolver.resolve(lines)
    const rows = await (hasPins ? this.#batches.run(resolve) : resolve())
    const outcomes =
      request.onError === 'abort'
        ? await this.#carryOutTogether(caller, tenantId, rows)
        : await this.#carryOutApart(caller, tenantId, rows)
    return { isReadable: true, report: reportOf(outcomes, request.onError) }
  }

  async #carryOutApart(
    caller: Caller,
    tenantId: string,
    rows: readonly (ResolvedRow | BatchFault)[],
  ): Promise<RowOutcome[]> {
    const outcomes: RowOutcome[] = []
    for (let start = 0; start < rows.length; start += rowsAtOnce) {
      const some = rows.slice(start, start + rowsAtOnce)
      outcomes.push(
        ...(await this.#storage.transaction((stores) =>
          this.#carryOut(stores, caller, tenantId, some),
        )),
      )
    }
    return outcomes
  }

  async #carryOutTogether(
    caller: Caller,
    tenantId: string,
    rows: readonly (ResolvedRow | BatchFault)[],
  ): Promise<readonly RowOutcome[]> {
    try {
      return await this.#storage.transaction(async (stores) => {
        const outcomes = await this.#carryOut(stores, caller, tenantId, rows)
        if (outcomes.some(isFault)) throw new BatchUndone(outcomes)
        return outcomes
      })
    } catch (error) {
      if (error instanceof BatchUndone) return error.outcomes
      throw error
    }
  }

  async #carryOut(
    stores: Stores,
    caller: Caller,
    tenantId: string,
    rows: readonly (ResolvedRow | BatchFault)[],
  ): Promise<RowOutcome[]> {
    const outcomes: RowOutcome[] = []
    for (const row of rows) {
      outcomes.push(isFault(row) ? row : await this.#carryOutRow(stores, caller, tenantId, row))
      if (outcomes.length % rowsPerTurn === 0) await nextTurn()
    }
    return outcomes
  }

  /** A row that is refused has written nothing: every condition is looked at before. */
  async #carryOutRow(
    stores: Stores,
    caller: Caller,
    tenantId: string,
    { row, userId, tokenId, pinHash }: ResolvedRow,
  ): Promise<RowOutcome> {
    const nowMs = this.#clock()
    try {
      const token = await holdToken(stores, tenantId, tokenId)
      requireActive(token)
      const assignment = await stores.assignments.find({ tenantId, tokenId, userId })
      if (assignment === undefined) {
        await assign(stores, caller, {
          token,
          userId,
          isShared: false,
          terms: {},
          status: row.status ?? 'ACTIVE',
          pinHash: pinHash ?? null,
          id: this.#nextId(),
          nowMs,
        })
        return 'assigned'
      }
      const change = { token, assignment, changes: { status: row.status }, pinHash, nowMs }
      const changed = await applyChanges(stores, change)
      await recordChanges(stores, caller, change, changed)
      return changed.length === 0 ? 'unchanged' : 'assigned'
    } catch (error) {
      if (!(error instanceof DomainError) || error.code === 'unavailable') throw error
      const { code, message } = error
      return { line: row.line, serial: row.serial, code, message }
    }
  }
}

function readLines(file: BatchFile): BatchLine[] | BatchFileFault {
  try {
    return readBatchFile(file)
  } catch (error) {
    if (error instanceof BatchFileFault) return error
    throw error
  }
}

function reportOf(outcomes: readonly RowOutcome[], onError: BatchRequest['onError']): BatchReport {
  const faults = outcomes.filter(isFault)
  const isUndone = onError === 'abort' && faults.length > 0
  const count = (wanted: RowOutcome) => outcomes.filter((outcome) => outcome === wanted).length
  return {
    total: outcomes.length,
    assigned: isUndone ? 0 : count('assigned'),
    unchanged: isUndone ? 0 : count('unchanged'),
    failed: faults.length,
    faults,
  }
}

function isFault(row: RowOutcome | ResolvedRow): row is BatchFault {
  return typeof row === 'object' && 'code' in row
}
