import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { layOutCodes } from './code-grid.ts'
import { pageFormats } from './page-format.ts'
import { codes } from './printing.fixture.ts'
import type { Paper } from './sheet.ts'

/** The room below a title and a notice of two lines. */
function grid(paper: Paper, count: number, length = 6) {
  const { width, height, marginLeft, marginRight, marginTop, marginBottom } = pageFormats[paper]
  const headHeight = 120
  return layOutCodes(codes(count, { length }), {
    width: width - marginLeft - marginRight,
    firstHeight: height - marginTop - marginBottom - headHeight,
    nextHeight: height - marginTop - marginBottom,
  })
}

test.each([1, 3, 10, 11, 49, 50, 51, 120, 200, 999, 1_000])('no code of %i is lost', (count) => {
  for (const length of [4, 6, 16]) {
    const printed = grid('A4', count, length).pages.flatMap(({ columns }) => columns.flat())
    expect(printed).toEqual(codes(count, { length }))
  }
})

describe('docs/printing.md', () => {
  const text = readFileSync(new URL('../../../../docs/printing.md', import.meta.url), 'utf8')

  test.each([
    [50, 6],
    [100, 6],
    [200, 6],
    [50, 16],
  ])('says how %i codes of %i characters are laid out', (count, length) => {
    const cell = (paper: Paper) => {
      const { sizePoints, pages } = grid(paper, count, length)
      const [page] = pages
      return `${pages.length} page, ${sizePoints} pt, ${page?.columns.length} columns of ${page?.rowCount}`
    }
    const what = length === 6 ? 'digits' : 'letters and digits'
    const row = `| ${count} codes of ${length} ${what} | ${cell('A4')} | ${cell('LETTER')} |`
    expect(text).toContain(row)
  })

  test('says how many pages a thousand codes need', () => {
    for (const paper of ['A4', 'LETTER'] as const) {
      const { pages, sizePoints } = grid(paper, 1_000)
      const most = Math.max(...pages.map(({ columns }) => columns.flat().length))
      expect(text).toContain(`${pages.length} pages, ${sizePoints} pt, up to ${most} a page`)
    }
  })
})
