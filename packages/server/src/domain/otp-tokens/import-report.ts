import { DomainError } from '../errors.ts'
import type { SeedFormat } from './seed-files/seed-file.ts'

/** What is said about one entry of a seed file. */
export interface ImportVerdict {
  /** Position in the file, from 1. */
  readonly index: number
  readonly serial: string | null
  readonly result: 'IMPORTED' | 'SKIPPED' | 'FAILED'
  /** Of a token that was stored. */
  readonly tokenId?: string
  /** Why it failed: a code of `errors[]` in the platform contract. */
  readonly code?: string
  readonly message?: string
}

/**
 * What became of a seed file. When an entry failed, nothing was stored, `imported` and `skipped` are 0 and only the
 * failed entries are listed, unless this is a dry run, which lists all.
 */
export interface ImportReport {
  readonly dryRun: boolean
  readonly format: SeedFormat
  readonly total: number
  /** In a dry run: importable. */
  readonly imported: number
  readonly skipped: number
  readonly failed: number
  readonly entries: readonly ImportVerdict[]
}

/** @param verdicts in any order. */
export function importReport(
  { dryRun, format, total }: Pick<ImportReport, 'dryRun' | 'format' | 'total'>,
  verdicts: readonly ImportVerdict[],
): ImportReport {
  const count = (wanted: ImportVerdict['result']) =>
    verdicts.filter(({ result }) => result === wanted).length
  const failed = count('FAILED')
  const isRejected = failed > 0 && !dryRun
  const shown = isRejected ? verdicts.filter(({ result }) => result === 'FAILED') : verdicts
  return {
    dryRun,
    format,
    total,
    imported: isRejected ? 0 : count('IMPORTED'),
    skipped: isRejected ? 0 : count('SKIPPED'),
    failed,
    entries: shown.toSorted((one, other) => one.index - other.index),
  }
}

/** The refusal for surfaces that answer a rejected file with an error: one fault for each failed entry. */
export function importRejected(entries: readonly ImportVerdict[]): DomainError {
  const faults = entries
    .filter(({ result }) => result === 'FAILED')
    .map(({ index, code = 'bad_format', message = '' }) => ({
      pointer: '/data',
      code,
      message,
      index,
    }))
  return new DomainError('import_rejected', 'The seed file was rejected.', { faults })
}
