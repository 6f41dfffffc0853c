import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { placeCodes } from './code-grid.ts'
import { pageFormats } from './page-format.ts'
import { codes } from './printing.fixture.ts'
import type { Paper } from './sheet.ts'

/** Where a title and a notice of two lines end. */
const headEnd = 162

const placed = (paper: Paper, count: number, length = 6) =>
  placeCodes(codes(count, { length }), pageFormats[paper], headEnd)
const grid = (paper: Paper, count: number, length = 6) => placed(paper, count, length).grid
const isBelowFold = (paper: Paper, count: number) =>
  placed(paper, count).top > (pageFormats[paper].foldsAt[0] ?? 0)

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

  test('says up to how many codes are inside of the folded sheet', () => {
    const most = (paper: Paper) => {
      let count = 0
      while (isBelowFold(paper, count + 1)) count += 1
      return count
    }
    expect(text).toContain(`up to ${most('A4')} codes on A4 and ${most('LETTER')} on Letter`)
  })

  test('says how many pages a thousand codes need', () => {
    for (const paper of ['A4', 'LETTER'] as const) {
      const { pages, sizePoints } = grid(paper, 1_000)
      const most = Math.max(...pages.map(({ columns }) => columns.flat().length))
      expect(text).toContain(`${pages.length} pages, ${sizePoints} pt, up to ${most} a page`)
    }
  })
})
