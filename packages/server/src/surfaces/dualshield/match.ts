import type { EntityName } from '#domain/directory/directory.ts'
import {
  type Condition,
  conditionsMax,
  hopsMax,
  relationDepthMax,
  type Scalar,
  type Sort,
  valuesMax,
} from '#domain/directory/directory-query.ts'
import { invalid, unknownAttribute } from './refusals.ts'
import { type Attribute, attributeOf, type WireEntityName, wireRelationOf } from './wire.ts'

type Operator = '=' | '!=' | '<' | '<=' | '>' | '>=' | 'like' | 'in' | 'isNull'

const operators: ReadonlySet<string> = new Set<Operator>([
  '=',
  '!=',
  '<',
  '<=',
  '>',
  '>=',
  'like',
  'in',
  'isNull',
])

/** Longest pattern of `like`: what it is held against is shorter. */
const patternLengthMax = 512

const never: Condition = { path: [], op: 'never' }
const always: readonly Condition[] = []

/**
 * Reads a `match` (dualshield.md, section 5): triples, one triple, or objects of equality tests.
 *
 * @param match validated against the contract's schema `Match`; absent: everything matches.
 * @throws DomainError `invalid_request`: 1005 for unknown names, 1004 for the rest.
 */
export function readMatch(entity: EntityName, match: unknown): Condition[] {
  const tests = testsOf(match)
  const conditions = tests.flatMap(({ path, operator, value }) =>
    readTest(entity, path, operator, value),
  )
  if (conditions.length > conditionsMax || isTooMuch(conditions)) throw invalid('match')
  return conditions
}

/** @throws DomainError `invalid_request`: 1005 for an unknown name, 1004 for one over a to-many relation. */
export function readSort(entity: EntityName, path: string, order: 'asc' | 'desc'): Sort {
  const target = follow(entity, path, 'sort')
  const isSortable = target.attribute?.field !== undefined && !target.isMany
  if (!isSortable) throw invalid('sort')
  return { path: target.path, descending: order === 'desc' }
}

interface Test {
  readonly path: string
  readonly operator: string
  readonly value: unknown
}

function testsOf(match: unknown): Test[] {
  if (match === undefined) return []
  if (!Array.isArray(match)) return equalities(match)
  const [first] = match
  if (typeof first === 'string') return [triple(match)]
  return match.flatMap((item: unknown) => (Array.isArray(item) ? [triple(item)] : equalities(item)))
}

function triple([path, operator, value, ...rest]: readonly unknown[]): Test {
  if (typeof path !== 'string' || typeof operator !== 'string' || rest.length > 0) {
    throw invalid('match')
  }
  return { path, operator, value }
}

function equalities(map: unknown): Test[] {
  if (typeof map !== 'object' || map === null) throw invalid('match')
  return Object.entries(map).map(([path, value]) => ({ path, operator: '=', value }))
}

interface Target {
  /** In the directory's names. */
  readonly path: readonly string[]
  /** Undefined when the path ends in a relation. */
  readonly attribute: Attribute | undefined
  readonly isMany: boolean
  /** True for what every object leads to alike. */
  readonly isConstant: boolean
}

function follow(entity: EntityName, text: string, place: 'match' | 'sort'): Target {
  const names = text.split('.')
  if (names.length > relationDepthMax + 1) throw invalid(place)
  const path: string[] = []
  let current: WireEntityName = entity
  let isMany = false
  let isConstant = false
  for (const [index, name] of names.entries()) {
    const attribute = attributeOf(current, name)
    if (attribute !== undefined && index === names.length - 1) {
      if (attribute.field !== undefined) path.push(attribute.field)
      const hasConstant = isConstant || attribute.constant !== undefined
      return { path, attribute, isMany, isConstant: hasConstant }
    }
    const relation = wireRelationOf(current, name)
    if (relation === undefined) throw unknownAttribute(place, text)
    if (relation.relation !== undefined) path.push(relation.relation)
    isConstant ||= relation.relation === undefined
    isMany ||= relation.isMany
    current = relation.to
  }
  return { path, attribute: undefined, isMany, isConstant }
}

