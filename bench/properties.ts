/**
 * A page of 20 of a user's properties with a filter on their names, over HTTP, where the tenant has a million of them and
 * each user as many as a user may have: 10,000.
 *
 *     node bench/properties.ts [--json] [--rounds 5] [--lists 100] [--rows 1000000] [--engines sqlite,postgres]
 */

import { Client } from 'pg'
import { firstUlidAt } from '../packages/server/src/domain/ulid.ts'
import { openDatabase } from '../packages/server/src/storage/database.ts'
import { insertMissing, type Row } from '../packages/server/src/storage/table-rows.ts'
import { listTables } from '../packages/server/src/storage/tables.ts'
import { platformAdmin } from '../packages/server/test/support/core.ts'
import { PostgresServer, TemporaryFolder } from './support/databases.ts'
import { tenantId, withCore } from './support/installation.ts'
import { calibrationRange, type Figure, note, print, readOptions } from './support/report.ts'
import { interleave, median } from './support/rounds.ts'
import { Server } from './support/server.ts'

const perUser = 10_000
const batchSize = 500
const atMost = 20
const filters = { beginning: 'name ^= "group-42."', within: 'name *= "42.item"' }
type Filter = keyof typeof filters

const options = readOptions({ rounds: 5, lists: 100, rows: 1_000_000 }, ['engines'])
const {
  rounds: roundCount = 5,
  lists: listCount = 100,
  rows: rowCount = 1_000_000,
} = options.numbers
const userCount = Math.max(1, Math.floor(rowCount / perUser))

/** Makes users, an account for the portal, and the properties. @returns the account's secret. */
async function fill(databaseUrl: string): Promise<string> {
  const secret = await withCore(databaseUrl, async ({ core, platform }) => {
    await platform.ensurePlatform()
    await core.tenants.create(platformAdmin, { id: tenantId, name: 'Benchmark' })
    for (let number = 0; number < userCount; number++) {
      const id = `user-${number}`
      await core.users.create(platformAdmin, tenantId, { id, loginName: id })
    }
    const account = { tenantId, scopes: ['ast:read' as const] }
    return (await core.serviceAccounts.create(platformAdmin, account)).secret
  })
  const table = listTables().find(({ name }) => name === 'property')
  if (table === undefined) throw new Error('There is no table of properties.')
  const database = openDatabase(databaseUrl)
  const begin = firstUlidAt(Date.now()).slice(0, 10)
  try {
    for (let start = 0; start < userCount * perUser; start += batchSize) {
      const rows = Array.from({ length: batchSize }, (_, at) => rowOf(start + at, begin))
      await database.transaction((queries) => insertMissing(queries, table, rows))
    }
  } finally {
    await database.close()
  }
  return secret
}

/** Users take turns, so that neighbours in the table are of different users. */
function rowOf(number: number, begin: string): Row {
  const index = Math.floor(number / userCount)
  return {
    tenant_id: tenantId,
    id: begin + String(number).padStart(16, '0'),
    user_id: `user-${number % userCount}`,
    device_id: '',
    name: `group-${String(index % 100).padStart(2, '0')}.item-${index}`,
    type: 'UTF8STRING',
    visibility: 0,
    read_only: 0,
    notify: 0,
    in_keystorage: 0,
    cp_flags: 768,
    version: 1,
    created_at: 0,
    updated_at: 0,
    order_key: null,
    value: `the value of property ${number}`,
    sealed_value: null,
  }
}

/** One after another, each of another user. @returns the median, milliseconds. */
async function list({ port }: Server, secret: string, filter: Filter): Promise<number> {
  const query = `page_size=20&filter=${encodeURIComponent(filters[filter])}`
  const times: number[] = []
  for (let count = 0; count < listCount; count++) {
    const user = `user-${(count * 7) % userCount}`
    const path = `/ast/v1/tenants/${tenantId}/portal/properties/user/${user}?${query}`
    const startedAt = performance.now()
    const reply = await fetch(`http://127.0.0.1:${port}${path}`, {
      headers: { authorization: `Bearer ${secret}` },
    })
    const found = (await reply.json()) as unknown[]
    times.push(performance.now() - startedAt)
    if (reply.status !== 200 || found.length !== 20) throw new Error(JSON.stringify(found))
  }
  return median(times)
}

/** What autovacuum does within a minute or so: an index can answer without its table only for rows that it has seen. */
async function vacuum(url: string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  await client.query('vacuum (analyze) property')
  await client.end()
}

async function measure(
  engine: string,
  databaseUrl: string,
  afterFilling: () => Promise<void> = async () => {},
): Promise<Figure[]> {
  note(`${engine}: making ${userCount * perUser} properties`)
  const secret = await fill(databaseUrl)
  await afterFilling()
  await using server = await Server.start({ databaseUrl })
  await server.ready()
  for (const filter of Object.keys(filters) as Filter[]) await list(server, secret, filter)
  const rounds = await interleave(roundCount, {
    beginning: () => list(server, secret, 'beginning'),
    within: () => list(server, secret, 'within'),
  })
  return (Object.keys(filters) as Filter[]).map((filter) => ({
    id: `properties.${engine}.${filter}`,
    name: `20 of ${userCount * perUser} properties, ${filters[filter]}, ${engine}`,
    reached: median(rounds.map(({ samples }) => samples[filter])),
    rounds: rounds.map(({ samples }) => samples[filter]),
    unit: 'ms',
    atMost,
    calibration: calibrationRange(rounds),
    remark: `with the number of all that fit, ${perUser / 100} of the user's ${perUser}`,
  }))
}

const engines = (options.texts.engines ?? 'sqlite,postgres').split(',')
const figures: Figure[] = []
if (engines.includes('sqlite')) {
  using folder = new TemporaryFolder()
  figures.push(...(await measure('sqlite', folder.sqliteUrl('properties.db'))))
}
if (engines.includes('postgres')) {
  await using postgres = await PostgresServer.start()
  const url = await postgres.createDatabase('countersign_bench')
  figures.push(...(await measure('postgres', url, () => vacuum(url))))
}
print(figures, options)
