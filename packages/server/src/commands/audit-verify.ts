import {
  type ChainFault,
  ChainVerifier,
  type ExportedRecord,
  parseExportLine,
} from '@countersign/protocol/journal/chain-verifier.ts'
import { secretsEqual } from '#custody/secrets.ts'
import { type CheckpointStatement, readCheckpoints, readJwks } from './checkpoints-file.ts'
import { CommandError, exitCodes } from './failure.ts'
import { fileProgress, linesOf } from './lines.ts'
import type { Terminal } from './terminal.ts'

export interface AuditVerifyOptions {
  readonly checkpoints?: string
  readonly jwks?: string
}

const malformedMax = 100

/** What was found in an export. */
interface Findings {
  readonly verifier: ChainVerifier
  readonly tenantId: string | null
  readonly checkpointCount: number
  /** Numbers of lines that are not records in canonical form, or of another tenant. */
  readonly malformedLines: readonly number[]
}

/**
 * Checks an export of the journal from the file alone: hashes, order, and what checkpoints say that must be in it. Ends
 * with 65 when anything is wrong.
 */
export async function auditVerify(
  terminal: Terminal,
  file: string,
  options: AuditVerifyOptions,
): Promise<void> {
  if (options.jwks !== undefined && options.checkpoints === undefined) {
    throw new CommandError(exitCodes.usage, '--jwks is for the signatures of --checkpoints.')
  }
  const keys = options.jwks === undefined ? undefined : readJwks(options.jwks)
  const checkpoints =
    options.checkpoints === undefined ? [] : await readCheckpoints(options.checkpoints, keys)
  if (checkpoints.length > 0 && keys === undefined) {
    terminal.note('Without --jwks nobody knows who signed the checkpoints.')
  }
  report(terminal, await examine(terminal, file, checkpoints))
}

async function examine(
  terminal: Terminal,
  file: string,
  checkpoints: readonly CheckpointStatement[],
): Promise<Findings> {
  const verifier = new ChainVerifier()
  const bySeq = Map.groupBy(checkpoints, ({ seq }) => seq)
  const malformedLines: number[] = []
  let first: ExportedRecord | undefined
  using progress = fileProgress(terminal, 'verifying', file)
  for await (const { number, text } of linesOf(file, progress)) {
    terminal.signal.throwIfAborted()
    const record = parseExportLine(text)
    first ??= record
    if (record === undefined || record.tenantId !== first?.tenantId) {
      if (malformedLines.length < malformedMax) malformedLines.push(number)
      continue
    }
    verifier.add(record)
    for (const checkpoint of bySeq.get(record.seq) ?? []) compare(verifier, record, checkpoint)
  }
  const tenantId = typeof first?.tenantId === 'string' ? first.tenantId : null
  for (const checkpoint of checkpoints) checkOutside(verifier, first, checkpoint)
  return { verifier, tenantId, checkpointCount: checkpoints.length, malformedLines }
}

function compare(
  verifier: ChainVerifier,
  { seq, hash, tenantId }: ExportedRecord,
  checkpoint: CheckpointStatement,
): void {
  if (tenantId !== checkpoint.tenantId || !secretsEqual(hash, checkpoint.hash))
    verifier.fault(seq, 'CHECKPOINT_MISMATCH')
}

/** What can be said of a checkpoint without its record: its signature, and that the record should be here. */
function checkOutside(
  verifier: ChainVerifier,
  first: ExportedRecord | undefined,
  { seq, hash, isSigned }: CheckpointStatement,
): void {
  if (isSigned === false) verifier.fault(seq, 'CHECKPOINT_SIGNATURE_INVALID')
  if (seq > (verifier.lastSeq ?? 0)) verifier.fault(seq, 'MISSING_TAIL')
  const isBeforeFirst = first !== undefined && seq === first.seq - 1
  if (isBeforeFirst && !secretsEqual(first.prevHash, hash)) {
    verifier.fault(first.seq, 'CHECKPOINT_MISMATCH')
  }
}

function report(
  terminal: Terminal,
  { verifier, tenantId, checkpointCount, malformedLines }: Findings,
): void {
  const { checkedCount, firstSeq, lastSeq, lastHash, faults } = verifier
  const valid = checkedCount > 0 && faults.length === 0 && malformedLines.length === 0
  const document = {
    valid,
    tenantId,
    checked: checkedCount,
    firstSeq,
    lastSeq,
    lastHash,
    checkpoints: checkpointCount,
    faults,
    malformedLines,
  }
  terminal.result(document, [
    valid ? 'The chain is whole.' : 'The chain is NOT whole.',
    `tenant: ${tenantId ?? '-'}`,
    `records: ${checkedCount}`,
    `firstSeq: ${firstSeq ?? '-'}`,
    `lastSeq: ${lastSeq ?? '-'}`,
    `lastHash: ${lastHash ?? '-'}`,
    `checkpoints: ${checkpointCount}`,
    ...faults.map(describe),
    ...malformedLines.map((line) => `line ${line}: not a record of this tenant in canonical form`),
  ])
  if (!valid) process.exitCode = exitCodes.badData
}

function describe({ seq, code }: ChainFault): string {
  return `seq ${seq}: ${code}`
}
