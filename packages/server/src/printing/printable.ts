import { setImmediate } from 'node:timers/promises'
import { DomainError, type Fault } from '#domain/errors.ts'
import { pageFormats } from './page-format.ts'
import type { Paper, SheetLabels } from './sheet.ts'
import { findUnprintable, layOutText } from './text-layout.ts'

export const addressSizePoints = 11
const addressSizeMin = 7
export const noticeLinesMax = 12
const recipientsPerTurn = 5

/** Characters that say how others are shown, or end a line: a title has none of them. */
const forbidden = /[\p{Cc}\p{Cs}\p{Co}\p{Cn}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u

/** What a caller wants printed, with pointers into the request for what is wrong with it. */
export interface RequestedText {
  /** PDF carries our fonts; HTML is shown with those of the reader. */
  readonly form: 'PDF' | 'HTML'
  readonly paper: Paper
  readonly title: string
  readonly notice: string
  readonly labels: SheetLabels
  readonly recipients: readonly {
    readonly lines: readonly string[]
    readonly pointer: string
  }[]
}

/**
 * Finds out whether everything can be printed, before anything is made of which there is only one print.
 *
 * @throws DomainError `invalid_request`, all faults at once.
 */
export async function requirePrintable(wanted: RequestedText): Promise<void> {
  const { form, paper, title, notice, labels } = wanted
  const faults: Fault[] = [
    ...textFaults(title, form, '/title'),
    ...noticeFaults(notice, form),
    ...Object.entries(labels).flatMap(([name, text]) => textFaults(text, form, `/labels/${name}`)),
  ]
  for (const [number, { lines, pointer }] of wanted.recipients.entries()) {
    for (const [index, line] of lines.entries()) {
      faults.push(...addressFaults(line, form, paper, `${pointer}/${index}`))
    }
    // A thousand addresses take a second or two: others must have their turn.
    if (number % recipientsPerTurn === 0) await setImmediate()
  }
  if (faults.length === 0) return
  throw new DomainError('invalid_request', 'Some of the text cannot be printed.', { faults })
}

/** The size at which a line of an address fits its window; undefined when it would be too small to read. */
export function addressSize(line: string, paper: Paper): number | undefined {
  const { width } = pageFormats[paper].address
  const style = { weight: 'regular', sizePoints: addressSizePoints } as const
  const [laidOut] = layOutText(line, style, Number.POSITIVE_INFINITY)
  const size = Math.min(addressSizePoints, (addressSizePoints * width) / (laidOut?.width ?? width))
  return size < addressSizeMin ? undefined : size
}

function noticeFaults(notice: string, form: RequestedText['form']): readonly Fault[] {
  const lines = notice.split('\n')
  if (lines.length > noticeLinesMax) {
    const message = `must have at most ${noticeLinesMax} lines`
    return [{ pointer: '/notice', code: 'out_of_range', message }]
  }
  return textFaults(lines.join(' '), form, '/notice')
}

function addressFaults(
  line: string,
  form: RequestedText['form'],
  paper: Paper,
  pointer: string,
): readonly Fault[] {
  const faults = textFaults(line, form, pointer)
  if (faults.length > 0 || form === 'HTML' || addressSize(line, paper) !== undefined) return faults
  return [{ pointer, code: 'out_of_range', message: 'is too wide for the address field' }]
}

function textFaults(text: string, form: RequestedText['form'], pointer: string): readonly Fault[] {
  const control = forbidden.exec(text)?.[0]
  if (control !== undefined) {
    return [{ pointer, code: 'bad_format', message: `must not contain ${codePointsOf(control)}` }]
  }
  const unknown = form === 'PDF' ? findUnprintable(text) : undefined
  if (unknown === undefined) return []
  const message = `contains ${codePointsOf(unknown)}, which no font of the server can print`
  return [{ pointer, code: 'unsupported', message }]
}

/** By number: the character itself may be one that no log or page shows rightly. */
function codePointsOf(text: string): string {
  return [...text]
    .map((character) => (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0'))
    .map((digits) => `U+${digits}`)
    .join(' ')
}