function readTest(
  entity: EntityName,
  path: string,
  operator: string,
  value: unknown,
): readonly Condition[] {
  const target = follow(entity, path, 'match')
  const place = `match.${path}`
  if (!isOperator(operator)) throw invalid(place)
  if (target.isConstant) return constantTest(target, operator, value, place)
  if (operator === 'isNull') {
    if (typeof value !== 'boolean') throw invalid(place)
    return [{ path: target.path, op: 'isNull', value }]
  }
  const { attribute } = target
  if (attribute === undefined) throw invalid(place)
  if (operator === 'in') return [inTest(target, attribute, value, place)]
  if (operator === 'like') {
    // An id is compared in the core's notation, of which no part can be told from the outside.
    const isText =
      typeof value === 'string' &&
      attribute.field !== 'id' &&
      attribute.format.read('') !== undefined
    if (!isText || value.length > patternLengthMax || endsInEscape(value)) throw invalid(place)
    return [{ path: target.path, op: 'like', value }]
  }
  return [comparison(target, attribute, operator, value, place)]
}

function isOperator(text: string): text is Operator {
  return operators.has(text)
}

/** A backslash at the end makes nothing itself; engines disagree about it. */
function endsInEscape(pattern: string): boolean {
  return (/\\*$/.exec(pattern)?.[0].length ?? 0) % 2 === 1
}

function comparison(
  { path }: Target,
  attribute: Attribute,
  op: '=' | '!=' | '<' | '<=' | '>' | '>=',
  value: unknown,
  place: string,
): Condition {
  if (value === null) {
    if (op !== '=' && op !== '!=') throw invalid(place)
    return { path, op: 'isNull', value: op === '=' }
  }
  const read = isScalar(value) ? attribute.format.read(value) : undefined
  if (read === undefined) throw invalid(place)
  if (read === 'nothing') {
    // Nobody has this value, so everybody has another one.
    return op === '!=' ? { path, op: 'isNull', value: false } : never
  }
  if (typeof read.value === 'boolean' && op !== '=' && op !== '!=') throw invalid(place)
  return { path, op, value: read.value }
}

function inTest({ path }: Target, attribute: Attribute, value: unknown, place: string): Condition {
  if (!Array.isArray(value)) throw invalid(place)
  const values: Scalar[] = []
  for (const item of value as readonly unknown[]) {
    if (item === null) {
      values.push(null)
      continue
    }
    const read = isScalar(item) ? attribute.format.read(item) : undefined
    if (read === undefined) throw invalid(place)
    if (read !== 'nothing') values.push(read.value)
  }
  return { path, op: 'in', value: values }
}

/** What is the same for all is tested here; of a list, one member suffices. */
function constantTest(
  { attribute }: Target,
  operator: Operator,
  value: unknown,
  place: string,
): readonly Condition[] {
  if (operator === 'isNull') {
    if (typeof value !== 'boolean') throw invalid(place)
    return value ? [never] : always
  }
  if (attribute === undefined) throw invalid(place)
  const constants = [attribute.constant ?? null].flat()
  const wanted = operator === 'in' ? value : [value]
  if (!Array.isArray(wanted) || !['=', '!=', 'in'].includes(operator)) throw invalid(place)
  const isEqual = wanted.some((one) => constants.includes(one))
  return isEqual === (operator !== '!=') ? always : [never]
}

function isScalar(value: unknown): value is Scalar {
  return value === null || ['string', 'number', 'boolean'].includes(typeof value)
}

function isTooMuch(conditions: readonly Condition[]): boolean {
  let values = 0
  let hops = 0
  for (const { path, ...condition } of conditions) {
    hops += Math.max(0, path.length - 1)
    values += condition.op === 'in' ? condition.value.length : 1
  }
  return values > valuesMax || hops > hopsMax
}
