import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Queries } from '#storage/queries.ts'
import type { OtpFactorTable, OtpTokenTable } from '#storage/schema.ts'
import { dynamicStatement, nothing, statement, type Value } from '#storage/statement.ts'
import { asRow, insertFactor, insertToken, type NewToken } from './otp-token-store.ts'

/** Rows of one statement: a round trip to the server is what a row costs otherwise. */
const rowsAtOnce = 50
/** Serials of one search. */
const serialsAtOnce = 500

type Cells = { [name: string]: Value }
type Row = Readonly<Record<string, Value>>

const rowNumbers = Array.from({ length: rowsAtOnce }, (_, index) => index)

/** One row of placeholders; each column's cell is called by its name and the row's number. */
function placeholderRow<Table>(cells: Cells, columns: readonly string[], row: number): Table {
  return Object.fromEntries(columns.map((name) => [name, cells[`${name}${row}`]])) as Table
}

const tokenColumns = [
  'tenant_id',
  'id',
  'product_id',
  'repository_id',
  'serial',
  'identifier',
  'type',
  'algorithm',
  'digits',
  'period_seconds',
  'status',
  'description',
  'origin',
  'confined',
  'starts_at',
  'expires_at',
  'sealed_secret',
  'created_at',
  'updated_at',
] as const satisfies readonly (keyof OtpTokenTable)[]

const factorColumns = [
  'tenant_id',
  'token_id',
  'next_counter',
  'last_step',
  'drift_steps',
  'last_used_at',
  'last_used_by',
] as const satisfies readonly (keyof OtpFactorTable)[]

const insertTokens = statement((db, cells: Cells) =>
  db
    .insertInto('otp_token')
    .values(rowNumbers.map((row) => placeholderRow<OtpTokenTable>(cells, tokenColumns, row)))
    .onConflict((taken) => taken.columns(['tenant_id', 'serial', 'product_id']).doNothing()),
)

const insertFactors = statement((db, cells: Cells) =>
  db
    .insertInto('otp_factor')
    .values(rowNumbers.map((row) => placeholderRow<OtpFactorTable>(cells, factorColumns, row))),
)

/** Many tokens at a time. */
export class TokenImportStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** Which of these serials the product has; the event loop gets its turns in between. */
  async listTaken(
    tenantId: string,
    productId: string,
    serials: readonly string[],
  ): Promise<Set<string>> {
    const taken = new Set<string>()
    for (let start = 0; start < serials.length; start += serialsAtOnce) {
      const some = serials.slice(start, start + serialsAtOnce)
      const search = dynamicStatement((db) =>
        db
          .selectFrom('otp_token')
          .select('serial')
          .where('tenant_id', '=', tenantId)
          .where('serial', 'in', some)
          .where('product_id', '=', productId),
      )
      for (const { serial } of await this.#queries.all(search, nothing)) taken.add(serial)
      await nextTurn()
    }
    return taken
  }

  /**
   * Stores tokens with their moving factors, those excepted whose serial the product has.
   *
   * @param tokens `batchSize` at most, all of one tenant.
   * @returns the ids of those that were stored.
   */
  async insert(tokens: readonly NewToken[]): Promise<Set<string>> {
    const rows = tokens.map(asRow)
    const insertedCount = await this.#insertTokens(rows)
    const stored = new Set(
      insertedCount === tokens.length ? rows.map(({ id }) => id) : await this.#listStored(rows),
    )
    await this.#insertFactors(tokens.filter(({ id }) => stored.has(id)))
    return stored
  }

  async #insertTokens(rows: readonly OtpTokenTable[]): Promise<number> {
    if (rows.length === rowsAtOnce) {
      return this.#queries.run(insertTokens, cellsOf(rows.map((row) => ({ ...row }))))
    }
    let count = 0
    for (const row of rows) count += await this.#queries.run(insertToken, row)
    return count
  }

  async #insertFactors(tokens: readonly NewToken[]): Promise<void> {
    if (tokens.length === rowsAtOnce) {
      await this.#queries.run(insertFactors, cellsOf(tokens.map(factorRow)))
      return
    }
    for (const { tenantId, id, counter, driftSteps } of tokens) {
      const factor = { tenantId, tokenId: id, nextCounter: counter, driftSteps }
      await this.#queries.run(insertFactor, factor)
    }
  }

  async #listStored(rows: readonly OtpTokenTable[]): Promise<string[]> {
    const search = dynamicStatement((db) =>
      db
        .selectFrom('otp_token')
        .select('id')
        .where('tenant_id', '=', rows[0]?.tenant_id ?? '')
        .where(
          'id',
          'in',
          rows.map(({ id }) => id),
        ),
    )
    return (await this.#queries.all(search, nothing)).map(({ id }) => id)
  }
}

/** Tokens of one call of `insert`. */
export const batchSize: number = rowsAtOnce

function factorRow({ tenantId, id, counter, driftSteps }: NewToken): Row {
  return {
    tenant_id: tenantId,
    token_id: id,
    next_counter: counter,
    last_step: -1,
    drift_steps: driftSteps,
    last_used_at: null,
    last_used_by: null,
  }
}

function cellsOf(rows: readonly Row[]): Cells {
  const cells: Cells = {}
  for (const [number, row] of rows.entries()) {
    for (const [name, value] of Object.entries(row)) cells[`${name}${number}`] = value
  }
  return cells
}
