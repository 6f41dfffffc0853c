import { pipeline } from 'node:stream/promises'
import { CommandError, exitCodes, failureOf } from '../failure.ts'
import { readSecretFile } from '../settings.ts'
import type { Terminal } from '../terminal.ts'
import {
  type ListOrder,
  listIdsToldMax,
  type NewSheets,
  requestSheets,
  SheetsLostError,
} from './list-request.ts'
import { PrintFolder } from './print-folder.ts'

export interface OtpListPrintOptions {
  readonly url: string
  readonly secretFile: string
  readonly tenant: string
  readonly method: string
  readonly count: string
  readonly to?: string
  readonly output?: string
  readonly form: string
  readonly paper: string
  readonly title?: string
  readonly noticeFile?: string
  readonly expiresAt?: string
  readonly maxAge?: string
  readonly sheetsPerFile: string
}

const forms = { pdf: 'PDF', html: 'HTML', csv: 'CSV' } as const
type Form = keyof typeof forms
const papers = { a4: 'A4', letter: 'LETTER' } as const
const countMax = 1_000_000
/** What one request may make. */
const sheetsAtOnceMax = 1_000

interface PrintJob {
  readonly order: ListOrder
  readonly count: number
  readonly form: Form
  readonly sheetsPerFile: number
}

/** Makes lists through the API of a running server, and writes their sheets into files. */
export async function otpListPrint(
  terminal: Terminal,
  options: OtpListPrintOptions,
): Promise<void> {
  const job = readJob(terminal, options)
  if (options.output !== undefined) return printToOutput(terminal, job, options)
  if (options.to === undefined) throw usage('Give --to <folder>, or --output - for a pipe.')
  const folder = new PrintFolder(options.to)
  try {
    await printToFolder(terminal, job, folder)
  } catch (error) {
    throw interrupted(error, job, folder)
  } finally {
    folder.close()
  }
  const { path, files, printedCount } = folder
  terminal.result({ folder: path, lists: printedCount, files }, [
    `${printedCount} lists, ${files.length} files in ${path}. lists.csv says which sheet is where.`,
  ])
}

async function printToFolder(
  terminal: Terminal,
  { order, count, form, sheetsPerFile }: PrintJob,
  folder: PrintFolder,
): Promise<void> {
  using progress = terminal.progress('printing', count)
  while (folder.printedCount < count) {
    terminal.signal.throwIfAborted()
    const wanted = Math.min(sheetsPerFile, count - folder.printedCount)
    const { listIds, document } = await newSheets(order, wanted, folder)
    await folder.write(document, listIds, form)
    progress.add(listIds.length)
  }
}

async function newSheets(order: ListOrder, count: number, folder: PrintFolder): Promise<NewSheets> {
  try {
    return await requestSheets(order, count)
  } catch (error) {
    if (error instanceof SheetsLostError) folder.noteUnprinted(error.listIds)
    throw error
  }
}

async function printToOutput(
  terminal: Terminal,
  { order, count }: PrintJob,
  { output, to }: OtpListPrintOptions,
): Promise<void> {
  if (output !== '-') throw usage('--output takes "-" only; files go into a folder, see --to.')
  if (to !== undefined) throw usage('--to and --output exclude each other.')
  if (terminal.isJson) throw usage('--json and --output exclude each other.')
  if (process.stdout.isTTY)
    throw usage('--output - writes codes: not onto a terminal, only into a pipe or file.')
  if (count > sheetsAtOnceMax) throw usage(`--output - takes at most ${sheetsAtOnceMax} lists.`)
  const { listIds, document } = await requestSheets(order, count)
  try {
    await pipeline(document, process.stdout, { end: false })
  } catch (error) {
    throw new CommandError(exitCodes.failure, lostText(listIds), {
      cause: error,
      detail: { unprinted: listIds },
    })
  }
}

/** What is told when a run does not come to its end: how far it came, and which lists nobody has the codes of. */
function interrupted(error: unknown, { count }: PrintJob, folder: PrintFolder): CommandError {
  const { printedCount, path, files } = folder
  const unprinted = folder.unprinted
  const { exitCode, message, detail } = failureOf(error)
  return new CommandError(
    exitCode,
    [
      message,
      `${printedCount} of ${count} lists are printed, see ${path}.`,
      ...(unprinted.length === 0 ? [] : [lostText(unprinted)]),
    ].join('\n'),
    { cause: error, detail: { ...detail, folder: path, lists: printedCount, files, unprinted } },
  )
}

function lostText(listIds: readonly string[]): string {
  return [
    `${listIds.length} lists were made whose codes nobody has; delete them (DELETE .../otp-lists/{listId}):`,
    ...listIds.map((id) => `  ${id}`),
  ].join('\n')
}

function readJob(terminal: Terminal, options: OtpListPrintOptions): PrintJob {
  const { method, title, expiresAt, maxAge, noticeFile } = options
  const form = oneOf('--form', options.form, forms)
  const paper = papers[oneOf('--paper', options.paper, papers)]
  if (expiresAt !== undefined && maxAge !== undefined) {
    throw usage('--expires-at and --max-age exclude each other.')
  }
  const notice = noticeFile === undefined ? undefined : readSecretFile(noticeFile)
  return {
    order: {
      url: readUrl(terminal, options.url),
      secret: readSecretFile(options.secretFile).trim(),
      tenantId: options.tenant,
      body: {
        method,
        output: forms[form],
        paper,
        ...(title === undefined ? {} : { title }),
        ...(notice === undefined ? {} : { notice }),
        ...(expiresAt === undefined ? {} : { expiresAt }),
        ...(maxAge === undefined
          ? {}
          : { maxAgeSeconds: wholeNumber('--max-age', maxAge, 315_360_000) }),
      },
    },
    count: wholeNumber('--count', options.count, countMax),
    form,
    sheetsPerFile: wholeNumber('--sheets-per-file', options.sheetsPerFile, listIdsToldMax),
  }
}

function readUrl(terminal: Terminal, text: string): string {
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '') {
    throw usage('--url must be the origin of a server, such as https://countersign.example.')
  }
  const isHere = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname)
  if (url.protocol === 'http:' && !isHere) {
    terminal.note(`${url.origin}: without TLS others on the way can read secret and codes.`)
  }
  return url.origin
}

function oneOf<Name extends string>(
  option: string,
  text: string,
  values: Readonly<Record<Name, string>>,
): Name {
  const names = Object.keys(values) as Name[]
  const name = names.find((candidate) => candidate === text.toLowerCase())
  if (name === undefined) throw usage(`${option} must be one of ${names.join(', ')}.`)
  return name
}

function wholeNumber(option: string, text: string, max: number): number {
  const value = Number(text)
  if (!/^\d{1,9}$/.test(text) || value < 1 || value > max) {
    throw usage(`${option} must be a whole number from 1 to ${max}.`)
  }
  return value
}

function usage(message: string): CommandError {
  return new CommandError(exitCodes.usage, message)
}
