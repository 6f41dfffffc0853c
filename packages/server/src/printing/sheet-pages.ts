import { type CodeGrid, type GridPage, placeCodes } from './code-grid.ts'
import { codeFont, type Weight } from './fonts.ts'
import type { PlacedText } from './glyph-writer.ts'
import { faintInk, ink, type PageCanvas } from './page-drawing.ts'
import { addressSize, addressSizePoints } from './printable.ts'
import { type AddressPage, printedMoment, type Sheet, type SheetDesign } from './sheet.ts'
import { layOutText, type TextLine, widthOfText } from './text-layout.ts'

const titleSizes = [16, 13, 11] as const
const titleLinesWanted = 2
const smallSize = 9
const qrWidth = 76
const gap = 10
const factOffset = 70
const footSize = 7
const footFromEdge = 30

/** Where a page of many stands. */
export interface Position {
  /** From 1. */
  readonly number: number
  readonly count: number
}

/** Draws the pages of sheets and addresses, with what they share laid out once. */
export class SheetPages {
  readonly #canvas: PageCanvas
  readonly #design: SheetDesign
  readonly #title: { readonly lines: readonly TextLine[]; readonly sizePoints: number }
  readonly #notice: readonly TextLine[]
  readonly #contentWidth: number
  readonly #labels: ReadonlyMap<string, TextLine>
  readonly #footCharacterWidth = widthOfText('0', codeFont('regular'), footSize)

  constructor(canvas: PageCanvas, design: SheetDesign) {
    const { width, marginLeft, marginRight } = canvas.format
    this.#canvas = canvas
    this.#design = design
    this.#contentWidth = width - marginLeft - marginRight
    const labels = Object.values(design.labels)
    this.#labels = new Map(labels.map((label) => [label, layOutLabel(label)]))
    this.#title = layOutTitle(design.title, this.#contentWidth - qrWidth - gap)
    this.#notice =
      design.notice === ''
        ? []
        : layOutText(
            design.notice,
            { weight: 'regular', sizePoints: smallSize },
            this.#contentWidth,
          )
  }

