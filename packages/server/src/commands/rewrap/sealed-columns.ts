import type { Place } from '#custody/vault.ts'
import type { Queries } from '#storage/queries.ts'
import { dynamicStatement, statement } from '#storage/statement.ts'

type Sealed =
  | { readonly table: 'otp_token'; readonly row: 'id'; readonly column: 'sealed_secret' }
  | { readonly table: 'signing_key'; readonly row: 'kid'; readonly column: 'sealed_private' }
  | {
      readonly table: 'idempotent_reply'
      readonly row: 'request_key'
      readonly column: 'sealed_body'
    }
  | {
      readonly table: 'cabinet_acl'
      readonly row: 'id'
      readonly column: 'sealed_content'
      readonly rowsAtOnce: number
    }
  | {
      readonly table: 'webhook_endpoint'
      readonly row: 'id'
      readonly column: 'sealed_secret' | 'sealed_previous'
    }
  | {
      readonly table: 'app'
      readonly row: 'name'
      readonly column: 'sealed_credentials'
      readonly rowsAtOnce: number
    }
  | { readonly table: 'otp_list_method'; readonly row: 'name'; readonly column: 'sealed_key' }
  | { readonly table: 'property'; readonly row: 'id'; readonly column: 'sealed_value' }

/** Every column that holds sealed bytes; `row` names the column that the value is bound to. */
export const sealedColumns: readonly Sealed[] = [
  { table: 'otp_token', row: 'id', column: 'sealed_secret' },
  { table: 'signing_key', row: 'kid', column: 'sealed_private' },
  { table: 'idempotent_reply', row: 'request_key', column: 'sealed_body' },
  { table: 'cabinet_acl', row: 'id', column: 'sealed_content', rowsAtOnce: 5 },
  { table: 'webhook_endpoint', row: 'id', column: 'sealed_secret' },
  { table: 'webhook_endpoint', row: 'id', column: 'sealed_previous' },
  { table: 'otp_list_method', row: 'name', column: 'sealed_key' },
  { table: 'app', row: 'name', column: 'sealed_credentials', rowsAtOnce: 20 },
  { table: 'property', row: 'id', column: 'sealed_value' },
]

/** One sealed value and where it is bound to. */
export interface SealedValue {
  readonly place: Place
  readonly sealed: Uint8Array
}

/** Reads and replaces the sealed values of one kind of place. */
export interface SealedPlaces {
  readonly name: string
  /** The next ones of a tenant behind `afterRow`; a row without a value has none. */
  list(
    queries: Queries,
    tenantId: string,
    afterRow: string,
    limit: number,
  ): Promise<{ readonly values: SealedValue[]; readonly lastRow: string | undefined }>
  /** False when the value is no longer the one that was read. */
  replace(queries: Queries, value: SealedValue, sealed: Uint8Array): Promise<boolean>
}

/** The casts: one table's types stand for all, the names come from the list above. */
function columnPlaces(sealed: Sealed): SealedPlaces {
  // Large values are read a few at a time.
  const rowsAtOnce = 'rowsAtOnce' in sealed ? sealed.rowsAtOnce : undefined
  const table = sealed.table as 'otp_token'
  const row = sealed.row as 'id'
  const column = sealed.column as 'sealed_secret'
  const replace = statement(
    (db, p: { tenantId: string; row: string; seen: Uint8Array; sealed: Uint8Array }) =>
      db
        .updateTable(table)
        .set({ [column]: p.sealed })
        .where('tenant_id', '=', p.tenantId)
        .where(row, '=', p.row)
        .where(column, '=', p.seen),
  )
  return {
    name: `${sealed.table}.${sealed.column}`,
    async list(queries, tenantId, afterRow, limit) {
      const rows = await queries.all(
        dynamicStatement((db) =>
          db
            .selectFrom(table)
            .select([`${row} as row`, `${column} as sealed`])
            .where('tenant_id', '=', tenantId)
            .where(row, '>', afterRow)
            .orderBy(row)
            .limit(rowsAtOnce === undefined ? limit : Math.min(limit, rowsAtOnce)),
        ),
        {},
      )
      const values = rows
        .filter((found) => found.sealed !== null)
        .map((found) => ({
          place: { tenantId, table: sealed.table, row: found.row, column: sealed.column },
          sealed: found.sealed,
        }))
      return { values, lastRow: rows.at(-1)?.row }
    },
    async replace(queries, { place, sealed: seen }, next) {
      const parameters = { tenantId: place.tenantId, row: place.row, seen, sealed: next }
      return (await queries.run(replace, parameters)) === 1
    },
  }
}

const sealedFormat = 1
const sealedBytesMin = 33

/** Values of the platform and of tenants, some of which are sealed: as base64, the only ones of that shape. */
const namedValues: SealedPlaces = {
  name: 'platform_value.value',
  async list(queries, tenantId, afterRow, limit) {
    const rows = await queries.all(
      dynamicStatement((db) =>
        db
          .selectFrom('platform_value')
          .select(['name', 'value'])
          .where('tenant_id', '=', tenantId)
          .where('name', '>', afterRow)
          .orderBy('name')
          .limit(limit),
      ),
      {},
    )
    const values = rows.flatMap(({ name, value }): SealedValue[] => {
      const sealed = Buffer.from(value, 'base64')
      const isSealed =
        sealed.length >= sealedBytesMin &&
        sealed[0] === sealedFormat &&
        sealed.toString('base64') === value
      const place = { tenantId, table: 'platform_value', row: name, column: 'value' }
      return isSealed ? [{ place, sealed }] : []
    })
    return { values, lastRow: rows.at(-1)?.name }
  },
  async replace(queries, { place, sealed: seen }, next) {
    const parameters = {
      tenantId: place.tenantId,
      name: place.row,
      seen: Buffer.from(seen).toString('base64'),
      value: Buffer.from(next).toString('base64'),
    }
    return (await queries.run(replaceNamed, parameters)) === 1
  },
}

const replaceNamed = statement(
  (db, p: { tenantId: string; name: string; seen: string; value: string }) =>
    db
      .updateTable('platform_value')
      .set({ value: p.value })
      .where('tenant_id', '=', p.tenantId)
      .where('name', '=', p.name)
      .where('value', '=', p.seen),
)

/** Everywhere that a tenant's data key has sealed something. */
export const allSealedPlaces: readonly SealedPlaces[] = [
  ...sealedColumns.map(columnPlaces),
  namedValues,
]
