import {
  column,
  type Fragment,
  fragment,
  fragmentStatement,
  joined,
  named,
  tableAs,
} from '#storage/fragment.ts'
import type { Queries } from '#storage/queries.ts'
import { nothing } from '#storage/statement.ts'
import { DomainError } from '../errors.ts'
import type { EntityName } from './directory.ts'
import {
  compileConditions,
  isNarrow,
  type QueryScope,
  relationSource,
  sortExpression,
} from './directory-conditions-store.ts'
import {
  type Condition,
  type DirectoryRow,
  fieldOf,
  type Projection,
  relationOf,
  rowsReadMax,
  type Scalar,
} from './directory-query.ts'
import { columnsOfRelation, expressionOf, tableOf } from './directory-tables-store.ts'

/** One match: its id, and the key by which the search is sorted. */
export interface Match {
  readonly id: string
  readonly sortKey: Scalar
}

/** Ids behind `after` up to `until`, both in order of id; undefined: all. */
export interface Window {
  readonly after: string
  /** Undefined: to the end. */
  readonly until: string | undefined
}

/** Keys of one statement; both engines take more values than this. */
const keysPerStatement = 1_000

interface LoadedRow extends DirectoryRow {
  readonly fields: Record<string, Scalar>
  readonly one: Record<string, DirectoryRow | null>
  readonly many: Record<string, DirectoryRow[]>
  /** Values of the columns over which relations are followed. */
  readonly keys: Readonly<Record<string, string | null>>
}

type RawRow = Readonly<Record<string, string | number | null>>

