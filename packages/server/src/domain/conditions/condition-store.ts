import { type Fragment, fragment, isLike, joined, lowerAscii } from '#storage/fragment.ts'
import { DomainError } from '../errors.ts'
import type { Condition } from './condition.ts'

/** One comparison of a condition. */
export type Comparison = Exclude<Condition, { readonly conditions: readonly Condition[] }>

/** Fields by name: the expressions that stand for them, or what makes SQL of a comparison with them. */
export type ConditionFields = Readonly<
  Record<string, Fragment | ((comparison: Comparison) => Fragment)>
>

const conditionsMax = 64
/** What 16 brackets make of it, `and` within `or` in each; one around them, and one for the comparison. */
const depthMax = 36
const valuesMax = 4_096
const always = fragment`1 = 1`
const never = fragment`1 = 0`

/**
 * A condition as SQL of both engines; what was given becomes parameters, never text.
 *
 * @throws DomainError `invalid_request` for an unknown field, and for more than 64 comparisons or 36 levels.
 */
export function compileCondition(condition: Condition, fields: ConditionFields): Fragment {
  let left = conditionsMax
  const compile = (one: Condition, depth: number): Fragment => {
    if (depth > depthMax) throw refused('The condition is too large.')
    if ('conditions' in one) {
      const parts = one.conditions.map((inner) => compile(inner, depth + 1))
      if (parts.length === 0) return one.op === 'and' ? always : never
      return fragment`(${joined(parts, one.op === 'and' ? fragment` and ` : fragment` or `)})`
    }
    if (left-- <= 0) throw refused('The condition is too large.')
    const field = Object.hasOwn(fields, one.field) ? fields[one.field] : undefined
    if (field === undefined) throw refused('The condition names an unknown field.')
    return typeof field === 'function' ? field(one) : compareField(one, field)
  }
  return compile(condition, 1)
}

/** A comparison with the expression that stands for its field. */
export function compareField(condition: Comparison, field: Fragment): Fragment {
  const folds = condition.ignoresCase === true
  const side = folds ? lowerAscii(field) : field
  const fold = <T>(value: T): T | string =>
    folds && typeof value === 'string' ? foldAscii(value) : value
  switch (condition.op) {
    case 'like':
      return isLike(side, String(fold(condition.pattern)))
    case 'in':
    case 'not in': {
      const values = condition.values.map(fold)
      if (values.length === 0) return condition.op === 'in' ? never : fragment`${side} is not null`
      if (values.length > valuesMax) throw refused('The condition is too large.')
      return condition.op === 'in'
        ? fragment`${side} in (${joined(values)})`
        : fragment`${side} not in (${joined(values)})`
    }
    default:
      return compareValue(condition.op, side, fold(condition.value))
  }
}

function compareValue(
  op: '=' | '!=' | '<' | '<=' | '>' | '>=',
  side: Fragment,
  value: string | number | null,
): Fragment {
  if (value === null) {
    if (op === '=') return fragment`${side} is null`
    if (op === '!=') return fragment`${side} is not null`
    throw refused('Nothing is smaller or larger than null.')
  }
  switch (op) {
    case '=':
      return fragment`${side} = ${value}`
    case '!=':
      return fragment`${side} <> ${value}`
    case '<':
      return fragment`${side} < ${value}`
    case '<=':
      return fragment`${side} <= ${value}`
    case '>':
      return fragment`${side} > ${value}`
    case '>=':
      return fragment`${side} >= ${value}`
  }
}

/** As both engines fold. */
function foldAscii(text: string): string {
  return text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase())
}

function refused(message: string): DomainError {
  return new DomainError('invalid_request', message, {
    faults: [{ pointer: 'query:filter', code: 'bad_format', message }],
  })
}
