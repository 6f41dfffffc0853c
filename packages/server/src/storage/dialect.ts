/** The engines. Whatever differs between them is decided in this folder and nowhere else. */
export type Engine = 'sqlite' | 'postgres'

/** How a migration spells column types on one engine. */
export interface ColumnTypes {
  /** Text that compares and sorts by bytes on both engines. */
  readonly text: string
  /** 64-bit integer. */
  readonly integer: string
  readonly bytes: string
  /** What follows the closing bracket of `create table`. */
  readonly tableOptions: string
  /** The same for tables with rows of about 1,000 bytes or more: SQLite would put each of them on a page of its own. */
  readonly largeRowOptions: string
  /** What follows the columns of an index that is to answer without the row, where the engine can keep more in it. */
  readonly including: (columns: string) => string
}

export const columnTypes: Record<Engine, ColumnTypes> = {
  sqlite: {
    text: 'text',
    integer: 'integer',
    bytes: 'blob',
    tableOptions: ' strict, without rowid',
    largeRowOptions: ' strict',
    including: () => '',
  },
  postgres: {
    text: 'text collate "C"',
    integer: 'bigint',
    bytes: 'bytea',
    tableOptions: '',
    largeRowOptions: '',
    including: (columns) => ` include (${columns})`,
  },
}
