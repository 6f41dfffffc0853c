import {
  type ChainFault,
  ChainVerifier,
  type ExportedRecord,
} from '@countersign/protocol/journal/chain-verifier.ts'
import type { Queries } from '#storage/queries.ts'
import { type Row, rowsOf } from '#storage/table-rows.ts'
import { listTables, type Table } from '#storage/tables.ts'
import { CommandError, exitCodes } from './failure.ts'
import { formatRow, RowsDigest } from './row-lines.ts'
import type { Progress } from './terminal.ts'

/** What a table holds, in short: two tables with the same summary have the same rows. */
export interface TableSummary {
  readonly name: string
  readonly rows: number
  /** Over the rows in order of their key. */
  readonly sha256: string
}

/** The end of a tenant's chain. */
export interface ChainEnd {
  readonly tenantId: string
  readonly seq: number
  readonly hash: string
}

const journalTable = 'journal_record'

/** Checks the chains of all tenants while the rows of the journal pass by in order of their key. */
export class ChainInspector {
  readonly #ends: ChainEnd[] = []
  readonly #faults: { tenantId: string; fault: ChainFault }[] = []
  #tenantId = ''
  #verifier = new ChainVerifier()

  /** Looks at any row; those of other tables are passed over. */
  add(table: Table, row: Row): void {
    if (table.name !== journalTable) return
    const tenantId = String(row.tenant_id)
    if (tenantId !== this.#tenantId) {
      this.#endChain()
      this.#tenantId = tenantId
    }
    const record = readRecord(row)
    if (record === undefined) this.#verifier.fault(Number(row.seq), 'HASH_MISMATCH')
    else this.#verifier.add(record)
  }

  /** After the last row: where every chain ends. */
  end(): readonly ChainEnd[] {
    this.#endChain()
    return this.#ends
  }

  /** A line for every fault; empty when all chains are whole. */
  get faults(): readonly string[] {
    return this.#faults.map(({ tenantId, fault }) => `${tenantId}, seq ${fault.seq}: ${fault.code}`)
  }

  #endChain(): void {
    const { lastSeq, lastHash, faults } = this.#verifier
    if (lastSeq !== null && lastHash !== null) {
      this.#ends.push({ tenantId: this.#tenantId, seq: lastSeq, hash: lastHash })
    }
    for (const fault of faults) this.#faults.push({ tenantId: this.#tenantId, fault })
    this.#verifier = new ChainVerifier()
  }
}

/**
 * To be called at the end of work that moved a database: what is broken was broken before, but must not go unnoticed.
 *
 * @throws CommandError
 */
export function requireWholeChains({ faults }: ChainInspector): void {
  if (faults.length === 0) return
  const lines = ['Every row is as it was, but chains of the journal were broken there:', ...faults]
  throw new CommandError(exitCodes.badData, lines.join('\n'), { detail: { faults } })
}

/** Undefined when the row does not hold the record that its columns say. */
function readRecord({ tenant_id, seq, body, hash }: Row): ExportedRecord | undefined {
  try {
    const record = JSON.parse(String(body)) as ExportedRecord
    const isPlaced = record.seq === seq && record.tenantId === tenant_id
    return isPlaced ? { ...record, hash: String(hash) } : undefined
  } catch {
    return undefined
  }
}

export interface InspectionOptions {
  readonly signal: AbortSignal
  readonly progress?: Progress
  /** Told of every row. */
  readonly chains?: ChainInspector
  /** What to take instead of a row. */
  readonly replace?: (table: Table, row: Row) => Row
}

/** Reads a whole database and summarises every table, in a bounded amount of memory. */
export async function summarise(
  queries: Queries,
  { signal, progress, chains, replace = (_table, row) => row }: InspectionOptions,
): Promise<TableSummary[]> {
  const summaries: TableSummary[] = []
  for (const table of listTables()) {
    const digest = new RowsDigest()
    for await (const rows of rowsOf(queries, table)) {
      signal.throwIfAborted()
      for (const row of rows) {
        const taken = replace(table, row)
        digest.add(formatRow(table, taken))
        chains?.add(table, taken)
      }
      progress?.add(rows.length)
    }
    summaries.push({ name: table.name, rows: digest.count, sha256: digest.end() })
  }
  return summaries
}

/** The names of the tables in which two databases differ. */
export function differingTables(
  one: readonly TableSummary[],
  other: readonly TableSummary[],
): string[] {
  const known = new Map(other.map(({ name, rows, sha256 }) => [name, `${rows} ${sha256}`]))
  return one
    .filter(({ name, rows, sha256 }) => known.get(name) !== `${rows} ${sha256}`)
    .map(({ name }) => name)
}
