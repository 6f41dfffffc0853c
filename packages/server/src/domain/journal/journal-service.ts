import { setImmediate as nextTurn } from 'node:timers/promises'
import {
  type ChainFault,
  ChainVerifier,
  parseExportLine,
} from '@countersign/protocol/journal/chain-verifier.ts'
import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import { decodeCursor, encodeCursor, type Page, type PageRequest } from '../paging.ts'
import type { Storage } from '../storage.ts'
import { firstUlidAt } from '../ulid.ts'
import type { CheckpointService } from './checkpoint-service.ts'
import type { Checkpoint } from './checkpoint-store.ts'
import {
  nthSeq,
  type PlacedRecord,
  type RecordFilter,
  type RecordRange,
  upTo,
} from './journal-reader-store.ts'
import { exportLine } from './journal-record.ts'
import type { Sealer } from './sealer.ts'
import type { UserRecords } from './user-records.ts'

/** Rows that one request may look at; a page may come back short, with a cursor to go on from. */
const scannedRowsMax = 5_000
const batchRowsMax = 500
const parallelExportsMax = 20
/** Sealing follows time, but not to the millisecond: two nodes may write for this long before the sealer sees it. */
const disorderMs = 120_000

export interface RecordQuery extends PageRequest, RecordFilter {
  readonly order: 'asc' | 'desc'
}

export interface AuditVerification {
  readonly valid: boolean
  readonly checked: number
  readonly firstSeq: number | null
  readonly lastSeq: number | null
  readonly lastHash: string | null
  /** Checkpoints compared. */
  readonly checkpoints: number
  readonly faults: readonly ChainFault[]
}

/** Reads, exports and checks the chains. Records of the last second may not be in them yet. */
export class JournalService {
  readonly #storage: Storage
  readonly #checkpoints: CheckpointService
  readonly #sealer: Sealer
  readonly #userRecords: UserRecords
  readonly #clock: Clock
  #runningExports = 0

  constructor(dependencies: {
    storage: Storage
    checkpoints: CheckpointService
    sealer: Sealer
    userRecords: UserRecords
    clock: Clock
  }) {
    this.#storage = dependencies.storage
    this.#checkpoints = dependencies.checkpoints
    this.#sealer = dependencies.sealer
    this.#userRecords = dependencies.userRecords
    this.#clock = dependencies.clock
  }

