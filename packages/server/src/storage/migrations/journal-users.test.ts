import { DatabaseSync } from 'node:sqlite'
import { Client } from 'pg'
import { expect, test } from 'vitest'
import { createPlace, engines } from '#test/storage/databases.ts'
import { columnTypes } from '../dialect.ts'
import { clientConfig } from '../postgres-connection.ts'
import { nothing, statement } from '../statement.ts'
import { migrations, versionTable } from './list.ts'

/** Runs statements beside the storage, as an older release would have. */
async function runPlain(url: string, statements: readonly string[]): Promise<void> {
  if (url.startsWith('sqlite:')) {
    const db = new DatabaseSync(url.slice('sqlite:'.length))
    for (const sql of statements) db.exec(sql)
    db.close()
    return
  }
  const client = new Client(clientConfig(url))
  await client.connect()
  for (const sql of statements) await client.query(sql)
  await client.end()
}

const listed = statement((db) =>
  db.selectFrom('journal_user').select(['tenant_id', 'user_id', 'seq']).orderBy('seq'),
)

test.each(engines)(
  'records of an older release are listed when it is brought up to date, on %s',
  async (engine) => {
    await using place = await createPlace(engine)
    const older = migrations.filter(({ version }) => version < 18)
    const record = (tenant: string, seq: number, user: string) =>
      `insert into journal_record (tenant_id, seq, id, action, outcome, surface, user_id, at, body, hash)
     values ('${tenant}', ${seq}, 'id-${tenant}-${seq}', 'a.b', 'SUCCESS', 'native', ${user}, 1, '{}', 'h')`
    await runPlain(place.url, [
      `create table ${versionTable} (version integer not null primary key)`,
      ...older.flatMap(({ version, statements }) => [
        ...statements(columnTypes[engine]),
        `insert into ${versionTable} (version) values (${version})`,
      ]),
      record('one', 1, "'bob'"),
      record('one', 2, 'null'),
      record('one', 3, "'alice'"),
      record('two', 1, 'null'),
    ])
    const database = place.open()
    await database.migrate()
    expect(await database.reader.all(listed, nothing)).toEqual([
      { tenant_id: 'one', user_id: 'bob', seq: 1 },
      { tenant_id: 'one', user_id: 'alice', seq: 3 },
    ])
    const values = statement((db) =>
      db.selectFrom('platform_value').select(['tenant_id', 'name', 'value']).orderBy('tenant_id'),
    )
    expect(await database.reader.all(values, nothing)).toEqual([
      { tenant_id: 'one', name: 'journal-users', value: '3' },
      { tenant_id: 'two', name: 'journal-users', value: '1' },
    ])
  },
)
