import fc from 'fast-check'
import { expect } from 'vitest'

/** An expression as a property makes it, beside its text. */
export type Tree<Field extends string> =
  | {
      readonly join: 'and' | 'or'
      readonly left: Tree<Field>
      readonly right: Tree<Field>
    }
  | Leaf<Field>

export interface Leaf<Field extends string> {
  readonly field: Field
  readonly operator: string
  readonly values: readonly string[]
  readonly insensitive: boolean
}

/** What a row has in a field, as the reference compares it. */
export interface Stored {
  /** What operators of texts look at. */
  readonly text: string
  /**
   * The sign of what is stored less what is written; undefined for what cannot be compared with it. Absent: texts compare.
   */
  readonly orderOf?: (written: string) => number | undefined
}

/** `hidden`: fits nothing, not even null. */
export type FieldReader<Field extends string> = (field: Field) => Stored | null | 'hidden'

/** What the companion document says, with the means of the language alone. */
function holds<Field extends string>(tree: Tree<Field>, read: FieldReader<Field>): boolean {
  if ('join' in tree) {
    return tree.join === 'and'
      ? holds(tree.left, read) && holds(tree.right, read)
      : holds(tree.left, read) || holds(tree.right, read)
  }
  const { field, operator, values, insensitive } = tree
  const stored = read(field)
  const [first = ''] = values
  if (stored === 'hidden') return false
  if (operator === 'null') return stored === null
  if (operator === 'not null') return stored !== null
  if (stored === null) return false
  const fold = (text: string) =>
    insensitive ? [...text].map((c) => (c >= 'A' && c <= 'Z' ? c.toLowerCase() : c)).join('') : text
  const text = fold(stored.text)
  const orderOf = stored.orderOf ?? ((written) => compareCodePoints(text, fold(written)))
  const differs = (written: string) => ![0, undefined].includes(orderOf(written))
  switch (operator) {
    case '=':
      return orderOf(first) === 0
    case '!=':
    case '<>':
      return differs(first)
    case '<':
      return orderOf(first) === -1
    case '<=':
      return [-1, 0].includes(orderOf(first) ?? Number.NaN)
    case '>':
      return orderOf(first) === 1
    case '>=':
      return [1, 0].includes(orderOf(first) ?? Number.NaN)
    case 'in':
      return values.some((value) => orderOf(value) === 0)
    case '!in':
      return values.every(differs)
    case '^=':
      return text.startsWith(fold(first))
    case '$=':
      return text.endsWith(fold(first))
    case '*=':
      return text.includes(fold(first))
    case 'like':
      return isLike([...text], [...fold(first)])
    default:
      throw new Error(operator)
  }
}

function compareCodePoints(one: string, other: string): number {
  const [left, right] = [[...one], [...other]]
  for (const [index, character] of left.entries()) {
    const difference = (character.codePointAt(0) ?? 0) - (right[index]?.codePointAt(0) ?? -1)
    if (difference !== 0) return Math.sign(difference)
  }
  return left.length === right.length ? 0 : -1
}

function isLike(text: readonly string[], pattern: readonly string[]): boolean {
  const [head, ...rest] = pattern
  if (head === undefined) return text.length === 0
  if (head === '%')
    return text.some((_, index) => isLike(text.slice(index), rest)) || isLike([], rest)
  return text.length > 0 && (head === '_' || head === text[0]) && isLike(text.slice(1), rest)
}

/** Where filters are asked, and what the reference makes of them. */
export interface Comparison<Row extends { readonly id: string }, Field extends string, Place> {
  readonly rows: fc.Arbitrary<Row[]>
  readonly tree: fc.Arbitrary<Tree<Field>>
  /** What the fields are called in a filter. */
  readonly names: Readonly<Record<Field, string>>
  /** Stores rows where no others are. */
  store(rows: readonly Row[]): Promise<Place>
  /** The ids of the rows that fit, in order, on each engine. */
  select(place: Place, filters: readonly string[]): Promise<readonly string[][]>
  readerOf(row: Row, place: Place): FieldReader<Field>
}

/**
 * Asks random filters about random rows: every engine must say what {@link holds} says. @returns how many were compared.
 */
export async function compareWithReference<
  Row extends { readonly id: string },
  Field extends string,
  Place,
