import {
  column,
  type Fragment,
  fragment,
  isLike,
  joined,
  lowerAscii,
  tableAs,
} from '#storage/fragment.ts'
import { foldText } from '../users/name-text.ts'
import type { EntityName, Field } from './directory.ts'
import {
  type Condition,
  type Hop,
  resolvePath,
  type Scalar,
  type Target,
} from './directory-query.ts'
import {
  columnsOfRelation,
  comparedExpression,
  expressionOf,
  linkTable,
  type Moment,
  type RelationColumns,
  tableOf,
} from './directory-tables-store.ts'

/** What all parts of one query share. */
export interface QueryScope extends Moment {
  readonly tenantId: string
}

/** An entity under its name in the query; deeper levels have names of their own. */
interface Level {
  readonly alias: string
  readonly depth: number
}

const never = fragment`1 = 0`
const and = fragment` and `

/** True for conditions that leave few rows and can be answered from an index. */
export function isNarrow(entity: EntityName, condition: Condition): boolean {
  if (condition.op !== '=' && condition.op !== 'in') return false
  const hasNull = condition.op === 'in' ? condition.value.includes(null) : condition.value === null
  return !hasNull && resolvePath(entity, condition.path)?.field?.isNarrow === true
}

/** All conditions, on the entity under its alias. */
export function compileConditions(
  scope: QueryScope,
  entity: EntityName,
  alias: string,
  conditions: readonly Condition[],
): Fragment {
  const tests = conditions.map((condition) => compileCondition(scope, entity, alias, condition))
  return joined([fragment`${column(alias, 'tenant_id')} = ${scope.tenantId}`, ...tests], and)
}

function compileCondition(
  scope: QueryScope,
  entity: EntityName,
  alias: string,
  condition: Condition,
): Fragment {
  const target = condition.op === 'never' ? undefined : resolvePath(entity, condition.path)
  if (target === undefined || condition.op === 'never') return never
  const isSingle = target.hops.every(({ relation }) => !relation.isMany)
  const root = { alias, depth: 0 }
  const narrow = isNarrow(entity, condition)

  // Over to-one relations, that something is unlike means that it is not like: an unset relation is unlike everything.
  const opposite = isSingle ? oppositeOf(condition, target) : undefined
  if (opposite !== undefined) return fragment`not ${reach(scope, target, root, false, opposite)}`
  return reach(scope, target, root, narrow, condition)
}

function oppositeOf(
  condition: Exclude<Condition, { op: 'never' }>,
  { hops, field }: Target,
): Exclude<Condition, { op: 'never' }> | undefined {
  if (condition.op === '!=') return hops.length > 0 ? { ...condition, op: '=' } : undefined
  const isUnset = condition.op === 'isNull' && condition.value
  if (isUnset && (hops.length > 0 || field === undefined)) return { ...condition, value: false }
  return undefined
}

/** Goes over the relations of a path, then tests what is at its end. */
function reach(
  scope: QueryScope,
  target: Target,
  level: Level,
  narrow: boolean,
  condition: Exclude<Condition, { op: 'never' }>,
): Fragment {
  const [hop, ...hops] = target.hops
  if (hop === undefined) return testEnd(scope, target, level, condition)
  const inner = levelBelow(level)
  const test = reach(scope, { ...target, hops }, inner, narrow, condition)
  return over(scope, hop, level, inner, narrow, test)
}

function testEnd(
  scope: QueryScope,
  { entity, name, field }: Target,
  level: Level,
  condition: Exclude<Condition, { op: 'never' }>,
): Fragment {
  if (field !== undefined) return testField(scope, { entity, name, field }, level.alias, condition)
  const relation = { from: entity, name }
  const exists = over(scope, relation, level, levelBelow(level), false, undefined)
  return condition.op === 'isNull' && condition.value ? fragment`not ${exists}` : exists
}

function levelBelow({ depth }: Level): Level {
  return { alias: `x${depth + 1}`, depth: depth + 1 }
}

/**
 * Whether something at the other side of a relation passes a test. A narrow test is asked first and the relation
 * followed backwards; any other is asked of what each row leads to.
 */
function over(
  scope: QueryScope,
  { from, name }: Pick<Hop, 'from' | 'name'>,
  level: Level,
  inner: Level,
  narrow: boolean,
  test: Fragment | undefined,
): Fragment {
  const columns = columnsOfRelation(from, name)
  const own = column(level.alias, columns.ownColumn)
  const { source, key } = relationSource(scope, from, name, inner.alias)
  const tested = test === undefined ? source : fragment`${source} and ${test}`
  if (narrow) return fragment`${own} in (select ${key} ${tested})`
  return fragment`exists (select 1 ${tested} and ${key} = ${own})`
}

