import type { SqliteConnection } from './sqlite-connection.ts'

const rowCount = 1_000_000
const tenantColumn = 'tenant_id'

interface IndexRow {
  readonly table_name: string
  readonly index_name: string
  readonly is_unique: number
  readonly origin: string
  readonly is_without_rowid: number
  readonly columns: string
}

/**
 * Tells the planner once and for all what our tables are like: large, and mostly one tenant's. Left to itself it takes
 * ten rows for a tenant's share, and reads all of a tenant rather than follow a second index. Fixed statistics
 * (sqlite.org/optoverview.html, "manual control") make every plan the same on an empty and on a full database.
 */
export function fixStatistics(connection: SqliteConnection): void {
  // Makes the table of statistics; it cannot be made by hand.
  connection.exec('analyze')
  connection.exec('delete from sqlite_stat1')
  for (const index of listIndexes(connection)) {
    // The primary key of a table without rowid goes by the table's name.
    const isTable = index.origin === 'pk' && index.is_without_rowid === 1
    const name = isTable ? index.table_name : index.index_name
    connection.exec(
      `insert into sqlite_stat1 (tbl, idx, stat) values ('${index.table_name}', '${name}', '${statisticsOf(index)}')`,
    )
  }
  connection.exec('analyze sqlite_schema')
}

function listIndexes(connection: SqliteConnection): IndexRow[] {
  return connection.rows(`
    select t.name as table_name, i.name as index_name, i."unique" as is_unique, i.origin as origin,
      (select l.wr from pragma_table_list l where l.name = t.name) as is_without_rowid,
      (select group_concat(c.name) from pragma_index_info(i.name) c) as columns
    from sqlite_schema t, pragma_index_list(t.name) i
    where t.type = 'table' and t.name not like 'sqlite_%'`) as unknown as IndexRow[]
}

/** Rows in all, then how many share the first column, the first two, and so on. */
function statisticsOf({ is_unique, columns }: IndexRow): string {
  const names = columns.split(',')
  const shares = names.map((name, position) => {
    if (position === 0 && name === tenantColumn && names.length > 1) return rowCount
    return position === names.length - 1 && is_unique === 1 ? 1 : 10
  })
  return [rowCount, ...shares].join(' ')
}
