import { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { DomainError } from '#domain/errors.ts'
import type { OtpListWithCodes } from '#domain/otp-lists/otp-list.ts'
import type { Reply } from '#http/handler.ts'
import type { KeptOutput } from '#http/one-time-output.ts'
import { csvOfSheets } from '#printing/csv-document.ts'
import { type AddressPage, englishLabels, type Sheet, type SheetDesign } from '#printing/sheet.ts'
import type { Operations, Schemas } from './contract.gen.ts'
import { toOtpList } from './otp-list-wire.ts'
import { noStore } from './wire.ts'

type CreatedReply = Reply<Operations['createOtpLists']['replies']>
type AddressesReply = Reply<Operations['printOtpListAddresses']['replies']>

/** What requests for printed pages have in common. */
interface PrintWish {
  readonly paper?: SheetDesign['paper']
  readonly title?: string
  readonly notice?: string
  readonly labels?: Schemas['PrintLabels']
}

/** How pages look, but for the moment, which is that of the lists on them, and what makes them. */
export interface PageDesign {
  readonly look: Omit<SheetDesign, 'atMs'>
  readonly printing: Printing
}

type Printing = Awaited<ReturnType<typeof loadPrinting>>

const listIdsToldMax = 100
/** Pieces that wait for a slow reader. */
const piecesWaitingMax = 2

/** PDF and fonts take 20 MiB: they are loaded with the first page that is printed, because most servers print none. */
async function loadPrinting() {
  const [html, pdf, { requirePrintable }] = await Promise.all([
    import('#printing/html-document.ts'),
    import('#printing/pdf-document.ts'),
    import('#printing/printable.ts'),
  ])
  return { ...html, ...pdf, requirePrintable }
}

/**
 * Decides how pages look, before there are any lists: codes that cannot be printed would be lost.
 *
 * @param recipients name and address, with the place in the body.
 * @throws DomainError `invalid_request` for what cannot be printed.
 */
export async function designOf(
  form: 'PDF' | 'HTML',
  { paper = 'A4', title = '', notice = '', labels }: PrintWish,
  recipients: readonly { readonly lines: readonly string[]; readonly pointer: string }[],
): Promise<PageDesign> {
  const look = { paper, title, notice, labels: { ...englishLabels, ...labels } }
  const printing = await loadPrinting()
  await printing.requirePrintable({ form, ...look, recipients })
  return { look, printing }
}

/** @throws DomainError `invalid_request` when there is not one recipient for each list, or nothing is printed. */
export function requireFittingRecipients(body: Schemas['OtpListsCreate']): void {
  const { recipients, output = 'JSON', count = 1 } = body
  if (recipients === undefined) return
  const fault =
    output === 'JSON' || output === 'CSV'
      ? { code: 'mutually_exclusive', message: `must not stand beside the output ${output}` }
      : { code: 'out_of_range', message: `must be as many as lists, ${count}` }
  if (fault.code === 'out_of_range' && recipients.length === count) return
  throw new DomainError('invalid_request', 'The recipients do not fit.', {
    faults: [{ pointer: '/recipients', ...fault }],
  })
}

/** New lists with their codes as JSON or CSV. */
export function dataReply(lists: OtpListWithCodes[], output: 'JSON' | 'CSV'): CreatedReply {
  const headers = { ...noStore, 'x-list-ids': listIdsOf(lists) }
  if (output === 'JSON') {
    const items = lists.map(({ list, codes }) => ({ list: toOtpList(list), codes: [...codes] }))
    return { status: 201, contentType: 'application/json', headers, body: { items } }
  }
  const body = streamOf(csvOfSheets(sheetsOf(lists)))
  return { status: 201, contentType: 'text/csv', headers: asFile(headers, 'csv'), body }
}

/** New lists with their codes as pages. */
export function pagesReply(
  lists: OtpListWithCodes[],
  form: 'PDF' | 'HTML',
  {
    design: { look, printing },
    recipients,
  }: { design: PageDesign; recipients: Schemas['OtpListsCreate']['recipients'] },
): CreatedReply {
  const headers = { ...noStore, 'x-list-ids': listIdsOf(lists) }
  const { length: count } = lists
  const dated = { ...look, atMs: lists[0]?.list.createdAtMs ?? 0 }
  const sheets = sheetsOf(lists, recipients)
  return form === 'PDF'
    ? {
        status: 201,
        contentType: 'application/pdf',
        headers: asFile(headers, 'pdf'),
        body: streamOf(printing.pdfOfSheets(sheets, count, dated)),
      }
    : {
        status: 201,
        contentType: 'text/html',
        headers: { ...asFile(headers, 'html'), ...printing.htmlHeaders(look.paper) },
        body: streamOf(printing.htmlOfSheets(sheets, dated)),
      }
}

/** Address pages; they hold no code. */
export function addressesReply(
  addresses: readonly AddressPage[],
  form: 'PDF' | 'HTML',
  { design: { look, printing }, atMs }: { design: PageDesign; atMs: number },
): AddressesReply {
  const dated = { ...look, atMs }
  return form === 'PDF'
    ? {
        status: 200,
        contentType: 'application/pdf',
        headers: asFile(noStore, 'pdf'),
        body: streamOf(printing.pdfOfAddresses(addresses, addresses.length, dated)),
      }
    : {
        status: 200,
        contentType: 'text/html',
        headers: { ...asFile(noStore, 'html'), ...printing.htmlHeaders(look.paper) },
        body: streamOf(printing.htmlOfAddresses(addresses, dated)),
      }
}

/** What a repeat of the request may learn: JSON without codes, of another form which lists there are. */
export function keptOfLists(reply: CreatedReply): KeptOutput {
  if (reply.status !== 201) return { body: {} }
  if (reply.contentType === 'application/json') {
    return { body: { items: reply.body.items.map(({ list }) => ({ list })) } }
  }
  const ids = reply.headers?.['x-list-ids'] ?? ''
  return { gone: `The codes were sent once, when these lists were made: ${ids}` }
}

function listIdsOf(lists: readonly OtpListWithCodes[]): string {
  return lists
    .slice(0, listIdsToldMax)
    .map(({ list }) => list.id)
    .join(',')
}

/** Each list is let go of when its sheet is made. */
function* sheetsOf(
  lists: OtpListWithCodes[],
  recipients: readonly (readonly string[])[] = [],
): Generator<Sheet> {
  lists.reverse()
  const { length: count } = lists
  for (let printed = lists.pop(); printed !== undefined; printed = lists.pop()) {
    const { list, codes } = printed
    const { id: listId, method, expiresAtMs } = list
    yield { listId, method, expiresAtMs, codes, recipient: recipients[count - lists.length - 1] }
  }
}

function streamOf(pieces: Iterable<string> | AsyncIterable<Uint8Array>): Readable {
  return Readable.from(paced(pieces), { highWaterMark: piecesWaitingMax })
}

/** A fast reader takes piece after piece: others must have their turn between them. */
async function* paced(pieces: Iterable<string> | AsyncIterable<Uint8Array>) {
  for await (const piece of pieces) {
    yield piece
    await setImmediate()
  }
}

function asFile<Headers extends object>(headers: Headers, extension: string) {
  return { ...headers, 'content-disposition': `attachment; filename="otp-lists.${extension}"` }
}
