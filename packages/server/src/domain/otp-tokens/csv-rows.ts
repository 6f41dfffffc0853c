/** One row of a CSV text, and the line on which it begins, from 1. */
export interface CsvRow {
  readonly line: number
  readonly fields: readonly string[]
}

/** The text is no CSV; the message names the line and never repeats a field. */
export class CsvFault extends Error {
  override readonly name = 'CsvFault'
}

const blanks = /[ \t]*/y
const plainField = /[^,\r\n"]*/y
const lineEnd = /\r\n|\n|\r/y
const lineEnds = /\r\n|\n|\r/g

/**
 * The rows of a CSV text: commas only, any line ends, quotes as in RFC 4180, blanks beside commas outside quotes dropped,
 * blank lines skipped. Rows may have any number of fields.
 *
 * @throws CsvFault for an open quote, or text beside a quoted field.
 */
export function* csvRows(text: string): Generator<CsvRow> {
  let position = text.startsWith('\ufeff') ? 1 : 0
  let line = 1
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = position
    const found = pattern.exec(text)
    if (found !== null) position = pattern.lastIndex
    return found
  }
  const refuse = (reason: string) => new CsvFault(`Line ${line}: ${reason}.`)

  while (position < text.length) {
    const fields: string[] = []
    const firstLine = line
    let isBlank = true
    for (;;) {
      take(blanks)
      if (text[position] === '"') {
        const end = closingQuote(text, position)
        if (end === -1) throw refuse('a quote is not closed')
        const quoted = text.slice(position + 1, end)
        position = end + 1
        fields.push(quoted.replaceAll('""', '"'))
        line += quoted.match(lineEnds)?.length ?? 0
        isBlank = false
        take(blanks)
      } else {
        fields.push((take(plainField)?.[0] ?? '').trimEnd())
      }
      if (text[position] !== ',') break
      position++
      isBlank = false
    }
    const isOver = position === text.length || take(lineEnd) !== null
    if (!isOver) throw refuse('text beside a quoted field')
    if (!isBlank || fields[0] !== '') yield { line: firstLine, fields }
    line++
  }
}

/** Where the quoted field ends that begins at `start`; -1: nowhere. */
function closingQuote(text: string, start: number): number {
  let end = text.indexOf('"', start + 1)
  while (end !== -1 && text[end + 1] === '"') end = text.indexOf('"', end + 2)
  return end
}
