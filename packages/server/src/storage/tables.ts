import { DatabaseSync } from 'node:sqlite'
import { columnTypes } from './dialect.ts'
import { migrations } from './migrations/list.ts'

/** What a column holds, on either engine. */
export type ColumnKind = 'text' | 'integer' | 'bytes'

export interface Column {
  readonly name: string
  readonly kind: ColumnKind
  readonly isNullable: boolean
}

/** A table as the migrations made it. */
export interface Table {
  readonly name: string
  readonly columns: readonly Column[]
  /** The columns of the primary key, in its order; the first one is `tenant_id`. */
  readonly key: readonly string[]
}

const kinds: Readonly<Record<string, ColumnKind>> = {
  TEXT: 'text',
  INTEGER: 'integer',
  BLOB: 'bytes',
}

let described: readonly Table[] | undefined

/**
 * Every table of the newest schema, in the order in which the migrations make them. Read off an empty database that
 * exists for this purpose alone, so that no second list can lag behind the migrations.
 */
export function listTables(): readonly Table[] {
  described ??= describeTables()
  return described
}

function describeTables(): readonly Table[] {
  const db = new DatabaseSync(':memory:')
  try {
    for (const { statements } of migrations) {
      for (const sql of statements(columnTypes.sqlite)) db.exec(sql)
    }
    const names = db.prepare("select name from sqlite_schema where type = 'table' order by rowid")
    return names.all().map(({ name }) => describeTable(db, String(name)))
  } finally {
    db.close()
  }
}

function describeTable(db: DatabaseSync, name: string): Table {
  const rows = db.prepare('select * from pragma_table_info(?)').all(name)
  const columns = rows.map((row): Column => {
    const kind = kinds[String(row.type).toUpperCase()]
    if (kind === undefined) throw new TypeError(`${name}.${row.name} is of no known type.`)
    return { name: String(row.name), kind, isNullable: row.notnull === 0 }
  })
  const key = rows
    .filter(({ pk }) => Number(pk) > 0)
    .toSorted((one, other) => Number(one.pk) - Number(other.pk))
    .map((row) => String(row.name))
  return { name, columns, key }
}