>(
  { rows, tree, names, store, select, readerOf }: Comparison<Row, Field, Place>,
  numRuns: number,
): Promise<number> {
  let compared = 0
  const trees = fc.array(tree, { minLength: 6, maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(rows, trees, fc.gen(), async (all, expressions, gen) => {
      const pick: Pick = (...ways) => gen(() => fc.constantFrom(...ways))
      const place = await store(all)
      for (const one of expressions) {
        const text = spell(one, pick, names)
        if (text === undefined) continue
        const fits = all.filter((row) => holds(one, readerOf(row, place)))
        const wanted = fits.map(({ id }) => id)
        expect(await select(place, [text]), text).toEqual([wanted, wanted])
        compared++
      }
    }),
    { numRuns },
  )
  return compared
}

const letters = [
  'a',
  'A',
  'b',
  'B',
  'z',
  'Z',
  '_',
  '%',
  '*',
  '?',
  '[',
  ']',
  '\\',
  '^',
  '-',
  ' ',
  '.',
  "'",
  '"',
  '0',
  '9',
  'ä',
  'Ä',
  'ß',
  'İ',
  'K',
  '\ue000',
  '😀',
  '\ufffd',
  ')',
  '{',
  ',',
] as const
/** Short texts of whatever means something to a filter, to `like`, or to an engine. */
export const texts: fc.Arbitrary<string> = fc
  .array(fc.constantFrom(...letters), { maxLength: 5 })
  .map((all) => all.join(''))
export const textOperators = [
  '=',
  '!=',
  '<>',
  '<',
  '<=',
  '>',
  '>=',
  '^=',
  '$=',
  '*=',
  'like',
  'in',
  '!in',
  'null',
  'not null',
] as const
export const numberOperators = [
  '=',
  '!=',
  '<>',
  '<',
  '<=',
  '>',
  '>=',
  'in',
  '!in',
  'null',
  'not null',
] as const

/** Expressions of leaves, joined at random. */
export function treeOf<Field extends string>(
  leaf: fc.Arbitrary<Leaf<Field>>,
): fc.Arbitrary<Tree<Field>> {
  return fc.letrec<{ tree: Tree<Field> }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      leaf,
      fc.record({
        join: fc.constantFrom('and' as const, 'or' as const),
        left: tie('tree'),
        right: tie('tree'),
      }),
    ),
  })).tree
}

/** Leaves of one field. */
export function leafOf<Field extends string>(
  field: fc.Arbitrary<Field>,
  operators: readonly string[],
  values: fc.Arbitrary<string>,
): fc.Arbitrary<Leaf<Field>> {
  return fc.record({
    field,
    operator: fc.constantFrom(...operators),
    values: fc.array(values, { minLength: 1, maxLength: 3 }),
    insensitive: fc.boolean(),
  })
}

/** Draws one of several. */
type Pick = <T>(...all: readonly T[]) => T

/**
 * The text of an expression; `pick` draws among spellings, `names` are those of the fields.
 *
 * @returns undefined where no quotation can hold a value.
 */
function spell<Field extends string>(
  tree: Tree<Field>,
  pick: Pick,
  names: Readonly<Record<Field, string>>,
): string | undefined {
  const blank = () => pick('', ' ', '\t ')
  if ('join' in tree) {
    const left = spell(tree.left, pick, names)
    const right = spell(tree.right, pick, names)
    if (left === undefined || right === undefined) return undefined
    const word = tree.join === 'and' ? pick('and', 'AND', '&&') : pick('or', 'OR', '||')
    const inBrackets = (part: Tree<Field>, text: string) =>
      'join' in part && (part.join !== tree.join || pick(true, false))
        ? `(${blank()}${text}${blank()})`
        : text
    return `${inBrackets(tree.left, left)} ${blank()}${word}${pick(' ', '\n')}${inBrackets(tree.right, right)}`
  }
  const values = tree.values.map((value) => quote(value, pick))
  if (values.includes(undefined)) return undefined
  const field: string = names[tree.field]
  const flags = tree.insensitive ? `${blank()}${pick('[i]', '[I]')}` : ''
  const { operator } = tree
  if (operator === 'null') return `${field}${blank()}=${blank()}${pick('null', 'NULL')}${flags}`
  if (operator === 'not null') return `${field}${blank()}${pick('!=', '<>')}${blank()}null${flags}`
  if (operator === 'like') return `${field} like ${values[0]}${flags}`
  if (operator === 'in')
    return `${field} in${blank()}{${blank()}${values.join(`${blank()},${blank()}`)}${blank()}}${flags}`
  if (operator === '!in') return `${field}${blank()}!in${blank()}{${values.join(',')}}${flags}`
  return `${field}${blank()}${operator}${blank()}${values[0]}${flags}`
}

function quote(value: string, pick: Pick): string | undefined {
  const isBare = /^[A-Za-z0-9\-_%.]+$/.test(value) && value !== 'null' && value !== 'NULL'
  const ways = ["'", '"', '`']
    .filter((mark) => !value.includes(mark))
    .map((mark) => mark + value + mark)
  if (isBare) ways.push(value)
  return ways.length === 0 ? undefined : pick(...ways)
}
