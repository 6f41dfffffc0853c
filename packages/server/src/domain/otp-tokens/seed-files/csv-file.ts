import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { CsvError, parse } from 'csv-parse'
import {
  type EntryOutcome,
  EntryProblem,
  EntryProblems,
  fileRejected,
  type SecretEncoding,
} from './seed-file.ts'
import {
  counterRange,
  digitsRange,
  periodRange,
  readInteger,
  readSecret,
  readSerial,
} from './seed-values.ts'
import { textPieces } from './text-pieces.ts'

const requiredColumns = ['serial number', 'secret key'] as const
/** The last three are read over: they say nothing of the token. */
const optionalColumns = [
  'time interval',
  'counter',
  'digits',
  'manufacturer',
  'model',
  'upn',
] as const
type Column = (typeof requiredColumns)[number] | (typeof optionalColumns)[number]

const knownColumns: ReadonlySet<string> = new Set([...requiredColumns, ...optionalColumns])
const rowLengthMax = 16_384
const shownLengthMax = 64

const syntaxFaults: Readonly<Record<string, string>> = {
  CSV_QUOTE_NOT_CLOSED: 'a quote is not closed',
  CSV_INVALID_CLOSING_QUOTE: 'text after a closing quote',
  CSV_NON_TRIMABLE_CHAR_AFTER_CLOSING_QUOTE: 'text after a closing quote',
  INVALID_OPENING_QUOTE: 'a quote inside a field that is not quoted',
  CSV_MAX_RECORD_SIZE: `a row is longer than ${rowLengthMax} characters`,
}

/** True if the first line names one of the columns that only our files have. */
export function isCsv(text: string): boolean {
  const header =
    text
      .slice(0, rowLengthMax)
      .trimStart()
      .split(/[\r\n]/, 1)[0]
      ?.toLowerCase() ?? ''
  return requiredColumns.some((name) => header.includes(name))
}

/**
 * The entries of a CSV file: a header with the column names in any case and order, commas, quotes as in RFC 4180, any
 * line ends, blank lines skipped, blanks around fields dropped. The index counts rows without header and blank lines.
 *
 * @throws DomainError `import_rejected`.
 */
export async function* csvEntries(
  text: string,
  encoding: SecretEncoding,
): AsyncGenerator<EntryOutcome> {
  let columns: readonly Column[] | undefined
  let index = 0
  for await (const row of csvRows(text)) {
    if (columns) yield readRow(row, ++index, columns, encoding)
    else columns = readHeader(row)
  }
  if (index === 0) throw fileRejected('required', 'The file has no row after the header.')
}

async function* csvRows(text: string): AsyncGenerator<readonly string[]> {
  const nul = text.indexOf('\0')
  if (nul !== -1) throw fileRejected('bad_format', `Line ${lineAt(text, nul)}: a NUL character.`)
  const parser = parse({
    bom: true,
    delimiter: ',',
    record_delimiter: ['\r\n', '\n', '\r'],
    trim: true,
    skip_empty_lines: true,
    relax_column_count: true,
    max_record_size: rowLengthMax,
  })
  const feeding = pipeline(Readable.from(textPieces([text])), parser)
  // Its failure is the parser's own and comes out of the loop below.
  feeding.catch(() => undefined)
  try {
    for await (const row of parser) yield row
  } catch (error) {
    if (!(error instanceof CsvError)) throw error
    // The parser's own message repeats the field, which may hold a secret.
    const reason = syntaxFaults[error.code] ?? 'not a CSV row'
    throw fileRejected('bad_format', `Line ${Number(error.lines) || '?'}: ${reason}.`)
  } finally {
    parser.destroy()
  }
}

function readHeader(row: readonly string[]): readonly Column[] {
  const names = row.map((name) => name.toLowerCase())
  for (const name of names) {
    if (!knownColumns.has(name)) {
      throw fileRejected(
        'unsupported',
        `Header: unknown column "${name.slice(0, shownLengthMax)}".`,
      )
    }
    if (names.indexOf(name) !== names.lastIndexOf(name)) {
      throw fileRejected('bad_format', `Header: the column "${name}" comes twice.`)
    }
  }
  for (const name of requiredColumns) {
    if (!names.includes(name)) {
      throw fileRejected('required', `Header: the column "${name}" is missing.`)
    }
  }
  return names as Column[]
}

function readRow(
  row: readonly string[],
  index: number,
  columns: readonly Column[],
  encoding: SecretEncoding,
): EntryOutcome {
  const problems = new EntryProblems()
  const field = (column: Column) => row[columns.indexOf(column)] || undefined
  const serial = problems.attempt(() => readSerial(field('serial number')))
  problems.attempt(() => checkFieldCount(row.length, columns.length))
  const secret = problems.attempt(() => readSecret(field('secret key'), encoding))
  const optional = (column: Column, range: typeof digitsRange) =>
    problems.attempt(() => {
      const text = field(column)
      return text === undefined ? undefined : readInteger(text, range)
    })
  const periodSeconds = optional('time interval', periodRange)
  const counter = optional('counter', counterRange)
  const digits = optional('digits', digitsRange)
  if (!problems.isEmpty || serial === undefined || !secret) {
    return { faults: problems.toFaults(index, serial) }
  }
  return {
    entry: {
      index,
      serial,
      secret,
      ...(periodSeconds !== undefined && { periodSeconds }),
      ...(counter !== undefined && { counter }),
      ...(digits !== undefined && { digits }),
    },
  }
}

function checkFieldCount(actual: number, expected: number): void {
  if (actual === expected) return
  throw new EntryProblem('bad_format', `The row has ${actual} fields, the header ${expected}.`)
}

function lineAt(text: string, position: number): number {
  return text.slice(0, position).split(/\r\n|\n|\r/).length
}