  /**
   * One page of records, each as its canonical JSON text.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `cursor_invalid`.
   */
  async list(caller: Caller, tenantId: string, query: RecordQuery): Promise<Page<string>> {
    await this.#requireReader(caller, tenantId)
    const { limit, cursor, order, ...filter } = query
    const scope = {
      list: 'audit-records',
      tenantId,
      filters: { ...filter, order },
      nowMs: this.#clock(),
    }
    const after = decodeCursor(cursor, ['integer'], scope)?.[0]
    const whole = await this.#rangeOf(tenantId, filter)
    if (whole === undefined) return { items: [] }
    const range = behind(whole, after, order)
    const { rows, looked } = await this.#search(tenantId, range, { filter, order, limit })
    const reachedEnd =
      order === 'asc' ? looked.toSeq >= whole.toSeq : looked.fromSeq <= whole.fromSeq
    const items = rows.map(exportLine)
    const last = rows.at(-1)
    if (rows.length === limit && last !== undefined) {
      return { items, nextCursor: encodeCursor([last.seq], scope) }
    }
    if (reachedEnd || filter.id !== undefined) return { items }
    return {
      items,
      nextCursor: encodeCursor([order === 'asc' ? looked.toSeq : looked.fromSeq], scope),
    }
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`, `record_not_found`. */
  async get(caller: Caller, tenantId: string, seq: number): Promise<string> {
    await this.#requireReader(caller, tenantId)
    const record = await this.#storage.read.journalReader.find(tenantId, seq)
    if (record === undefined) throw new DomainError('record_not_found', 'No such record.')
    return exportLine(record)
  }

  /**
   * The lines of an export, each a record and a line feed, up to the record that is the newest now.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`; `too_many_requests` while 20 exports run.
   */
  async export(
    caller: Caller,
    tenantId: string,
    range: Partial<RecordRange>,
  ): Promise<AsyncGenerator<string>> {
    await this.#requireReader(caller, tenantId)
    if (this.#runningExports >= parallelExportsMax) {
      throw new DomainError('too_many_requests', 'Too many exports run.', { retryAfterSeconds: 5 })
    }
    const last = await this.#storage.read.journalReader.findLast(tenantId)
    const toSeq = Math.min(range.toSeq ?? Number.MAX_SAFE_INTEGER, last?.seq ?? 0)
    return this.#lines(tenantId, { fromSeq: range.fromSeq ?? 1, toSeq })
  }

  /**
   * Recomputes the chain in a range and compares the checkpoints in it. Faults are an answer.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`.
   */
  async verify(
    caller: Caller,
    tenantId: string,
    request: Partial<RecordRange> & { checkpoint?: string },
  ): Promise<AuditVerification> {
    await this.#requireReader(caller, tenantId)
    const last = await this.#storage.read.journalReader.findLast(tenantId)
    const range = {
      fromSeq: request.fromSeq ?? 1,
      toSeq: Math.min(request.toSeq ?? Number.MAX_SAFE_INTEGER, last?.seq ?? 0),
    }
    const verifier = new ChainVerifier()
    let checkpointCount = 0
    for await (const batch of this.#batches(tenantId, range)) {
      const [first] = batch
      const end = batch.at(-1)
      if (first === undefined || end === undefined) continue
      await this.#startBehind(tenantId, verifier, first)
      for (const record of batch) addTo(verifier, record)
      const known = await this.#storage.read.checkpoints.listInRange(
        tenantId,
        first.seq,
        end.seq,
        batchRowsMax,
      )
      for (const checkpoint of known) {
        checkpointCount += 1
        await this.#compare(tenantId, verifier, checkpoint, batch)
      }
      await nextTurn()
    }
    if (request.toSeq !== undefined && request.toSeq > (last?.seq ?? 0)) {
      verifier.fault(request.toSeq, 'MISSING_TAIL')
    }
    if (request.checkpoint !== undefined) {
      checkpointCount += 1
      await this.#compareOutside(tenantId, verifier, request.checkpoint, last?.seq ?? 0)
    }
    return {
      valid: verifier.faults.length === 0,
      checked: verifier.checkedCount,
      firstSeq: verifier.firstSeq,
      lastSeq: verifier.lastSeq,
      lastHash: verifier.lastHash,
      checkpoints: checkpointCount,
      faults: verifier.faults,
    }
  }

  /**
   * Signs where the chain stands, after sealing what waits.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`; `state_conflict` while there is no record.
   */
  async createCheckpoint(caller: Caller, tenantId: string): Promise<Checkpoint> {
    await this.#requireReader(caller, tenantId)
    const head = await this.#sealer.sealTenant(tenantId)
    if (head === undefined) throw new DomainError('state_conflict', 'There is no record yet.')
    return this.#checkpoints.create(tenantId, head, 'REQUESTED')
  }

