import { codeFont } from './fonts.ts'
import type { PageFormat } from './page-format.ts'
import type { PrintedCode } from './sheet.ts'
import { widthOfText } from './text-layout.ts'

/** Largest first: the first one with which all codes fit on one page is taken. */
const sizesPoints = [13, 12, 11, 10, 9] as const
/** Of lists that need more pages anyway. */
const longListSizePoints = 10
const rowHeightPerSize = 1.55
const indexSizePerSize = 0.8
const indexGapPerSize = 0.7
const columnGapPerSize = 1.8
/** Fewer rows than this are not worth another column. */
const rowsMin = 10
const rowStep = 5
/** Codes below the first fold are not set smaller than this to fit there. */
const foldedSizeMin = 10
const foldGap = 12

/** The room for codes on the first page and on those behind it, in points. */
interface GridSpace {
  readonly width: number
  readonly firstHeight: number
  readonly nextHeight: number
}

/** How the codes of a list stand on paper: down a column, then down the next one. */
export interface CodeGrid {
  readonly sizePoints: number
  readonly indexSizePoints: number
  readonly rowHeight: number
  /** From one column to the next. */
  readonly columnWidth: number
  /** The right end of indexes, from the left of their column. */
  readonly indexWidth: number
  readonly indexCharacterWidth: number
  readonly codeOffset: number
  /** From the left of a column to the end of its codes. */
  readonly inkWidth: number
  readonly pages: readonly GridPage[]
}

export interface GridPage {
  readonly columns: readonly (readonly PrintedCode[])[]
  readonly rowCount: number
}

/**
 * Finds the place of codes: below the first fold where they fit in a type that is not small, so that no code is outside of
 * the folded sheet; else right below the head.
 *
 * @param headEnd where the head of the first page ends, in points from the top.
 */
export function placeCodes(
  codes: readonly PrintedCode[],
  format: PageFormat,
  headEnd: number,
): { readonly top: number; readonly grid: CodeGrid } {
  const { width, height, marginLeft, marginRight, marginTop, marginBottom, foldsAt } = format
  const bottom = height - marginBottom
  const gridFrom = (top: number) => {
    const space = {
      width: width - marginLeft - marginRight,
      firstHeight: bottom - top,
      nextHeight: bottom - marginTop,
    }
    return { top, grid: layOutCodes(codes, space) }
  }
  const folded = gridFrom(Math.max(headEnd, (foldsAt[0] ?? 0) + foldGap))
  const { pages, sizePoints } = folded.grid
  return pages.length === 1 && sizePoints >= foldedSizeMin ? folded : gridFrom(headEnd)
}

/** Lays out codes, all with the same type size, over as many pages as they need. */
function layOutCodes(codes: readonly PrintedCode[], space: GridSpace): CodeGrid {
  const longestOf = (texts: readonly string[]) =>
    texts.reduce((longest, text) => (text.length > longest.length ? text : longest), '')
  const index = longestOf(codes.map((code) => code.index))
  const otp = longestOf(codes.map((code) => code.otp))
  for (const size of sizesPoints) {
    const cell = cellOf({ index, otp }, size)
    const columns = columnsMax(cell, space.width)
    const rows = Math.floor(space.firstHeight / cell.rowHeight)
    if (columns * rows >= codes.length) {
      return { ...cell, pages: [fill(codes, balanced(codes.length, columns, rows))] }
    }
  }
  return overPages(codes, cellOf({ index, otp }, longListSizePoints), space)
}

type Cell = Omit<CodeGrid, 'pages'>

function cellOf({ index, otp }: PrintedCode, sizePoints: number): Cell {
  const indexSizePoints = sizePoints * indexSizePerSize
  const indexCharacterWidth = widthOfText('0', codeFont('regular'), indexSizePoints)
  const indexWidth = index.length * indexCharacterWidth
  const codeOffset = indexWidth + sizePoints * indexGapPerSize
  const inkWidth = codeOffset + otp.length * widthOfText('0', codeFont('bold'), sizePoints)
  return {
    sizePoints,
    indexSizePoints,
    rowHeight: sizePoints * rowHeightPerSize,
    columnWidth: inkWidth + sizePoints * columnGapPerSize,
    indexWidth,
    indexCharacterWidth,
    codeOffset,
    inkWidth,
  }
}

/** The last column needs no gap behind it. */
function columnsMax({ columnWidth, inkWidth }: Cell, width: number): number {
  return Math.max(1, Math.floor((width - inkWidth) / columnWidth) + 1)
}

/** As many rows as make columns of about the same length; by fives where they fit, which the eye finds more easily. */
function balanced(count: number, columnsMost: number, rowsMost: number): number {
  const columns = Math.min(columnsMost, Math.ceil(count / rowsMin))
  const rows = Math.max(Math.ceil(count / columns), rowsMin)
  const rounded = Math.ceil(rows / rowStep) * rowStep
  return Math.min(count, rounded <= rowsMost ? rounded : Math.min(rows, rowsMost))
}

function fill(codes: readonly PrintedCode[], rowCount: number): GridPage {
  const columns: (readonly PrintedCode[])[] = []
  for (let start = 0; start < codes.length; start += rowCount) {
    columns.push(codes.slice(start, start + rowCount))
  }
  return { columns, rowCount }
}

function overPages(codes: readonly PrintedCode[], cell: Cell, space: GridSpace): CodeGrid {
  const columns = columnsMax(cell, space.width)
  const pages: GridPage[] = []
  for (let start = 0; start < codes.length; ) {
    const height = pages.length === 0 ? space.firstHeight : space.nextHeight
    const rows = Math.floor(height / cell.rowHeight)
    const rowsMost = Math.max(1, rows - (rows > rowStep ? rows % rowStep : 0))
    const onPage = codes.slice(start, start + rowsMost * columns)
    pages.push(fill(onPage, balanced(onPage.length, columns, rowsMost)))
    start += onPage.length
  }
  return { ...cell, pages }
}
