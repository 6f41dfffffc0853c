import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { purgedTables } from '#domain/tenants/tenant-purge-store.ts'
import { createTestDatabase, type TestDatabase } from '#test/support/postgres.ts'
import { createTestStorage } from '#test/support/storage.ts'
import { countRows, insertMissing, lastKey, type Row, rowsOf } from './table-rows.ts'
import { listTables, type Table } from './tables.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await createTestDatabase()
})

afterAll(() => database.drop())

const postgresKinds: Readonly<Record<string, string>> = {
  text: 'text',
  bigint: 'integer',
  bytea: 'bytes',
}

/** What PostgreSQL itself says of the tables that the same migrations made there. */
async function postgresTables(url: string): Promise<Map<string, Table>> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    const columns = await client.query<Record<string, string>>(
      `select table_name, column_name, data_type, is_nullable from information_schema.columns
       where table_schema = 'public' order by table_name, ordinal_position`,
    )
    const keys = await client.query<Record<string, string>>(
      `select c.table_name, k.column_name from information_schema.table_constraints c
       join information_schema.key_column_usage k using (constraint_schema, constraint_name)
       where c.constraint_type = 'PRIMARY KEY' order by k.ordinal_position`,
    )
    const tables = new Map<string, Table>()
    for (const { table_name: name = '' } of columns.rows) {
      tables.set(name, {
        name,
        columns: columns.rows
          .filter((row) => row.table_name === name)
          .map((row) => ({
            name: row.column_name ?? '',
            kind: (postgresKinds[row.data_type ?? ''] ?? 'none') as 'text',
            isNullable: row.is_nullable === 'YES',
          })),
        key: keys.rows.filter((row) => row.table_name === name).map((row) => row.column_name ?? ''),
      })
    }
    return tables
  } finally {
    await client.end()
  }
}

describe('the list of tables', () => {
  test('has every table of the schema, and its key as the removal of tenants knows it', () => {
    const others = listTables().filter(({ name }) => name !== 'tenant')
    expect(Object.fromEntries(others.map(({ name, key }) => [name, key.slice(1)]))).toEqual(
      purgedTables,
    )
  })

  test('every primary key begins with the tenant', () => {
    expect(listTables().filter(({ key }) => key[0] !== 'tenant_id')).toEqual([])
  })

  test('PostgreSQL has the same columns, in the same order, of the same kinds and with the same keys', async () => {
    await using _ = await createTestStorage({ url: database.url })
    const made = await postgresTables(database.url)
    made.delete('schema_version')
    expect([...made.keys()].sort()).toEqual(
      listTables()
        .map(({ name }) => name)
        .sort(),
    )
    for (const table of listTables()) expect(made.get(table.name)).toEqual(table)
  })
})

describe.each(['sqlite', 'postgres'] as const)('rows of any table on %s', (engine) => {
  const table = listTables().find(({ name }) => name === 'otp_token') as Table

  function row(tenantId: string, id: string): Row {
    const values: Record<string, Row[string]> = {}
    for (const { name, kind, isNullable } of table.columns) {
      values[name] = isNullable ? null : kind === 'integer' ? 2 ** 53 - 1 : `${name} 'ü€😀"`
    }
    return { ...values, tenant_id: tenantId, id, serial: id, sealed_secret: everyByte }
  }

  const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))

  test('come back exactly as they were written, in order of the bytes of their keys, each once', async () => {
    await using bench = await createTestStorage(engine === 'postgres' ? { url: database.url } : {})
    const ids = [
      'Z',
      'a',
      'é',
      '😀',
      'z',
      'ﬀ',
      'aa',
      ...Array.from({ length: 1_200 }, (_, i) => `n${i}`),
    ]
    const rows = ['b', 'B'].flatMap((tenantId) => ids.map((id) => row(tenantId, id)))
    for (let start = 0; start < rows.length; start += 400) {
      const batch = rows.slice(start, start + 400)
      await bench.database.transaction((queries) => insertMissing(queries, table, batch))
    }
    const read: Row[] = []
    for await (const page of rowsOf(bench.database.reader, table)) read.push(...page)
    const inOrder = rows.toSorted((one, other) =>
      Buffer.compare(
        Buffer.from(`${one.tenant_id}\0${one.id}`),
        Buffer.from(`${other.tenant_id}\0${other.id}`),
      ),
    )
    expect(read.length).toBe(inOrder.length)
    expect(read.map(({ tenant_id, id }) => `${tenant_id} ${id}`)).toEqual(
      inOrder.map(({ tenant_id, id }) => `${tenant_id} ${id}`),
    )
    const [first] = read
    expect({ ...first, sealed_secret: Buffer.from(first?.sealed_secret as Uint8Array) }).toEqual(
      inOrder[0],
    )
    expect(await countRows(bench.database.reader, table)).toBe(rows.length)
    expect(await lastKey(bench.database.reader, table)).toEqual({ tenant_id: 'b', id: '😀' })

    const changed = { ...row('b', 'Z'), description: 'another' }
    expect(
      await bench.database.transaction((queries) => insertMissing(queries, table, [changed])),
    ).toBe(0)
  })
})
