import type { Condition } from '../conditions/condition.ts'
import { FilterScanner, type WrittenValue } from './filter-scanner.ts'
import {
  anyText,
  type Comparison,
  compareNumber,
  escaped,
  likePattern,
  oneOfNumbers,
  readInstant,
  readNumber,
} from './filter-values.ts'

/** Conditions of all filters of one request. */
export const conditionsMax = 64
/** Brackets within brackets. */
export const depthMax = 16

/** How a field compares: by code points, as a whole number, or as a moment in epoch milliseconds. */
export type FieldKind = 'text' | 'number' | 'instant'

/** The properties that a caller can name, and the fields of the condition that they stand for. */
export type FilterProperties = Readonly<
  Record<string, { readonly field: string; readonly kind: FieldKind }>
>

type Property = FilterProperties[string]

const connectives = { or: ['or', 'OR', '||'], and: ['and', 'AND', '&&'] } as const
/** Longer ones first. */
const operators = ['!=', '<>', '^=', '$=', '*=', '>=', '<=', '=', '>', '<'] as const
type Operator = (typeof operators)[number]

const comparisons: Partial<Record<Operator, Comparison>> = {
  '=': '=',
  '!=': '!=',
  '<>': '!=',
  '<': '<',
  '<=': '<=',
  '>': '>',
  '>=': '>=',
}

/**
 * Reads filters (ast.md, section 3). Several are joined by `and`, each a whole expression of its own.
 *
 * @returns undefined for no filter.
 * @throws DomainError `invalid_request`, with a fault of `query:filter`: `unknown_member` for UnknownProperty,
 *   `bad_format` for ParsingError; the message says where.
 */
export function parseFilters(
  texts: readonly string[],
  properties: FilterProperties,
): Condition | undefined {
  const budget = { conditions: 0, characters: 0 }
  const conditions = texts.map((text) => new FilterParser(text, properties, budget).parse())
  const [first, ...others] = conditions
  return first === undefined || others.length === 0 ? first : { op: 'and', conditions }
}

interface Budget {
  conditions: number
  characters: number
}

class FilterParser {
  readonly #scanner: FilterScanner
  readonly #properties: FilterProperties
  readonly #budget: Budget

  constructor(text: string, properties: FilterProperties, budget: Budget) {
    this.#scanner = new FilterScanner(text, budget.characters)
    budget.characters += this.#scanner.characters
    this.#properties = properties
    this.#budget = budget
  }

  parse(): Condition {
    const scanner = this.#scanner
    scanner.skipBlanks()
    const filter = this.#connected('or', 0)
    scanner.skipBlanks()
    if (!scanner.isAtEnd) throw scanner.expected('and, or, or the end')
    return filter
  }

  #connected(op: 'and' | 'or', depth: number): Condition {
    const next = () => (op === 'or' ? this.#connected('and', depth) : this.#primary(depth))
    const first = next()
    if (!this.#takeConnective(op)) return first
    const conditions = [first]
    do conditions.push(next())
    while (this.#takeConnective(op))
    return { op, conditions }
  }

  #takeConnective(op: 'and' | 'or'): boolean {
    const scanner = this.#scanner
    const start = scanner.at
    const isParted = scanner.skipBlanks()
    const at = scanner.at
    const written = scanner.takeWord() || (scanner.takeOneOf(['||', '&&']) ?? '')
    if (!connectives[op].some((word) => word === written)) {
      scanner.returnTo(start)
      return false
    }
    if (!isParted) throw scanner.parsingError('white space is expected', at)
    if (!scanner.skipBlanks()) throw scanner.expected('white space')
    return true
  }

  #primary(depth: number): Condition {
    const scanner = this.#scanner
    const at = scanner.at
    if (!scanner.take('(')) return this.#condition()
    if (depth >= depthMax) throw scanner.parsingError('the brackets are too deep', at)
    scanner.skipBlanks()
    const inner = this.#connected('or', depth + 1)
    scanner.skipBlanks()
    if (!scanner.take(')')) throw scanner.expected('and, or, or )')
    return inner
  }

