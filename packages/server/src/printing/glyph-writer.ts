import type PDFDocument from 'pdfkit'
import type { PrintFont } from './fonts.ts'

/** A text and where its base line begins, in points from the upper left corner. */
export interface PlacedText {
  readonly text: string
  readonly x: number
  readonly y: number
}

/**
 * What pdfkit has of a font, and does not tell in its types. Its own way to write text lays every text out several times,
 * which made a sheet of fifty codes cost twenty milliseconds.
 */
interface OpenFont {
  readonly id: string
  ref(): unknown
  encode(
    text: string,
    features: readonly string[],
  ): readonly [readonly string[], readonly GlyphPosition[]]
}

/** In thousandths of the type size. */
interface GlyphPosition {
  readonly advanceWidth: number
  readonly xAdvance: number
  readonly xOffset: number
  readonly yOffset: number
}

interface FontInUse {
  readonly open: OpenFont
  /** Operators by size and text. */
  readonly shaped: Map<string, string>
  /** Glyph in hex by character. */
  readonly letters: Map<string, string>
}

interface Internals {
  readonly _font: OpenFont
  readonly page: { readonly fonts: Record<string, unknown> }
}

/** Titles and notices come again on every sheet. Codes are written letter by letter and never kept. */
const keptTextsMax = 500

/** Writes text as PDF operators, with fonts that become part of the document. */
export class GlyphWriter {
  readonly #document: InstanceType<typeof PDFDocument>
  readonly #fonts = new Map<string, FontInUse>()

  constructor(document: InstanceType<typeof PDFDocument>) {
    this.#document = document
  }

  /** Text of any script: shaped by its font, kept for the next page that has the same. */
  write(font: PrintFont, sizePoints: number, { text, x, y }: PlacedText): void {
    const { open, shaped } = this.#use(font)
    const key = `${sizePoints} ${text}`
    let operators = shaped.get(key)
    if (operators === undefined) {
      const [glyphs, positions] = open.encode(text, [])
      operators = operatorsOf(glyphs, positions, sizePoints)
      if (shaped.size < keptTextsMax) shaped.set(key, operators)
    }
    this.#put(open, sizePoints, [`${matrix(x, y)}${operators}`])
  }

  /** ASCII in a font where every character is one glyph of one width. */
  writeCells(font: PrintFont, sizePoints: number, cells: readonly PlacedText[]): void {
    const { open, letters } = this.#use(font)
    const hexOf = (character: string): string => {
      const known = letters.get(character)
      if (known !== undefined) return known
      const hex = open.encode(character, [])[0].join('')
      letters.set(character, hex)
      return hex
    }
    const operators = cells.map(
      ({ text, x, y }) => `${matrix(x, y)}<${Array.from(text, hexOf).join('')}> Tj`,
    )
    this.#put(open, sizePoints, operators)
  }

  #use(font: PrintFont): FontInUse {
    const known = this.#fonts.get(font.name)
    if (known !== undefined) return known
    // Opened for this document alone: what one document does with glyphs would show in the next one.
    this.#document.registerFont(font.name, font.bytes)
    this.#document.font(font.name)
    const opened = {
      open: this.#internals()._font,
      shaped: new Map<string, string>(),
      letters: new Map<string, string>(),
    }
    this.#fonts.set(font.name, opened)
    return opened
  }

  #put(font: OpenFont, sizePoints: number, operators: readonly string[]): void {
    const { fonts } = this.#internals().page
    fonts[font.id] ??= font.ref()
    this.#document.addContent(
      `BT\n/${font.id} ${points(sizePoints)} Tf\n${operators.join('\n')}\nET`,
    )
  }

  #internals(): Internals {
    return this.#document as unknown as Internals
  }
}

/** Upright on a page whose y axis points down. */
function matrix(x: number, y: number): string {
  return `1 0 0 -1 ${points(x)} ${points(y)} Tm `
}

/** Glyphs, moved where their font wants them beside or above their place. */
function operatorsOf(
  glyphs: readonly string[],
  positions: readonly GlyphPosition[],
  sizePoints: number,
): string {
  const operators: string[] = []
  let row = ''
  const flush = () => {
    if (row !== '') operators.push(`[${row}] TJ`)
    row = ''
  }
  for (const [index, glyph] of glyphs.entries()) {
    const { advanceWidth, xAdvance, xOffset, yOffset } = positions[index] ?? noMove
    const back = xOffset + advanceWidth - xAdvance
    const moved = `${xOffset === 0 ? '' : points(-xOffset)}<${glyph}>${back === 0 ? '' : points(back)}`
    if (yOffset === 0) {
      row += moved
    } else {
      flush()
      operators.push(`${points((yOffset * sizePoints) / 1_000)} Ts [${moved}] TJ 0 Ts`)
    }
  }
  flush()
  return operators.join(' ')
}

const noMove: GlyphPosition = { advanceWidth: 0, xAdvance: 0, xOffset: 0, yOffset: 0 }

function points(value: number): string {
  return value.toFixed(3)
}
