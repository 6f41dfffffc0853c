/** What makes a spreadsheet take a cell for a formula, at its beginning; also in the full-width forms. */
const formulaStart = /^\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|^[\t\r\n]/

const needsQuotes = /[",\r\n]|^\s|\s$/

/**
 * A text as one cell of a CSV file that people open in a spreadsheet. A cell that would be a formula there gets an
 * apostrophe in front, which spreadsheets do not show; quotes follow RFC 4180. Negative numbers are formulas, too.
 */
export function safeCsvCell(text: string): string {
  const harmless = formulaStart.test(text) ? `'${text}` : text
  return needsQuotes.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless
}

/** A row of such cells, with the line end of RFC 4180. */
export function safeCsvRow(cells: readonly string[]): string {
  return `${cells.map(safeCsvCell).join(',')}\r\n`
}
