import PDFDocument from 'pdfkit'
import type { PrintFont } from './fonts.ts'
import { GlyphWriter, type PlacedText } from './glyph-writer.ts'
import type { PageFormat } from './page-format.ts'
import { qrMarkOf, quietModules } from './qr-mark.ts'
import type { TextLine } from './text-layout.ts'

export const ink = '#000000'
export const faintInk = '#555555'
const shade = '#f0f0f0'
const lineHeightPerSize = 1.3
const foldMarkLength = 14
const foldMarkFromEdge = 11

export interface Box {
  readonly left: number
  readonly top: number
  readonly width: number
}

/** A PDF document that is drawn on a page at a time; what is finished can be taken out before the next one begins. */
export class PageCanvas {
  readonly format: PageFormat
  readonly #document: InstanceType<typeof PDFDocument>
  readonly #writer: GlyphWriter

  constructor(format: PageFormat, { title, atMs }: { title: string; atMs: number }) {
    this.format = format
    this.#document = new PDFDocument({
      size: [format.width, format.height],
      margin: 0,
      autoFirstPage: false,
      // Whatever is laid out would be kept until the end.
      fontLayoutCache: false,
      // A font that is not embedded; we have no use for it. The types do not know that none is possible.
      font: null as unknown as string,
      info: {
        Title: title,
        Producer: 'Countersign',
        Creator: 'Countersign',
        CreationDate: new Date(atMs),
      },
    })
    this.#writer = new GlyphWriter(this.#document)
  }

  addPage(): void {
    this.#document.addPage()
  }

  /** @param at where the text begins, on its base line. */
  text(text: string, font: PrintFont, sizePoints: number, at: { x: number; y: number }): void {
    this.#writer.write(font, sizePoints, { text, ...at })
  }

  /** Many short texts in digits and letters, such as codes. */
  cells(font: PrintFont, sizePoints: number, cells: readonly PlacedText[]): void {
    this.#writer.writeCells(font, sizePoints, cells)
  }

  color(color: string): void {
    this.#document.fillColor(color)
  }

  /** @returns the lower end of what was written, in points from the top. */
  lines(lines: readonly TextLine[], sizePoints: number, box: Box): number {
    let { top } = box
    for (const line of lines) {
      top += sizePoints * lineHeightPerSize
      let x = line.isRightToLeft ? box.left + box.width - line.width : box.left
      for (const { text, font, width } of line.runs) {
        this.text(text, font, sizePoints, { x, y: top - sizePoints * 0.3 })
        x += width
      }
    }
    return top
  }

  shadeRows(left: number, width: number, height: number, tops: readonly number[]): void {
    for (const top of tops) this.#document.rect(left, top, width, height)
    this.#document.fill(shade)
    this.#document.fillColor(ink)
  }

  /** @param box with the quiet zone inside. */
  qr(text: string, { left, top, width }: Box): void {
    const mark = qrMarkOf(text)
    const module = width / (mark.size + 2 * quietModules)
    for (const { x, y, length } of mark.strips) {
      this.#document.rect(
        left + (quietModules + x) * module,
        top + (quietModules + y) * module,
        length * module,
        module,
      )
    }
    this.#document.fill(ink)
  }

  /** Short lines at both edges, where the paper is folded. */
  foldMarks(): void {
    const { width, foldsAt } = this.format
    for (const y of foldsAt) {
      for (const x of [foldMarkFromEdge, width - foldMarkFromEdge - foldMarkLength]) {
        this.#document.moveTo(x, y).lineTo(x + foldMarkLength, y)
      }
    }
    this.#document.lineWidth(0.4).stroke(faintInk)
  }

  /** What was written since the last time; the page that is being drawn is not in it. */
  take(): Uint8Array | undefined {
    return (this.#document.read() as Buffer | null) ?? undefined
  }

  end(): void {
    this.#document.end()
  }

  /** Gives up what was not taken. */
  discard(): void {
    this.#document.destroy()
  }
}
