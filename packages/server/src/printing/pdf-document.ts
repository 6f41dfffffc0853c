import { setImmediate } from 'node:timers/promises'
import { PageCanvas } from './page-drawing.ts'
import { pageFormats } from './page-format.ts'
import type { AddressPage, Sheet, SheetDesign } from './sheet.ts'
import { type Position, SheetPages } from './sheet-pages.ts'

/** What is handed on at once: small pieces cost more to send than to make. */
const pieceBytesMin = 32_768

/**
 * Sheets as a PDF document, in pieces. A sheet is drawn when its piece is asked for, so that memory does not grow with
 * their number, and a reader that goes away ends the work.
 *
 * @param sheets with texts that can be printed, see `requirePrintable`; taken one at a time.
 * @param count how many there are.
 */
export function pdfOfSheets(
  sheets: Iterable<Sheet>,
  count: number,
  design: SheetDesign,
): AsyncGenerator<Uint8Array> {
  return pieces(sheets, count, design, (pages, { recipient, ...sheet }, position) => {
    if (recipient !== undefined) pages.drawAddress({ listId: sheet.listId, recipient }, position)
    pages.drawSheet(sheet, position)
  })
}

/** Address pages as a PDF document; otherwise as {@link pdfOfSheets}. */
export function pdfOfAddresses(
  addresses: Iterable<AddressPage>,
  count: number,
  design: SheetDesign,
): AsyncGenerator<Uint8Array> {
  return pieces(addresses, count, design, (pages, address, position) => {
    pages.drawAddress(address, position)
  })
}

async function* pieces<Item>(
  items: Iterable<Item>,
  count: number,
  design: SheetDesign,
  draw: (pages: SheetPages, item: Item, position: Position) => void,
): AsyncGenerator<Uint8Array> {
  const canvas = new PageCanvas(pageFormats[design.paper], design)
  try {
    const pages = new SheetPages(canvas, design)
    let number = 0
    let waiting: Uint8Array[] = []
    let waitingBytes = 0
    for (const item of items) {
      draw(pages, item, { number: ++number, count })
      const taken = canvas.take()
      if (taken !== undefined) {
        waiting.push(taken)
        waitingBytes += taken.length
      }
      if (waitingBytes >= pieceBytesMin) {
        yield Buffer.concat(waiting)
        waiting = []
        waitingBytes = 0
      }
      // A page takes milliseconds: others must have their turn.
      await setImmediate()
    }
    canvas.end()
    yield Buffer.concat([...waiting, canvas.take() ?? new Uint8Array()])
  } finally {
    canvas.discard()
  }
}
