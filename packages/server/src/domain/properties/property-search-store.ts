import { setImmediate as nextTurn } from 'node:timers/promises'
import {
  column,
  type Fragment,
  fragment,
  fragmentStatement,
  joined,
  tableAs,
} from '#storage/fragment.ts'
import type { Queries } from '#storage/queries.ts'
import { dynamicStatement, nothing } from '#storage/statement.ts'
import type { Condition } from '../conditions/condition.ts'
import { type Comparison, compareField, compileCondition } from '../conditions/condition-store.ts'
import { DomainError } from '../errors.ts'
import type { PropertyOwner, StoredProperty } from './property.ts'
import { type NameRange, namesOf } from './property-names.ts'
import { asProperty, visibilitiesFor } from './property-store.ts'
import { type OrderedType, orderedTypes, orderKey } from './property-value.ts'
import { SearchPace } from './search-pace.ts'

export interface PropertySearch {
  readonly condition: Condition | undefined
  /** From 0. */
  readonly offset: number
  readonly limit: number
}

export interface FoundProperties {
  readonly items: readonly StoredProperty[]
  /** Of all pages. */
  readonly totalCount: number
}

/** Names that one statement looks at, of those that can fit. */
interface Window extends NameRange {
  readonly afterName: string | undefined
  readonly lastName?: string | undefined
}

/** Rows that the first statement looks at: names only, values, values in which texts are looked for. */
const firstWindow = { names: 2_000, values: 200, texts: 4 }
/** Of all texts that are looked for in values: to find one takes as long as it is, at each of 16,384 bytes. */
const textCharactersMax = 256
/** For a filter that was made to take long; others end long before. */
const searchMsMax = 10_000

const portalVisibilities = visibilitiesFor('EXTERNAL')

const id = column('p', 'id')
const name = column('p', 'name')
const type = column('p', 'type')

const fields = { id, name, value: compareValue }

/** Searches the properties of one owner by conditions. */
export class PropertySearchStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /**
   * Those that the portal may see, by id. Fields: id, name, value (by the type of each property; sealed ones fit nothing).
   * The index of names is read, a window at a time, no further than the condition's names reach.
   *
   * @throws DomainError `invalid_request` for a condition that cannot be asked; `unavailable` for one that takes too long.
   */
  async searchForPortal(
    owner: PropertyOwner,
    { condition, offset, limit }: PropertySearch,
  ): Promise<FoundProperties> {
    const fits = [
      fragment`${column('p', 'visibility')} in (${joined(portalVisibilities)})`,
      ...(condition === undefined ? [] : [compileCondition(condition, fields)]),
    ]
    const pace = new SearchPace(firstWindow[effortOf(condition)])
    const names = namesOf(condition)
    const endsAtMs = performance.now() + searchMsMax
    const found: string[] = []
    let afterName: string | undefined
    for (;;) {
      const startedAtMs = performance.now()
      if (startedAtMs > endsAtMs) throw new DomainError('unavailable', 'The search takes too long.')
      const lastName = await this.#lastName(owner, { ...names, afterName }, pace.size)
      const window = { ...names, afterName, lastName }
      found.push(...(await this.#ids([...ownedBy(owner), ...within(window), ...fits])))
      pace.took(performance.now() - startedAtMs)
      if (lastName === undefined) break
      afterName = lastName
      await nextTurn()
    }
    const page = found.sort().slice(offset, offset + limit)
    return { items: await this.#load(owner.tenantId, page), totalCount: found.length }
  }

  /** The last name of a full window; undefined where fewer are left. Read off the index alone. */
  async #lastName(
    { tenantId, userId, deviceId }: PropertyOwner,
    { from, before, afterName }: Window,
    size: number,
  ): Promise<string | undefined> {
    const row = await this.#queries.first(
      dynamicStatement((db) =>
        db
          .selectFrom('property')
          .select('name')
          .where('tenant_id', '=', tenantId)
          .where('user_id', '=', userId)
          .where('device_id', '=', deviceId ?? '')
          .where('name', afterName === undefined ? '>=' : '>', afterName ?? from)
          .$if(before !== undefined, (names) => names.where('name', '<', before ?? ''))
          .orderBy('name')
          .limit(1)
          .offset(size - 1),
      ),
      nothing,
    )
    return row?.name
  }

  /** Rows are looked up only where the name fits: the index has it. */
  async #ids(conditions: readonly Fragment[]): Promise<string[]> {
    const rows = await this.#queries.all(
      fragmentStatement<{ id: string }>(
        fragment`(select ${id} from ${tableAs('property', 'p')} where ${all(conditions)})`,
      ),
      nothing,
    )
    return rows.map((row) => row.id)
  }

  async #load(tenantId: string, ids: readonly string[]): Promise<StoredProperty[]> {
    if (ids.length === 0) return []
    const rows = await this.#queries.all(
      dynamicStatement((db) =>
        db
          .selectFrom('property')
          .selectAll()
          .where('tenant_id', '=', tenantId)
          .where('id', 'in', [...ids])
          .orderBy('id'),
      ),
      nothing,
    )
    return rows.map(asProperty)
  }
}

