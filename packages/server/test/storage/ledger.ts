/**
 * A ledger in the tables that are there: one row for every entry and one counter of all of them, written by the same
 * transaction. Whatever happens, the counter must equal the number of rows.
 */
import type { Queries } from '#storage/queries.ts'
import { nothing, type StatementOptions, statement } from '#storage/statement.ts'

const tenantId = 'ledger'

/** Counters have nothing to do with each other. */
const ofOneCounter: StatementOptions = { apartBy: ['name'] }

const insertCounter = statement((db, p: { name: string }) =>
  db
    .insertInto('lease')
    .values({ tenant_id: tenantId, name: p.name, holder: '', until_ms: 0 })
    .onConflict((conflict) => conflict.columns(['tenant_id', 'name']).doNothing()),
)

const insertEntry = statement((db, p: { name: string; value: string }) =>
  db.insertInto('platform_value').values({ tenant_id: tenantId, name: p.name, value: p.value }),
)

const increment = statement(
  (db, p: { name: string }) =>
    db
      .updateTable('lease')
      .set((eb) => ({ until_ms: eb('until_ms', '+', 1) }))
      .where('tenant_id', '=', tenantId)
      .where('name', '=', p.name),
  ofOneCounter,
)

const selectCounter = statement((db, p: { name: string }) =>
  db
    .selectFrom('lease')
    .select('until_ms')
    .where('tenant_id', '=', tenantId)
    .where('name', '=', p.name),
)

const claimBelow = statement(
  (db, p: { name: string; limit: number }) =>
    db
      .updateTable('lease')
      .set((eb) => ({ until_ms: eb('until_ms', '+', 1) }))
      .where('tenant_id', '=', tenantId)
      .where('name', '=', p.name)
      .where('until_ms', '<', p.limit),
  ofOneCounter,
)

const claimFrom = statement(
  (db, p: { name: string; seen: number }) =>
    db
      .updateTable('lease')
      .set((eb) => ({ until_ms: eb('until_ms', '+', 1) }))
      .where('tenant_id', '=', tenantId)
      .where('name', '=', p.name)
      .where('until_ms', '=', p.seen),
  ofOneCounter,
)

const selectEntries = statement((db, _p: object) =>
  db.selectFrom('platform_value').select('name').where('tenant_id', '=', tenantId).orderBy('name'),
)

/** The one counter that entries count up. */
export const entriesCounter = 'entries'

export async function openCounter(queries: Queries, name: string = entriesCounter): Promise<void> {
  await queries.run(insertCounter, { name })
}

/** Both halves of an entry, one after the other. */
export async function enter(queries: Queries, name: string, value = ''): Promise<string> {
  await queries.run(insertEntry, { name, value })
  await queries.run(increment, { name: entriesCounter })
  return name
}

/** The first half only; taken when the name is there. */
export async function enterName(queries: Queries, name: string): Promise<void> {
  await queries.run(insertEntry, { name, value: '' })
}

export async function countUp(queries: Queries, name: string = entriesCounter): Promise<void> {
  await queries.run(increment, { name })
}

/** Counts up while the counter is below the limit. */
export async function claim(queries: Queries, name: string, limit: number): Promise<boolean> {
  return (await queries.run(claimBelow, { name, limit })) === 1
}

/** Reads the counter and counts it up if nobody did meanwhile. */
export async function claimNext(queries: Queries, name: string): Promise<number | undefined> {
  const seen = await readCounter(queries, name)
  return (await queries.run(claimFrom, { name, seen })) === 1 ? seen : undefined
}

export async function readCounter(
  queries: Queries,
  name: string = entriesCounter,
): Promise<number> {
  return (await queries.first(selectCounter, { name }))?.until_ms ?? 0
}

export async function readEntries(queries: Queries): Promise<string[]> {
  return (await queries.all(selectEntries, nothing)).map(({ name }) => name)
}
