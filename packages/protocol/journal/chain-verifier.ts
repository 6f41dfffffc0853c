import { canonicalJson, type JsonValue } from '../encoding/jcs.ts'
import { isJsonObject } from '../encoding/json.ts'
import { chainStart, recordHash } from './chain.ts'

/** What can be wrong with a chain. */
export type ChainFaultCode =
  | 'HASH_MISMATCH'
  | 'PREV_HASH_MISMATCH'
  | 'GAP'
  | 'MISSING_TAIL'
  | 'CHECKPOINT_MISMATCH'
  | 'CHECKPOINT_SIGNATURE_INVALID'

export interface ChainFault {
  /** The record at which the fault shows. */
  readonly seq: number
  readonly code: ChainFaultCode
}

/** A record as exported: all members, `hash` included. */
export interface ExportedRecord {
  readonly [name: string]: JsonValue
  readonly seq: number
  readonly prevHash: string
  readonly hash: string
}

const faultsMax = 100

/**
 * Checks a chain record by record, in order (platform.md, section 7). Needs nothing but the records: whoever has an export
 * can run it.
 */
export class ChainVerifier {
  readonly #faults: ChainFault[] = []
  #checkedCount = 0
  #firstSeq: number | null = null
  #lastSeq: number | null = null
  #lastHash: string | null = null

  get checkedCount(): number {
    return this.#checkedCount
  }

  get firstSeq(): number | null {
    return this.#firstSeq
  }

  get lastSeq(): number | null {
    return this.#lastSeq
  }

  get lastHash(): string | null {
    return this.#lastHash
  }

  /** In the order found, at most 100. */
  get faults(): readonly ChainFault[] {
    return this.#faults
  }

  /** Recomputes the record's hash and compares it, its sequence number and its previous hash with the record before. */
  add(record: ExportedRecord): void {
    const { hash, ...rest } = record
    const { seq, prevHash } = record
    if (this.#lastSeq === null) {
      this.#firstSeq = seq
      if (seq === 1 && prevHash !== chainStart) this.fault(seq, 'PREV_HASH_MISMATCH')
    } else if (seq !== this.#lastSeq + 1) {
      this.fault(seq, 'GAP')
    } else if (prevHash !== this.#lastHash) {
      this.fault(seq, 'PREV_HASH_MISMATCH')
    }
    if (hash !== recordHash(canonicalJson(rest))) this.fault(seq, 'HASH_MISMATCH')
    this.#checkedCount += 1
    this.#lastSeq = seq
    this.#lastHash = hash
  }

  /** Reports what was found outside the records: at a checkpoint, or behind the last record. */
  fault(seq: number, code: ChainFaultCode): void {
    if (this.#faults.length < faultsMax) this.#faults.push({ seq, code })
  }
}

/**
 * Reads one line of an export.
 *
 * @returns undefined for a line that is not a record in its canonical form: repeated or reordered members, other spellings.
 */
export function parseExportLine(line: string): ExportedRecord | undefined {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return undefined
  }
  if (!isExportedRecord(value)) return undefined
  try {
    return canonicalJson(value) === line ? value : undefined
  } catch {
    return undefined
  }
}

function isExportedRecord(value: unknown): value is ExportedRecord {
  if (!isJsonObject(value)) return false
  const { seq, prevHash, hash } = value
  return Number.isSafeInteger(seq) && isHash(prevHash) && isHash(hash)
}

function isHash(value: unknown): boolean {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)
}
