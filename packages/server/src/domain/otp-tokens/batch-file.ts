import { decodeBase64 } from '@countersign/protocol/encoding/base64.ts'
import { type AssignmentStatus, pinPattern } from './assignment.ts'
import { CsvFault, type CsvRow, csvRows } from './csv-rows.ts'

/** A row of a batch as it is written; empty optional fields are absent. */
export interface BatchRow {
  /** Line on which the row begins; the header's is 1. */
  readonly line: number
  readonly domain: string
  readonly loginName: string
  readonly manufacturerCode: string
  readonly productCode: string
  readonly serial: string
  readonly status?: AssignmentStatus
  readonly pin?: string
}

/** A row that says nothing that could be done. */
export interface UnreadableRow {
  readonly line: number
  readonly serial: string | null
  readonly problem: string
}

export type BatchLine = BatchRow | UnreadableRow

/** The file as a whole cannot be read; nothing is done. */
export class BatchFileFault extends Error {
  override readonly name = 'BatchFileFault'
}

export interface BatchFile {
  readonly csv: string
  /** `base64`: `csv` holds bytes in `charset`. `text`: the name of the charset is only checked. */
  readonly encoding: 'text' | 'base64'
  /** IANA name, in any case. */
  readonly charset: string
}

const rowCountMax = 10_000
const required = ['domain', 'loginName', 'manufacturerCode', 'productCode', 'serial'] as const
const columns = new Set<string>([...required, 'status', 'pin'])
const statuses: ReadonlySet<string> = new Set<AssignmentStatus>([
  'ACTIVE',
  'INACTIVE',
  'LOCKED',
  'DISABLED',
])

/** `UTF-16` without a byte-order mark is big-endian (RFC 2781, section 4.3). */
const decoders: Readonly<Record<string, (bytes: Uint8Array) => string>> = {
  'utf-8': (bytes) => new TextDecoder('utf-8', { fatal: true }).decode(bytes),
  'utf-16': (bytes) => {
    const isLittle = bytes[0] === 0xff && bytes[1] === 0xfe
    return new TextDecoder(isLittle ? 'utf-16le' : 'utf-16be', { fatal: true }).decode(bytes)
  },
  'utf-16le': (bytes) => new TextDecoder('utf-16le', { fatal: true }).decode(bytes),
  'utf-16be': (bytes) => new TextDecoder('utf-16be', { fatal: true }).decode(bytes),
  'iso-8859-1': (bytes) => Buffer.from(bytes).toString('latin1'),
  'windows-1252': (bytes) => new TextDecoder('windows-1252', { fatal: true }).decode(bytes),
}

/**
 * Reads a batch (dualshield.md, section 10).
 *
 * @throws BatchFileFault for its charset, its quotes, its header, or more than 10,000 rows.
 */
export function readBatchFile(file: BatchFile): BatchLine[] {
  try {
    const rows = csvRows(decode(file))
    const header = rows.next()
    const names = readHeader(header.done === true ? [] : header.value.fields)
    const lines: BatchLine[] = []
    for (const row of rows) {
      if (lines.length === rowCountMax) {
        throw new BatchFileFault(`more than ${rowCountMax} rows`)
      }
      lines.push(readRow(row, names))
    }
    return lines
  } catch (error) {
    if (error instanceof CsvFault) throw new BatchFileFault(error.message)
    throw error
  }
}

function decode({ csv, encoding, charset }: BatchFile): string {
  const name = charset.toLowerCase()
  const decoder = Object.hasOwn(decoders, name) ? decoders[name] : undefined
  if (decoder === undefined) throw new BatchFileFault('the charset is not known here')
  if (encoding === 'text') return csv
  const bytes = decodeBase64(csv)
  if (bytes === undefined) throw new BatchFileFault('the text is not base64')
  try {
    return decoder(bytes)
  } catch {
    throw new BatchFileFault(`the bytes are not ${charset}`)
  }
}

function readHeader(names: readonly string[]): readonly string[] {
  for (const name of names) {
    if (!columns.has(name)) throw new BatchFileFault('the header has an unknown column')
  }
  if (new Set(names).size < names.length) {
    throw new BatchFileFault('the header has a column twice')
  }
  for (const name of required) {
    if (!names.includes(name)) throw new BatchFileFault(`the header has no column ${name}`)
  }
  return names
}

function readRow({ line, fields }: CsvRow, names: readonly string[]): BatchLine {
  const field = (name: string) => fields[names.indexOf(name)] ?? ''
  const serial = field('serial')
  const unreadable = (problem: string): UnreadableRow => ({
    line,
    serial: serial === '' ? null : serial,
    problem,
  })
  if (fields.length !== names.length) {
    return unreadable(`The row has ${fields.length} fields, the header ${names.length}.`)
  }
  const empty = required.find((name) => field(name) === '')
  if (empty !== undefined) return unreadable(`The field ${empty} is empty.`)
  const status = field('status')
  if (status !== '' && !isStatus(status)) return unreadable('The status is none.')
  const pin = field('pin')
  if (pin !== '' && !pinPattern.test(pin)) {
    return unreadable('The PIN must be 4 to 16 letters or digits.')
  }
  return {
    line,
    domain: field('domain'),
    loginName: field('loginName'),
    manufacturerCode: field('manufacturerCode'),
    productCode: field('productCode'),
    serial,
    ...(isStatus(status) && { status }),
    ...(pin !== '' && { pin }),
  }
}

function isStatus(text: string): text is AssignmentStatus {
  return statuses.has(text)
}
