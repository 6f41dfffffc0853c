import type { Sheet } from './sheet.ts'

/** Needs no quotes, and no spreadsheet takes it for a formula. */
const plainCell = /^(?:[0-9A-Za-z][0-9A-Za-z.:-]*)?$/

/** Codes as CSV (RFC 4180) with columns list, index, otp, expires; a piece a list. */
export function* csvOfSheets(sheets: Iterable<Sheet>): Generator<string> {
  yield 'list,index,otp,expires\r\n'
  for (const { listId, expiresAtMs, codes } of sheets) {
    const expires = expiresAtMs === null ? '' : new Date(expiresAtMs).toISOString()
    yield codes.map(({ index, otp }) => rowOf([listId, index, otp, expires])).join('')
  }
}

function rowOf(cells: readonly string[]): string {
  for (const cell of cells) {
    if (!plainCell.test(cell)) throw new Error('A cell is not what ids, labels and codes are.')
  }
  return `${cells.join(',')}\r\n`
}
