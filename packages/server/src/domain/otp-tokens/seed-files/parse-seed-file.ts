import { decodeHex } from '@countersign/protocol/encoding/hex.ts'
import { csvEntries, isCsv } from './csv-file.ts'
import { dualShieldEntries, isDualShield, isDualShieldList } from './dualshield-file.ts'
import { isPskc, pskcEntries } from './pskc-file.ts'
import type { PskcKeys } from './pskc-protection.ts'
import {
  type EntryOutcome,
  EntryProblem,
  entryCountMax,
  entryFault,
  fileRejected,
  formatUnknown,
  keyRequired,
  type SecretEncoding,
  type SeedFile,
  type SeedFormat,
} from './seed-file.ts'
import { textPieces } from './text-pieces.ts'
import { xmlElements } from './xml-elements.ts'

export interface SeedFileInput {
  readonly text: string
  readonly format: SeedFormat | 'AUTO'
  /** Of the secrets in a CSV file. */
  readonly encoding: SecretEncoding
  /** AES key of a PSKC file, in hex. */
  readonly key?: string | undefined
  /** Password of a PSKC file. */
  readonly password?: string | undefined
}

const keyLengths: ReadonlySet<number> = new Set([16, 24, 32])

/**
 * Reads a seed file whole, without storing anything, at most `entryCountMax` entries. Other work of the process goes on
 * meanwhile. An entry that cannot be imported has faults and is not in `entries`; a serial that comes again is
 * `duplicate`, whether the first one was good or not.
 *
 * @throws DomainError `import_format_unknown` if nothing known is recognised or the text is not of the format asked for;
 *   `import_rejected` if the file as a whole is wrong, the fault naming line or part; `import_key_required` if the
 *   key or password is missing or does not fit; `not_supported` for the vendor's encrypted DualShield files.
 */
export async function parseSeedFile(input: SeedFileInput): Promise<SeedFile> {
  const text = input.text.startsWith('\ufeff') ? input.text.slice(1) : input.text
  if (!text.isWellFormed()) throw fileRejected('bad_format', 'The text is not valid Unicode.')
  const first = /[^ \t\r\n]/.exec(text)?.[0]
  if (first === undefined) throw formatUnknown('The text is empty.')
  return first === '<' ? parseXml(text, input) : parseCsv(text, input)
}

async function parseCsv(text: string, { format, encoding }: SeedFileInput): Promise<SeedFile> {
  if (format !== 'AUTO' && format !== 'CSV') {
    throw formatUnknown(`The text is not a ${format} file.`)
  }
  if (format === 'AUTO' && !isCsv(text)) {
    throw formatUnknown('The text is none of the known seed file formats.')
  }
  return collect('CSV', csvEntries(text, encoding))
}

async function parseXml(text: string, input: SeedFileInput): Promise<SeedFile> {
  const elements = xmlElements(textPieces([text]), isDualShieldList)
  const { value: root } = await elements.next()
  const format =
    root && isPskc(root) ? 'PSKC' : root && isDualShield(root) ? 'DUALSHIELD' : undefined
  if (!root || !format) throw formatUnknown('The root element is none of a known seed file format.')
  if (input.format !== 'AUTO' && input.format !== format) {
    throw formatUnknown(`The text is a ${format} file, not ${input.format}.`)
  }
  if (format === 'DUALSHIELD') return collect(format, dualShieldEntries(elements))
  return collect(format, pskcEntries(root, elements, readKeys(input)))
}

function readKeys({ key, password }: SeedFileInput): PskcKeys {
  if (key === undefined) return { password }
  const bytes = decodeHex(key)
  if (!bytes || !keyLengths.has(bytes.length)) {
    throw keyRequired('key', 'A key is 16, 24 or 32 bytes in hex.')
  }
  return { key: bytes }
}

async function collect(
  format: SeedFormat,
  outcomes: AsyncIterable<EntryOutcome>,
): Promise<SeedFile> {
  const file: SeedFile = { format, entries: [], faults: [] }
  const serials = new Set<string>()
  let count = 0
  for await (const outcome of outcomes) {
    if (++count > entryCountMax) {
      throw fileRejected('out_of_range', `The file has more than ${entryCountMax} entries.`)
    }
    const { index = 0, serial } = outcome.entry ?? outcome.faults[0] ?? {}
    const isRepeated = serial !== undefined && serials.has(serial)
    if (serial !== undefined) serials.add(serial)
    if (outcome.faults) file.faults.push(...outcome.faults)
    if (isRepeated) file.faults.push(entryFault(duplicate, index, serial))
    else if (outcome.entry) file.entries.push(outcome.entry)
  }
  return file
}

const duplicate = new EntryProblem('duplicate', 'The serial comes more than once in the file.')