  /** The codes of a list, on as many pages as they need; no name. */
  drawSheet(sheet: Sheet, position: Position): void {
    const { format } = this.#canvas
    this.#canvas.addPage()
    const { top, grid } = placeCodes(sheet.codes, format, this.#drawHead(sheet))
    for (const [index, page] of grid.pages.entries()) {
      if (index > 0) this.#canvas.addPage()
      this.#drawCodes(grid, page, index === 0 ? top : format.marginTop)
      this.#drawFoot(sheet.listId, position, { number: index + 1, count: grid.pages.length })
      this.#canvas.foldMarks()
    }
  }

  /** Name and address for the window of an envelope, and the list that belongs in it; no code. */
  drawAddress({ listId, recipient }: AddressPage, position: Position): void {
    const { address, marginLeft, marginTop, foldsAt, width, marginRight } = this.#canvas.format
    this.#canvas.addPage()
    this.#canvas.lines(this.#title.lines, this.#title.sizePoints, {
      left: marginLeft,
      top: marginTop,
      width: this.#contentWidth - qrWidth - gap,
    })
    let { top } = address
    for (const line of recipient) {
      const sizePoints = addressSize(line, this.#design.paper) ?? addressSizePoints
      const style = { weight: 'regular', sizePoints } as const
      this.#canvas.lines(layOutText(line, style, Number.POSITIVE_INFINITY), sizePoints, {
        left: address.left,
        top: top + (addressSizePoints - sizePoints),
        width: address.width,
      })
      top += addressSizePoints * 1.15
    }
    const below = (foldsAt[0] ?? 0) + 2 * gap
    const left = width - marginRight - qrWidth
    this.#canvas.qr(listId, { left, top: below, width: qrWidth })
    this.#drawFact(this.#design.labels.list, listId, below + 3 * gap)
    this.#drawFoot(listId, position, { number: 1, count: 1 })
    this.#canvas.foldMarks()
  }

  /** @returns where codes may begin. */
  #drawHead({ listId, method, expiresAtMs }: Sheet): number {
    const { marginLeft, marginTop, marginRight, width } = this.#canvas.format
    const { labels } = this.#design
    this.#canvas.qr(listId, {
      left: width - marginRight - qrWidth,
      top: marginTop,
      width: qrWidth,
    })
    let top = this.#canvas.lines(this.#title.lines, this.#title.sizePoints, {
      left: marginLeft,
      top: marginTop,
      width: this.#contentWidth - qrWidth - gap,
    })
    top = this.#drawFact(labels.list, listId, top + gap)
    top = this.#drawFact(labels.method, method, top)
    if (expiresAtMs !== null) {
      top = this.#drawFact(labels.validUntil, printedMoment(expiresAtMs), top)
    }
    const box = { left: marginLeft, width: this.#contentWidth }
    top = Math.max(top, marginTop + qrWidth) + gap / 2
    if (this.#notice.length > 0) {
      top = this.#canvas.lines(this.#notice, smallSize, { ...box, top }) + gap / 2
    }
    return top + gap
  }

  /** A label and its value, which is ASCII. @returns the lower end. */
  #drawFact(label: string, value: string, top: number): number {
    const { marginLeft } = this.#canvas.format
    const y = top + smallSize * 1.3
    const line = this.#labels.get(label)
    if (line !== undefined) {
      const box = { left: marginLeft, top: y - smallSize, width: line.width }
      this.#canvas.color(faintInk)
      this.#canvas.lines([line], smallSize, box)
    }
    const x = marginLeft + Math.max(factOffset, (line?.width ?? 0) + gap)
    this.#canvas.color(ink)
    this.#canvas.cells(codeFont('bold'), smallSize, [{ text: value, x, y }])
    return y + smallSize * 0.3
  }

  #drawCodes(grid: CodeGrid, { columns, rowCount }: GridPage, top: number): void {
    const { marginLeft } = this.#canvas.format
    const { rowHeight, columnWidth, inkWidth } = grid
    const inkLeft = marginLeft - 4
    const width = (columns.length - 1) * columnWidth + inkWidth + 8
    const shaded = Array.from({ length: Math.ceil(rowCount / 2) }, (_, pair) => pair * 2)
    const tops = shaded.map((row) => top + row * rowHeight)
    this.#canvas.shadeRows(inkLeft, width, rowHeight, tops)
    const regular = codeFont('regular')
    const indexes: PlacedText[] = []
    const otps: PlacedText[] = []
    for (const [column, codes] of columns.entries()) {
      const left = marginLeft + column * columnWidth
      for (const [row, { index, otp }] of codes.entries()) {
        const y = top + (row + 0.5) * rowHeight + grid.sizePoints * 0.36
        const indexWidth = index.length * grid.indexCharacterWidth
        indexes.push({ text: index, x: left + grid.indexWidth - indexWidth, y })
        otps.push({ text: otp, x: left + grid.codeOffset, y })
      }
    }
    this.#canvas.color(faintInk)
    this.#canvas.cells(regular, grid.indexSizePoints, indexes)
    this.#canvas.color(ink)
    this.#canvas.cells(codeFont('bold'), grid.sizePoints, otps)
  }

  #drawFoot(listId: string, position: Position, page: Position): void {
    const { height, marginLeft, marginRight, width } = this.#canvas.format
    const y = height - footFromEdge
    const place = `#${position.number}/${position.count}`
    const right = width - marginRight - place.length * this.#footCharacterWidth
    const cells = [
      { text: listId, x: marginLeft, y },
      { text: place, x: right, y },
    ]
    this.#canvas.color(faintInk)
    const line = this.#labels.get(this.#design.labels.page)
    if (page.count > 1 && line !== undefined) {
      const left = marginLeft + this.#contentWidth / 2 - line.width
      this.#canvas.lines([line], smallSize, { left, top: y - smallSize, width: line.width })
      const text = `${page.number}/${page.count}`
      cells.push({ text, x: marginLeft + this.#contentWidth / 2 + gap / 2, y })
    }
    this.#canvas.cells(codeFont('regular'), footSize, cells)
    this.#canvas.color(ink)
  }
}

/** Short enough for one line. */
function layOutLabel(label: string): TextLine {
  const style = { weight: 'regular', sizePoints: smallSize } as const
  const [line] = layOutText(label, style, Number.POSITIVE_INFINITY)
  return line ?? { runs: [], width: 0, isRightToLeft: false }
}

function layOutTitle(title: string, widthMax: number) {
  const weight: Weight = 'bold'
  const attempts = titleSizes.map((sizePoints) => ({
    sizePoints,
    lines: title === '' ? [] : layOutText(title, { weight, sizePoints }, widthMax),
  }))
  const fitting = attempts.find(({ lines }) => lines.length <= titleLinesWanted)
  return (
    fitting ?? { sizePoints: 11, lines: layOutText(title, { weight, sizePoints: 11 }, widthMax) }
  )
}