/** `from … where …` of what a relation leads to, and the column that tells from where. */
export function relationSource(
  scope: QueryScope,
  from: EntityName,
  name: string,
  alias: string,
): { source: Fragment; key: Fragment } {
  const columns = columnsOfRelation(from, name)
  const table = tableAs(targetTable(from, name), alias)
  const tenant = fragment`${column(alias, 'tenant_id')} = ${scope.tenantId}`
  if (columns.over === undefined) {
    return {
      source: fragment`from ${table} where ${tenant}`,
      key: column(alias, columns.targetColumn),
    }
  }
  const link = `${alias}_link`
  return {
    source: fragment`from ${tableAs(linkTable, link)} inner join ${table}
      on ${column(alias, 'tenant_id')} = ${column(link, 'tenant_id')}
      and ${column(alias, columns.targetColumn)} = ${column(link, columns.over.targetColumn)}
      where ${column(link, 'tenant_id')} = ${scope.tenantId} and ${tenant} ${ownership(link, columns)}`,
    key: column(link, columns.over.ownColumn),
  }
}

function ownership(link: string, { over: link_ }: RelationColumns): Fragment {
  const isOwner = link_?.isOwner
  return isOwner === undefined ? fragment`` : fragment`and ${column(link, 'is_owner')} = ${isOwner}`
}

function targetTable(from: EntityName, name: string): string {
  return tableOf(relationTarget(from, name)).table
}

function relationTarget(from: EntityName, name: string): EntityName {
  const relation = resolvePath(from, [name, 'id'])?.entity
  if (relation === undefined) throw new Error(`The ${from} has no relation ${name}.`)
  return relation
}

function testField(
  scope: QueryScope,
  { entity, name, field }: { entity: EntityName; name: string; field: Field },
  alias: string,
  condition: Exclude<Condition, { op: 'never' }>,
): Fragment {
  const value = comparedExpression(entity, name)(alias, scope)
  switch (condition.op) {
    case 'isNull':
      return condition.value ? fragment`${value} is null` : fragment`${value} is not null`
    case 'like':
      return likeTest(field, value, condition.value)
    case 'in':
      return inTest(field, value, condition.value)
    case '=':
      return condition.value === null
        ? fragment`${value} is null`
        : fragment`${value} = ${comparable(field, condition.value)}`
    case '!=':
      return condition.value === null
        ? fragment`${value} is not null`
        : fragment`(${value} <> ${comparable(field, condition.value)} or ${value} is null)`
    default:
      return orderTest(value, condition.op, comparable(field, condition.value))
  }
}

function orderTest(value: Fragment, op: '<' | '<=' | '>' | '>=', bound: Scalar): Fragment {
  switch (op) {
    case '<':
      return fragment`${value} < ${bound}`
    case '<=':
      return fragment`${value} <= ${bound}`
    case '>':
      return fragment`${value} > ${bound}`
    case '>=':
      return fragment`${value} >= ${bound}`
  }
}

function likeTest(field: Field, value: Fragment, pattern: string): Fragment {
  if (field.kind === 'folded') return isLike(value, foldText(pattern))
  return isLike(lowerAscii(value), asciiLowerCase(pattern))
}

function inTest(field: Field, value: Fragment, wanted: readonly Scalar[]): Fragment {
  const values = wanted.filter((one) => one !== null).map((one) => comparable(field, one))
  const tests = values.length === 0 ? [] : [fragment`${value} in (${joined(values)})`]
  if (values.length < wanted.length) tests.push(fragment`${value} is null`)
  return tests.length === 0 ? never : fragment`(${joined(tests, fragment` or `)})`
}

/** A value as the database compares it. */
function comparable({ kind }: Field, value: Scalar): Scalar {
  if (typeof value === 'boolean') return value ? 1 : 0
  return kind === 'folded' && typeof value === 'string' ? foldText(value) : value
}

function asciiLowerCase(text: string): string {
  return text.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase())
}

/** The key by which a search is sorted: the field at the end of to-one relations, null where one of them is unset. */
export function sortExpression(
  scope: QueryScope,
  entity: EntityName,
  alias: string,
  path: readonly string[],
): Fragment {
  const target = resolvePath(entity, path)
  if (target?.field === undefined) throw new Error('A sort was not checked.')
  return sortAt(scope, target, { alias, depth: 0 })
}

function sortAt(scope: QueryScope, target: Target, level: Level): Fragment {
  const [hop, ...hops] = target.hops
  if (hop === undefined) return expressionOf(target.entity, target.name)(level.alias, scope)
  const inner = levelBelow(level)
  const { source, key } = relationSource(scope, hop.from, hop.name, inner.alias)
  const value = sortAt(scope, { ...target, hops }, inner)
  const own = column(level.alias, columnsOfRelation(hop.from, hop.name).ownColumn)
  return fragment`(select ${value} ${source} and ${key} = ${own})`
}
