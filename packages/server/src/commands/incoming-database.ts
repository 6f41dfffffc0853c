import { openDatabase } from '#storage/database.ts'
import type { Database, Queries } from '#storage/queries.ts'
import { insertMissing, lastKey, type Row } from '#storage/table-rows.ts'
import { listTables, type Table } from '#storage/tables.ts'
import { CommandError, exitCodes } from './failure.ts'
import { type InspectionOptions, summarise, type TableSummary } from './inspection.ts'
import { masterKeyCheckKey, storesOf, unfinishedMark } from './installation.ts'
import type { DatabaseReference } from './settings.ts'

/**
 * A database that is being filled from a copy or a backup. It begins empty; until `finish` a mark stands in place of the
 * master key's check value, which keeps servers away and tells a repeated command that it may go on.
 */
export class IncomingDatabase implements AsyncDisposable {
  readonly #database: Database
  readonly #mark: string
  /** True when an interrupted run of the same work is taken up again. */
  readonly isResumed: boolean

  /**
   * Opens the target, brings its schema up to date and marks it.
   *
   * @param origin names what it is filled from; only work of the same origin may be taken up again.
   * @throws CommandError when the target holds anything else.
   */
  static async open(target: DatabaseReference, origin: string): Promise<IncomingDatabase> {
    const database = openDatabase(target.url)
    try {
      await database.migrate()
      const mark = unfinishedMark(origin)
      const found = await storesOf(database.reader).platformValues.find(masterKeyCheckKey)
      const isResumed = found === mark
      if (!isResumed) {
        await requireEmpty(database.reader, target.name)
        await database.transaction((queries) =>
          storesOf(queries).platformValues.insert(masterKeyCheckKey, mark),
        )
      }
      return new IncomingDatabase(database, mark, isResumed)
    } catch (error) {
      await database.close()
      throw error
    }
  }

  private constructor(database: Database, mark: string, isResumed: boolean) {
    this.#database = database
    this.#mark = mark
    this.isResumed = isResumed
  }

  get reader(): Queries {
    return this.#database.reader
  }

  /** Writes rows in one transaction; those that are there already are left alone, and so is the mark. */
  async insert(table: Table, rows: readonly Row[]): Promise<void> {
    const others = rows.filter((row) => !this.isMarked(table, row))
    if (others.length === 0) return
    await this.#database.transaction((queries) => insertMissing(queries, table, others))
  }

  /** Behind which row a table is still to be filled. The mark's own table is small, and filled again from its start. */
  async filledUpTo(table: Table): Promise<Row | undefined> {
    return table.name === markedTable ? undefined : lastKey(this.reader, table)
  }

  /** True for the row that holds the mark, or that it stands for. */
  isMarked(table: Table, row: Row): boolean {
    return (
      table.name === markedTable &&
      row.tenant_id === masterKeyCheckKey.tenantId &&
      row.name === masterKeyCheckKey.name
    )
  }

  /** Summarises what is in it, with the true check value where the mark stands. */
  summarise({
    check,
    ...options
  }: Omit<InspectionOptions, 'replace'> & { check: string }): Promise<TableSummary[]> {
    const replace = (table: Table, row: Row): Row =>
      this.isMarked(table, row) ? { ...row, value: check } : row
    return summarise(this.reader, { ...options, replace })
  }

  /** Puts the true check value in the place of the mark: from now on servers may start. */
  async finish(check: string): Promise<void> {
    const isDone = await this.#database.transaction((queries) =>
      storesOf(queries).platformValues.replace(masterKeyCheckKey, {
        seen: this.#mark,
        value: check,
      }),
    )
    if (!isDone) throw new CommandError(exitCodes.failure, 'The target was changed meanwhile.')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#database.close()
  }
}

const markedTable = 'platform_value'

async function requireEmpty(queries: Queries, name: string): Promise<void> {
  for (const table of listTables()) {
    if ((await lastKey(queries, table)) === undefined) continue
    throw new CommandError(
      exitCodes.badData,
      `${name} is not empty: ${table.name} has rows. Nothing was changed.`,
    )
  }
}
