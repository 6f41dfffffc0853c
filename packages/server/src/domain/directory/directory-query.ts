import { DomainError } from '../errors.ts'
import { type Entity, type EntityName, entities, type Field, type Relation } from './directory.ts'

export type Scalar = string | number | boolean | null

/** A test of one field, reached over relations. `like` knows `%`, `_` and backslash, and ignores case. */
export type Condition =
  | {
      readonly path: readonly string[]
      readonly op: '=' | '!=' | '<' | '<=' | '>' | '>='
      readonly value: Scalar
    }
  | { readonly path: readonly string[]; readonly op: 'like'; readonly value: string }
  | { readonly path: readonly string[]; readonly op: 'in'; readonly value: readonly Scalar[] }
  /** The path may end in a relation: whether there is anything at its end. */
  | { readonly path: readonly string[]; readonly op: 'isNull'; readonly value: boolean }
  /** Nothing holds. */
  | { readonly path: readonly []; readonly op: 'never' }

/** What to read of an object: its fields, and what of the objects that it leads to. */
export interface Projection {
  readonly fields: readonly string[]
  readonly relations: Readonly<Record<string, Projection>>
}

/** An object as far as a projection asked for it. `id` is always there. */
export interface DirectoryRow {
  readonly id: string
  readonly fields: Readonly<Record<string, Scalar>>
  /** To-one relations; null: none. */
  readonly one: Readonly<Record<string, DirectoryRow | null>>
  /** To-many relations, in order of id. */
  readonly many: Readonly<Record<string, readonly DirectoryRow[]>>
}

export interface Sort {
  /** A field, over to-one relations. */
  readonly path: readonly string[]
  readonly descending: boolean
}

export interface Search {
  /** All of them hold. Each by itself: over a to-many relation some member satisfies it. */
  readonly conditions: readonly Condition[]
  readonly sort: Sort
  /** Ties are in order of id. */
  readonly limit: number
  readonly offset: number
  readonly projection: Projection
}

export interface SearchResult {
  /** How many match before paging. */
  readonly total: number
  readonly rows: readonly DirectoryRow[]
}

export const conditionsMax = 50
/** All values of all conditions together. */
export const valuesMax = 5_000
export const relationDepthMax = 4
/** Relations that all conditions together lead over. */
export const hopsMax = 20
/** Relations of one projection, on all levels together. */
export const projectedRelationsMax = 30
/** Objects of one answer, on all levels together. */
export const rowsReadMax = 50_000
export const pageSizeMax = 1_000
/** Furthest page that can be turned to while there are more matches than this. */
export const offsetMax = 100_000

/** What lies at the end of a path: a field or a relation of an entity, and the relations that lead there. */
export interface Target {
  readonly hops: readonly Hop[]
  readonly entity: EntityName
  readonly name: string
  /** Undefined when the path ends in a relation. */
  readonly field: Field | undefined
}

export interface Hop {
  readonly from: EntityName
  readonly name: string
  readonly relation: Relation
}

/** Undefined when the entity has no such field or relation, or the way is too long. */
export function resolvePath(entity: EntityName, path: readonly string[]): Target | undefined {
  const last = path.at(-1)
  if (last === undefined || path.length > relationDepthMax + 1) return undefined
  const hops: Hop[] = []
  let current = entity
  for (const name of path.slice(0, -1)) {
    const relation = relationOf(current, name)
    if (relation === undefined) return undefined
    hops.push({ from: current, name, relation })
    current = relation.to
  }
  const field = fieldOf(current, last)
  if (field === undefined && relationOf(current, last) === undefined) return undefined
  return { hops, entity: current, name: last, field }
}

export function fieldOf(entity: EntityName, name: string): Field | undefined {
  const { fields }: Entity = entities[entity]
  return Object.hasOwn(fields, name) ? fields[name] : undefined
}

export function relationOf(entity: EntityName, name: string): Relation | undefined {
  const { relations }: Entity = entities[entity]
  return Object.hasOwn(relations, name) ? relations[name] : undefined
}

/**
 * Checks what the caller's surface has put together against what can be asked.
 *
 * @throws DomainError `invalid_request`, its pointer naming the part that cannot.
 */
export function checkSearch(entity: EntityName, search: Search): void {
  checkConditions(entity, search.conditions)
  checkSort(entity, search.sort)
  checkProjection(entity, search.projection)
  if (!isWithin(search.limit, 1, pageSizeMax)) throw refused('/limit')
  if (!isWithin(search.offset, 0, Number.MAX_SAFE_INTEGER)) throw refused('/offset')
}

/** @throws DomainError `invalid_request`. */
export function checkConditions(entity: EntityName, conditions: readonly Condition[]): void {
  let hops = 0
  let values = 0
  for (const condition of conditions) {
    if (condition.op === 'never') continue
    const target = resolvePath(entity, condition.path)
    if (target === undefined || !isTestable(target, condition)) throw refused('/conditions')
    hops += target.hops.length
    values += condition.op === 'in' ? condition.value.length : 1
  }
  if (conditions.length > conditionsMax || values > valuesMax || hops > hopsMax) {
    throw refused('/conditions')
  }
}

/** @throws DomainError `invalid_request`. */
export function checkProjection(entity: EntityName, projection: Projection): void {
  const count = countRelations(entity, projection, 0)
  if (count > projectedRelationsMax) throw refused('/projection')
}

function checkSort(entity: EntityName, { path }: Sort): void {
  const target = resolvePath(entity, path)
  const isSingle = target?.hops.every(({ relation }) => !relation.isMany) === true
  if (target?.field === undefined || !isSingle) throw refused('/sort')
}

function countRelations(entity: EntityName, { fields, relations }: Projection, depth: number) {
  if (depth > relationDepthMax) throw refused('/projection')
  if (fields.some((name) => fieldOf(entity, name) === undefined)) throw refused('/projection')
  let count = 0
  for (const [name, inner] of Object.entries(relations)) {
    const relation = relationOf(entity, name)
    if (relation === undefined) throw refused('/projection')
    count += 1 + countRelations(relation.to, inner, depth + 1)
  }
  return count
}

function isTestable({ field }: Target, condition: Exclude<Condition, { op: 'never' }>): boolean {
  if (condition.op === 'isNull') return true
  if (field === undefined) return false
  if (condition.op === 'like') return isText(field)
  if (condition.op === 'in') return condition.value.every((value) => fitsKind(field, value))
  if (condition.op !== '=' && condition.op !== '!=') {
    return condition.value !== null && field.kind !== 'flag' && fitsKind(field, condition.value)
  }
  return fitsKind(field, condition.value)
}

export function isText({ kind }: Field): boolean {
  return kind === 'text' || kind === 'folded' || kind === 'id'
}

function fitsKind(field: Field, value: Scalar): boolean {
  if (value === null) return true
  if (isText(field)) return typeof value === 'string'
  if (field.kind === 'flag') return typeof value === 'boolean'
  return typeof value === 'number' && Number.isSafeInteger(value)
}

function isWithin(value: number, min: number, max: number): boolean {
  return Number.isSafeInteger(value) && value >= min && value <= max
}

function refused(pointer: string): DomainError {
  return new DomainError('invalid_request', 'The directory cannot be asked that.', { pointer })
}