function within({ from, before, afterName, lastName }: Window): Fragment[] {
  return [
    afterName === undefined ? fragment`${name} >= ${from}` : fragment`${name} > ${afterName}`,
    ...(before === undefined ? [] : [fragment`${name} < ${before}`]),
    ...(lastName === undefined ? [] : [fragment`${name} <= ${lastName}`]),
  ]
}

function ownedBy({ tenantId, userId, deviceId }: PropertyOwner): Fragment[] {
  return [
    fragment`${column('p', 'tenant_id')} = ${tenantId}`,
    fragment`${column('p', 'user_id')} = ${userId}`,
    fragment`${column('p', 'device_id')} = ${deviceId ?? ''}`,
  ]
}

function all(conditions: readonly Fragment[]): Fragment {
  return joined(conditions, fragment` and `)
}

/** @throws DomainError `invalid_request` for too many characters to look for. */
function effortOf(condition: Condition | undefined): keyof typeof firstWindow {
  const ofValues = comparisonsOf(condition).filter(({ field }) => field === 'value')
  const texts = ofValues.flatMap((one) => (one.op === 'like' ? [one.pattern] : []))
  if (texts.join('').length > textCharactersMax) {
    const message = `ParsingError: no more than ${textCharactersMax} characters are looked for in values.`
    const fault = { pointer: 'query:filter', code: 'bad_format', message }
    throw new DomainError('invalid_request', message, { faults: [fault] })
  }
  if (texts.length > 0) return 'texts'
  return ofValues.length > 0 ? 'values' : 'names'
}

function comparisonsOf(condition: Condition | undefined): readonly Comparison[] {
  if (condition === undefined) return []
  return 'conditions' in condition ? condition.conditions.flatMap(comparisonsOf) : [condition]
}

/**
 * A value is compared as the type of its property says; what does not fit the type fits no property of it. Operators of
 * texts look at the text of any type. Sealed values are null here, and so fit nothing.
 */
function compareValue(comparison: Comparison): Fragment {
  const text = column('p', 'value')
  if (comparison.op === 'like') return compareField(comparison, text)
  if ('value' in comparison && comparison.value === null) {
    // No property is without a value.
    return comparison.op === '=' ? fragment`1 = 0` : fragment`${text} is not null`
  }
  const ordered = orderedTypes.flatMap((one) => {
    const byKey = comparisonOfKeys(comparison, one)
    if (byKey === undefined) return []
    return [fragment`(${type} = ${one} and ${compareField(byKey, column('p', 'order_key'))})`]
  })
  const others = fragment`(${type} not in (${joined(orderedTypes)}) and ${compareField(comparison, text)})`
  return fragment`(${joined([others, ...ordered], fragment` or `)})`
}

/** Undefined when no property of the type can fit. */
function comparisonOfKeys(comparison: Comparison, of: OrderedType): Comparison | undefined {
  const keyOf = (value: unknown) => orderKey(of, String(value))
  switch (comparison.op) {
    case 'like':
      return undefined
    case 'in':
    case 'not in': {
      const { op, field } = comparison
      const keys = comparison.values.map(keyOf)
      const values = keys.filter((key) => key !== undefined)
      // To be none of some values is to differ from each, and nothing of this type differs from a value of another.
      if (values.length === 0 || (op === 'not in' && values.length < keys.length)) return undefined
      return { op, field, values }
    }
    default: {
      const { op, field } = comparison
      const value = keyOf(comparison.value)
      return value === undefined ? undefined : { op, field, value }
    }
  }
}
