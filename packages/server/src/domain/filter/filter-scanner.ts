import { DomainError } from '../errors.ts'
import { characterCount } from '../users/name-text.ts'

/** Characters of all filters of one request. */
export const filterLengthMax = 4_096

const blanks = ' \t\r\n'
const bareCharacter = /[A-Za-z0-9\-_%.]/
const quotes = '\'"`'

/** A value as it stands in a filter; only bare ones can be the null value. */
export interface WrittenValue {
  readonly text: string
  readonly isNull: boolean
  readonly at: number
}

/** Reads the text of a filter from left to right. */
export class FilterScanner {
  readonly #text: string
  #at = 0

  /**
   * @param charactersBefore in other filters of the request.
   * @throws DomainError for a text that is too long, or that no database takes.
   */
  constructor(text: string, charactersBefore: number) {
    this.#text = text
    const room = filterLengthMax - charactersBefore
    if (isLongerThan(text, room)) throw this.#refuse('the filter is too long', room)
    if (text.includes('\0') || !text.isWellFormed()) throw this.#refuse('no such characters', 0)
  }

  /** Its length. */
  get characters(): number {
    return characterCount(this.#text)
  }

  get at(): number {
    return this.#at
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#text.length
  }

  /** @returns whether there were any. */
  skipBlanks(): boolean {
    const start = this.#at
    while (!this.isAtEnd && blanks.includes(this.#text.charAt(this.#at))) this.#at++
    return this.#at > start
  }

  /** Steps back, to a place where it was before. */
  returnTo(at: number): void {
    this.#at = at
  }

  /** Takes a mark if it comes next. */
  take(mark: string): boolean {
    if (!this.#text.startsWith(mark, this.#at)) return false
    this.#at += mark.length
    return true
  }

  /** Takes the first of some marks that comes next. */
  takeOneOf<Mark extends string>(marks: readonly Mark[]): Mark | undefined {
    return marks.find((mark) => this.take(mark))
  }

  /** Takes the bare characters that come next; '' for none. */
  takeWord(): string {
    const start = this.#at
    while (bareCharacter.test(this.#text.charAt(this.#at))) this.#at++
    return this.#text.slice(start, this.#at)
  }

  /** @throws DomainError ParsingError where no value stands. */
  takeValue(): WrittenValue {
    const at = this.#at
    const quote = this.#text.charAt(at)
    if (quote !== '' && quotes.includes(quote)) {
      const end = this.#text.indexOf(quote, at + 1)
      if (end === -1) throw this.#refuse('the quotation does not end', at)
      this.#at = end + 1
      return { text: this.#text.slice(at + 1, end), isNull: false, at }
    }
    const text = this.takeWord()
    if (text === '') throw this.expected('a value')
    return { text, isNull: text === 'null' || text === 'NULL', at }
  }

  /** What to throw when something else should come next. */
  expected(what: string): DomainError {
    return this.#refuse(`${what} is expected`, this.#at)
  }

  /** What to throw for something that cannot stand where it stands. */
  parsingError(problem: string, at: number): DomainError {
    return this.#refuse(problem, at)
  }

  /** What to throw for a property that the list does not have. */
  unknownProperty(name: string, at: number): DomainError {
    return refusal('unknown_member', `UnknownProperty: ${name.slice(0, 64)}, ${this.#place(at)}.`)
  }

  #refuse(problem: string, at: number): DomainError {
    return refusal('bad_format', `ParsingError: ${problem}, ${this.#place(at)}.`)
  }

  /** Characters are counted from 1, as people do. */
  #place(at: number): string {
    return `at character ${characterCount(this.#text.slice(0, at)) + 1}`
  }
}

/** Characters are code points, of which each has two units at most. */
function isLongerThan(text: string, charactersMax: number): boolean {
  return (
    text.length > charactersMax &&
    (text.length > 2 * charactersMax || characterCount(text) > charactersMax)
  )
}

function refusal(code: 'unknown_member' | 'bad_format', message: string): DomainError {
  return new DomainError('invalid_request', message, {
    faults: [{ pointer: 'query:filter', code, message }],
  })
}
