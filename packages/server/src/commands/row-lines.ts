import { createHash, type Hash } from 'node:crypto'
import type { Value } from '#storage/statement.ts'
import type { Row } from '#storage/table-rows.ts'
import type { Column, ColumnKind, Table } from '#storage/tables.ts'

/** One row as one line of JSON, the same whatever engine it comes from: a list of its values, bytes as base64. */
export function formatRow(table: Table, row: Row): string {
  return JSON.stringify(table.columns.map((column) => encode(column, row[column.name])))
}

/** Reads what {@link formatRow} wrote; undefined for a line that is no row of this table. */
export function parseRow(table: Table, line: string): Row | undefined {
  let values: unknown
  try {
    values = JSON.parse(line)
  } catch {
    return undefined
  }
  if (!Array.isArray(values) || values.length !== table.columns.length) return undefined
  const row: Record<string, Value> = {}
  for (const [index, column] of table.columns.entries()) {
    const value = decode(column, values[index])
    if (value === undefined) return undefined
    row[column.name] = value
  }
  return row
}

/** SHA-256 over rows in order of their key, each as its line and a line feed. */
export class RowsDigest {
  readonly #hash: Hash = createHash('sha256')
  #count = 0

  get count(): number {
    return this.#count
  }

  add(line: string): void {
    this.#hash.update(line).update('\n')
    this.#count += 1
  }

  /** Lower-case hex; ends the computation. */
  end(): string {
    return this.#hash.digest('hex')
  }
}

function encode({ name, kind }: Column, value: Value | undefined): string | number | null {
  if (value === undefined) throw new TypeError(`A row has no ${name}.`)
  if (value === null) return null
  if (kind === 'bytes') return Buffer.from(value as Uint8Array).toString('base64')
  return value as string | number
}

const readers: Readonly<Record<ColumnKind, (value: unknown) => Value | undefined>> = {
  text: (value) => (typeof value === 'string' ? value : undefined),
  integer: (value) => (Number.isSafeInteger(value) ? (value as number) : undefined),
  bytes: (value) => (typeof value === 'string' ? Buffer.from(value, 'base64') : undefined),
}

function decode({ kind, isNullable }: Column, value: unknown): Value | undefined {
  if (value === null) return isNullable ? null : undefined
  return readers[kind](value)
}