  #condition(): Condition {
    const scanner = this.#scanner
    const at = scanner.at
    if (++this.#budget.conditions > conditionsMax) {
      throw scanner.parsingError('there are too many conditions', at)
    }
    const name = scanner.takeWord()
    if (name === '') throw scanner.expected('a property')
    const property = Object.hasOwn(this.#properties, name) ? this.#properties[name] : undefined
    if (property === undefined) throw scanner.unknownProperty(name, at)
    scanner.skipBlanks()
    const operatorAt = scanner.at
    const operator = scanner.takeOneOf(operators)
    if (operator !== undefined) return this.#comparison(property, operator, operatorAt)
    const isNegated = scanner.take('!')
    const word = scanner.takeWord()
    if (word === 'in') return this.#membership(property, !isNegated)
    if (word === 'like' && !isNegated) {
      const written = this.#value()
      return this.#like(property, likePattern(written.text), operatorAt)
    }
    scanner.returnTo(operatorAt)
    throw scanner.expected('an operator')
  }

  #comparison(property: Property, operator: Operator, operatorAt: number): Condition {
    const scanner = this.#scanner
    const { field, kind } = property
    const op = comparisons[operator]
    if (op === undefined) {
      const text = escaped(this.#value().text)
      const head = operator === '^=' ? '' : anyText
      const tail = operator === '$=' ? '' : anyText
      return this.#like(property, head + text + tail, operatorAt)
    }
    scanner.skipBlanks()
    const written = scanner.takeValue()
    const ignoresCase = this.#takeFlags()
    if (written.isNull) {
      if (op === '=' || op === '!=') return { op, field, value: null }
      throw this.#misplacedNull(written)
    }
    if (kind === 'text') return { op, field, value: written.text, ignoresCase }
    return compareNumber(field, op, this.#number(kind, written))
  }

  #like({ field, kind }: Property, pattern: string, operatorAt: number): Condition {
    const ignoresCase = this.#takeFlags()
    if (kind === 'text') return { op: 'like', field, pattern, ignoresCase }
    throw this.#scanner.parsingError('the property is no text', operatorAt)
  }

  #membership({ field, kind }: Property, isOneOf: boolean): Condition {
    const scanner = this.#scanner
    scanner.skipBlanks()
    if (!scanner.take('{')) throw scanner.expected('{')
    const written: WrittenValue[] = []
    do {
      written.push(this.#value())
      scanner.skipBlanks()
    } while (scanner.take(','))
    if (!scanner.take('}')) throw scanner.expected(', or }')
    const ignoresCase = this.#takeFlags()
    if (kind !== 'text') {
      const numbers = written.map((value) => this.#number(kind, value))
      return oneOfNumbers(field, isOneOf, numbers)
    }
    const values = written.map(({ text }) => text)
    return { op: isOneOf ? 'in' : 'not in', field, values, ignoresCase }
  }

  /** A value where null cannot stand. */
  #value(): WrittenValue {
    this.#scanner.skipBlanks()
    const written = this.#scanner.takeValue()
    if (written.isNull) throw this.#misplacedNull(written)
    return written
  }

  /** @returns whether case does not count. */
  #takeFlags(): boolean {
    const scanner = this.#scanner
    const start = scanner.at
    scanner.skipBlanks()
    if (!scanner.take('[')) {
      scanner.returnTo(start)
      return false
    }
    if (scanner.takeOneOf(['i]', 'I]']) === undefined) throw scanner.expected('i]')
    return true
  }

  #number(kind: 'number' | 'instant', { text, at }: WrittenValue) {
    const number = kind === 'instant' ? readInstant(text) : readNumber(text)
    if (number !== undefined) return number
    const what = kind === 'instant' ? 'a date and time (RFC 3339, in quotes)' : 'a number'
    throw this.#scanner.parsingError(`${what} is expected`, at)
  }

  #misplacedNull({ at }: WrittenValue) {
    return this.#scanner.parsingError('null stands behind = and != only', at)
  }
}
