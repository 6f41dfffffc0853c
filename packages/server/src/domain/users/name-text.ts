import { DomainError, type Fault } from '../errors.ts'

/** Longest name, label or identifier, in characters. */
export const nameCharactersMax = 255
/** Texts beyond this are refused before anything is computed from them; a character has at most two UTF-16 units. */
const nameUnitsMax = 2 * nameCharactersMax

/** Unicode NFC: two spellings of what a reader sees as one text become one. */
export function normalText(text: string): string {
  return text.normalize('NFC')
}

/** The form in which names are compared that ignore case. */
export function foldText(text: string): string {
  return text.normalize('NFC').toLowerCase().normalize('NFC')
}

/** Characters as JSON Schema counts them: code points. */
export function characterCount(text: string): number {
  let count = 0
  for (const _ of text) count++
  return count
}

/** Both engines keep such a text and give it back unchanged: no U+0000, no lone surrogate. */
export function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0')
}

/** RFC 5321 without quoted local parts and address literals. */
const emailPattern =
  /^[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i
const emailCharactersMax = 254

/** What a kind of name cannot hold besides control characters. */
type Forbidden = string

const forbiddenInDomains: Forbidden = '/\\?#%'
const forbiddenInIds: Forbidden = '/\\?#%'
const forbiddenInLogins: Forbidden = '\\'
const forbiddenInValues: Forbidden = ''

/**
 * The name in NFC, or undefined if no domain can have it. Normalising may lengthen a text, so the result is what is
 * measured.
 */
export function normalDomainName(text: string): string | undefined {
  return checkedForm(text, forbiddenInDomains, normalText)
}

/** The login name in NFC, or undefined if no user can have it. */
export function normalLoginName(text: string): string | undefined {
  return checkedForm(text, forbiddenInLogins, normalText)
}

/** True for ids that a caller may choose. They are compared byte by byte, so only NFC is taken. */
export function isUserId(text: string): boolean {
  if (text === '.' || text === '..' || /\s/.test(text)) return false
  return isName(text, forbiddenInIds) && normalText(text) === text
}

/** What `form` makes of a value that identifiers may have, or undefined if either is not one. */
export function normalValue(text: string, form: (text: string) => string): string | undefined {
  return checkedForm(text, forbiddenInValues, form)
}

function checkedForm(
  text: string,
  forbidden: Forbidden,
  form: (text: string) => string,
): string | undefined {
  if (!isName(text, forbidden)) return undefined
  const result = form(text)
  return isName(result, forbidden) ? result : undefined
}

function isName(text: string, forbidden: Forbidden): boolean {
  if (text === '' || text.length > nameUnitsMax || !text.isWellFormed()) return false
  let count = 0
  for (const character of text) {
    if (character < ' ' || character === '\x7f' || forbidden.includes(character)) return false
    count++
  }
  return count <= nameCharactersMax
}

export function isEmail(text: string): boolean {
  return text.length <= emailCharactersMax && emailPattern.test(text)
}

/** Collects what is wrong with the members of one request. */
export class MemberCheck {
  readonly #faults: Fault[] = []

  add(pointer: string, code: string, message: string): void {
    this.#faults.push({ pointer, code, message })
  }

  /** A text that is stored as it is: anything both engines keep. */
  text(pointer: string, text: string | null | undefined, charactersMax = nameCharactersMax): void {
    if (text === null || text === undefined) return
    if (text.length > 2 * charactersMax || characterCount(text) > charactersMax) {
      this.add(pointer, 'out_of_range', `must have at most ${charactersMax} characters`)
    } else if (!isStorable(text)) {
      this.add(pointer, 'bad_format', 'must be valid Unicode without U+0000')
    }
  }

  /** The error for everything that was added. */
  refusal(): DomainError {
    return new DomainError('invalid_request', 'The request does not fit.', {
      faults: this.#faults,
    })
  }

  /** @throws DomainError `invalid_request` if anything was added. */
  finish(): void {
    if (this.#faults.length > 0) throw this.refusal()
  }
}