/** Reads the graph of tokens, users and what belongs to them. A page costs one statement for each relation asked for. */
export class DirectoryStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** True when the conditions lead to few rows, which need no windows. */
  isNarrow(entity: EntityName, conditions: readonly Condition[]): boolean {
    return conditions.some((condition) => isNarrow(entity, condition))
  }

  /** The id at the end of the next `size` objects; undefined when fewer are left. */
  async windowEnd(
    { tenantId }: QueryScope,
    entity: EntityName,
    after: string,
    size: number,
  ): Promise<string | undefined> {
    const { table, idColumn } = tableOf(entity)
    const id = column('x', idColumn)
    const query = fragment`(select ${named(id, 'id')} from ${tableAs(table, 'x')}
      where ${column('x', 'tenant_id')} = ${tenantId} and ${id} > ${after}
      order by ${id} limit 1 offset ${size - 1})`
    return (await this.#queries.first(fragmentStatement<{ id: string }>(query), nothing))?.id
  }

  /** The matches of a window, in order of id; at most `limit`. */
  async listMatches(
    scope: QueryScope,
    entity: EntityName,
    search: { conditions: readonly Condition[]; sortPath: readonly string[] },
    window: Window | undefined,
    limit: number,
  ): Promise<Match[]> {
    const { table, idColumn } = tableOf(entity)
    const id = column('x', idColumn)
    const tests = [compileConditions(scope, entity, 'x', search.conditions)]
    if (window !== undefined) tests.push(fragment`${id} > ${window.after}`)
    if (window?.until !== undefined) tests.push(fragment`${id} <= ${window.until}`)
    const sortKey = sortExpression(scope, entity, 'x', search.sortPath)
    const query = fragment`(select ${named(id, 'id')}, ${named(sortKey, 'sort_key')}
      from ${tableAs(table, 'x')} where ${joined(tests, fragment` and `)}
      order by ${id} limit ${limit})`
    const rows = await this.#queries.all(
      fragmentStatement<{ id: string; sort_key: string | number | null }>(query),
      nothing,
    )
    return rows.map((row) => ({ id: row.id, sortKey: row.sort_key }))
  }

  /** The first matches in order of id, for conditions that are narrow: one statement, and one for each relation. */
  async loadMatching(
    scope: QueryScope,
    entity: EntityName,
    conditions: readonly Condition[],
    projection: Projection,
    limit: number,
  ): Promise<DirectoryRow[]> {
    const source = fragment`from ${tableAs(tableOf(entity).table, 'x')}
      where ${compileConditions(scope, entity, 'x', conditions)}`
    return new Loader(this.#queries, scope).loadFirst(entity, source, projection, limit)
  }

  /**
   * The objects with these ids, in this order; those that are gone are left out.
   *
   * @throws DomainError `limit_reached` when the projection leads to too many objects.
   */
  async load(
    scope: QueryScope,
    entity: EntityName,
    ids: readonly string[],
    projection: Projection,
  ): Promise<DirectoryRow[]> {
    const loader = new Loader(this.#queries, scope)
    const rows = await loader.loadKeyed(entity, tableOf(entity).idColumn, ids, projection)
    return ids.flatMap((id) => rows.get(id) ?? [])
  }
}

/** Loads one answer, level by level. */
class Loader {
  readonly #queries: Queries
  readonly #scope: QueryScope
  #rowsLeft = rowsReadMax

  constructor(queries: Queries, scope: QueryScope) {
    this.#queries = queries
    this.#scope = scope
  }

  /** Objects by the value of a column that is unique. */
  async loadKeyed(
    entity: EntityName,
    keyColumn: string,
    keys: readonly string[],
    projection: Projection,
  ): Promise<ReadonlyMap<string, LoadedRow>> {
    const source = fragment`from ${tableAs(tableOf(entity).table, 'x')}
      where ${column('x', 'tenant_id')} = ${this.#scope.tenantId}`
    const raws = await this.#read(entity, source, column('x', keyColumn), keys, projection)
    const rows = new Map(raws.map((raw) => [String(raw.owner), toRow(entity, raw, projection)]))
    await this.#follow(entity, [...rows.values()], projection)
    return rows
  }

  /** The first objects of a source, in order of id. */
  async loadFirst(
    entity: EntityName,
    source: Fragment,
    projection: Projection,
    limit: number,
  ): Promise<LoadedRow[]> {
    const selected = joined(this.#columns(entity, projection))
    const order = column('x', tableOf(entity).idColumn)
    const query = fragment`(select ${selected} ${source} order by ${order} limit ${limit})`
    const raws = await this.#queries.all(fragmentStatement<RawRow>(query), nothing)
    const rows = raws.map((raw) => toRow(entity, raw, projection))
    await this.#follow(entity, rows, projection)
    return rows
  }

  async #follow(
    entity: EntityName,
    rows: readonly LoadedRow[],
    { relations }: Projection,
  ): Promise<void> {
    for (const [name, inner] of Object.entries(relations)) {
      const relation = relationOf(entity, name)
      if (relation === undefined) throw new Error('A projection was not checked.')
      if (relation.isMany) await this.#followMany(entity, rows, name, relation.to, inner)
      else await this.#followOne(entity, rows, name, relation.to, inner)
    }
  }

  async #followOne(
    entity: EntityName,
    rows: readonly LoadedRow[],
    name: string,
    to: EntityName,
    inner: Projection,
  ): Promise<void> {
    const { targetColumn } = columnsOfRelation(entity, name)
    const targets = await this.loadKeyed(to, targetColumn, keysOf(rows, name), inner)
    for (const row of rows) row.one[name] = targets.get(row.keys[name] ?? '') ?? null
  }

  async #followMany(
    entity: EntityName,
    rows: readonly LoadedRow[],
    name: string,
    to: EntityName,
    inner: Projection,
  ): Promise<void> {
    const { source, key } = relationSource(this.#scope, entity, name, 'x')
    const raws = await this.#read(to, source, key, keysOf(rows, name), inner)
    const members = new Map<string, LoadedRow>()
    const groups = new Map<string, LoadedRow[]>()
    for (const raw of raws) {
      const member = members.get(String(raw.id)) ?? toRow(to, raw, inner)
      members.set(member.id, member)
      const group = groups.get(String(raw.owner))
      if (group === undefined) groups.set(String(raw.owner), [member])
      else group.push(member)
    }
    for (const row of rows) row.many[name] = groups.get(row.keys[name] ?? '') ?? []
    await this.#follow(to, [...members.values()], inner)
  }

  /** Rows with the fields and keys of a projection, and `owner`: the key by which they were asked for. */
  async #read(
    entity: EntityName,
    source: Fragment,
    key: Fragment,
    keys: readonly string[],
    projection: Projection,
  ): Promise<RawRow[]> {
    const selected = joined([named(key, 'owner'), ...this.#columns(entity, projection)])
    const order = column('x', tableOf(entity).idColumn)
    const all: RawRow[] = []
    for (let start = 0; start < keys.length; start += keysPerStatement) {
      const some = keys.slice(start, start + keysPerStatement)
      const query = fragment`(select ${selected} ${source} and ${key} in (${joined(some)})
        order by ${order} limit ${this.#rowsLeft + 1})`
      const rows = await this.#queries.all(fragmentStatement<RawRow>(query), nothing)
      this.#rowsLeft -= rows.length
      if (this.#rowsLeft < 0) {
        throw new DomainError('limit_reached', 'The answer would hold too many objects.')
      }
      all.push(...rows)
    }
    return all
  }

  #columns(entity: EntityName, { fields, relations }: Projection): Fragment[] {
    const expression = (name: string) => expressionOf(entity, name)('x', this.#scope)
    return [
      named(expression('id'), 'id'),
      ...[...new Set(fields)].map((name) => named(expression(name), `f_${name}`)),
      ...Object.keys(relations).map((name) =>
        named(column('x', columnsOfRelation(entity, name).ownColumn), `k_${name}`),
      ),
    ]
  }
}

function keysOf(rows: readonly LoadedRow[], name: string): string[] {
  const keys = new Set<string>()
  for (const row of rows) {
    const key = row.keys[name]
    if (key !== null && key !== undefined) keys.add(key)
  }
  return [...keys]
}

function toRow(entity: EntityName, raw: RawRow, { fields, relations }: Projection): LoadedRow {
  const values: Record<string, Scalar> = {}
  for (const name of fields) {
    const value = raw[`f_${name}`] ?? null
    const isFlag = fieldOf(entity, name)?.kind === 'flag' && value !== null
    values[name] = isFlag ? value === 1 : value
  }
  const keys: Record<string, string | null> = {}
  for (const name of Object.keys(relations)) {
    const key = raw[`k_${name}`] ?? null
    keys[name] = key === null ? null : String(key)
  }
  return { id: String(raw.id), fields: values, one: {}, many: {}, keys }
}