  /** The journal of a tenant, or of the platform itself, for those who may read it. */
  async #requireReader(caller: Caller, tenantId: string): Promise<void> {
    caller.requireIn(tenantId, 'audit:read')
    if (caller.tenantId !== null) return
    const key = await this.#storage.read.signingKeys.findActive(tenantId, 'audit')
    if (key === undefined) throw new DomainError('tenant_not_found', 'No such tenant.')
  }

  async *#lines(tenantId: string, range: RecordRange): AsyncGenerator<string> {
    this.#runningExports += 1
    try {
      for await (const batch of this.#batches(tenantId, range)) {
        yield batch.map((record) => `${exportLine(record)}\n`).join('')
      }
    } finally {
      this.#runningExports -= 1
    }
  }

  async *#batches(
    tenantId: string,
    { fromSeq, toSeq }: RecordRange,
  ): AsyncGenerator<PlacedRecord[]> {
    for (let next = fromSeq; next <= toSeq; ) {
      const batch = await this.#storage.read.journalReader.listRange(
        tenantId,
        { fromSeq: next, toSeq },
        batchRowsMax,
      )
      const last = batch.at(-1)
      if (last === undefined) return
      yield batch
      next = last.seq + 1
    }
  }

  /** A range that starts inside the chain is compared with the record before it. */
  async #startBehind(
    tenantId: string,
    verifier: ChainVerifier,
    first: PlacedRecord,
  ): Promise<void> {
    if (verifier.lastSeq !== null || first.seq === 1) return
    const before = await this.#storage.read.journalReader.find(tenantId, first.seq - 1)
    const record = parseExportLine(exportLine(first))
    if (before !== undefined && record !== undefined && record.prevHash !== before.hash) {
      verifier.fault(first.seq, 'PREV_HASH_MISMATCH')
    }
  }

  async #compare(
    tenantId: string,
    verifier: ChainVerifier,
    checkpoint: Checkpoint,
    batch: readonly PlacedRecord[],
  ): Promise<void> {
    const statement = await this.#checkpoints.read(tenantId, checkpoint.jws)
    if (statement === undefined) {
      verifier.fault(checkpoint.seq, 'CHECKPOINT_SIGNATURE_INVALID')
      return
    }
    const record = batch.find(({ seq }) => seq === statement.seq)
    if (record?.hash !== statement.hash) verifier.fault(checkpoint.seq, 'CHECKPOINT_MISMATCH')
  }

  async #compareOutside(
    tenantId: string,
    verifier: ChainVerifier,
    jws: string,
    lastSeq: number,
  ): Promise<void> {
    const statement = await this.#checkpoints.read(tenantId, jws)
    if (statement === undefined) {
      verifier.fault(Math.max(lastSeq, 1), 'CHECKPOINT_SIGNATURE_INVALID')
      return
    }
    if (statement.seq > lastSeq) {
      verifier.fault(statement.seq, 'MISSING_TAIL')
      return
    }
    const record = await this.#storage.read.journalReader.find(tenantId, statement.seq)
    if (record?.hash !== statement.hash) verifier.fault(statement.seq, 'CHECKPOINT_MISMATCH')
  }

  /** What one request finds in a range, and how much of it it looked at: what indexes lead to, or 5,000 rows. */
  async #search(
    tenantId: string,
    range: RecordRange,
    { filter, order, limit }: Pick<RecordQuery, 'order' | 'limit'> & { filter: RecordFilter },
  ): Promise<{ rows: PlacedRecord[]; looked: RecordRange }> {
    const { journalReader } = this.#storage.read
    const { id, userId } = filter
    if (id === undefined && userId !== undefined) {
      const search = { filter: { ...filter, userId }, order, limit, scannedRowsMax }
      return this.#userRecords.search(tenantId, range, search)
    }
    const looked =
      id === undefined
        ? upTo(range, order, nthSeq(range, order, scannedRowsMax))
        : onlyAt(range, await journalReader.findSeqOfId(tenantId, id))
    const rows = await journalReader.search(tenantId, looked, filter, order, limit)
    return { rows, looked }
  }

  /** The part of the chain in which the filter's time can lie; undefined for an empty chain. */
  async #rangeOf(
    tenantId: string,
    { fromMs, toMs }: RecordFilter,
  ): Promise<RecordRange | undefined> {
    const { journalReader } = this.#storage.read
    const last = await journalReader.findLast(tenantId)
    const first = await journalReader.findFirst(tenantId)
    if (last === undefined || first === undefined) return undefined
    const near = async (timeMs: number): Promise<number | undefined> =>
      journalReader.findSeqNearId(tenantId, firstUlidAt(timeMs))
    const fromSeq =
      fromMs === undefined ? first.seq : ((await near(fromMs - disorderMs)) ?? last.seq)
    const toSeq = toMs === undefined ? last.seq : ((await near(toMs + disorderMs)) ?? last.seq)
    return { fromSeq, toSeq }
  }
}

function addTo(verifier: ChainVerifier, record: PlacedRecord): void {
  const exported = parseExportLine(exportLine(record))
  if (exported === undefined) verifier.fault(record.seq, 'HASH_MISMATCH')
  else verifier.add(exported)
}

function behind(range: RecordRange, after: number | undefined, order: 'asc' | 'desc'): RecordRange {
  if (after === undefined) return range
  return order === 'asc' ? { ...range, fromSeq: after + 1 } : { ...range, toSeq: after - 1 }
}

function onlyAt(range: RecordRange, seq: number | undefined): RecordRange {
  return seq === undefined || seq < range.fromSeq || seq > range.toSeq
    ? range
    : { fromSeq: seq, toSeq: seq }
}
