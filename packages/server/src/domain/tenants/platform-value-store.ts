import type { Queries } from '#storage/queries.ts'
import { statement } from '#storage/statement.ts'

interface Key {
  readonly tenantId: string
  readonly name: string
}

const find = statement((db, p: { tenantId: string; name: string }) =>
  db
    .selectFrom('platform_value')
    .select('value')
    .where('tenant_id', '=', p.tenantId)
    .where('name', '=', p.name),
)

const insert = statement((db, p: { tenantId: string; name: string; value: string }) =>
  db.insertInto('platform_value').values({ tenant_id: p.tenantId, name: p.name, value: p.value }),
)

const put = statement((db, p: { tenantId: string; name: string; value: string }) =>
  db
    .insertInto('platform_value')
    .values({ tenant_id: p.tenantId, name: p.name, value: p.value })
    .onConflict((conflict) =>
      conflict.columns(['tenant_id', 'name']).doUpdateSet({ value: p.value }),
    ),
)

const replace = statement(
  (db, p: { tenantId: string; name: string; seen: string; value: string }) =>
    db
      .updateTable('platform_value')
      .set({ value: p.value })
      .where('tenant_id', '=', p.tenantId)
      .where('name', '=', p.name)
      .where('value', '=', p.seen),
)

const touch = statement((db, p: { tenantId: string; name: string }) =>
  db
    .updateTable('platform_value')
    .set((column) => ({ value: column.ref('value') }))
    .where('tenant_id', '=', p.tenantId)
    .where('name', '=', p.name),
)

const remove = statement((db, p: { tenantId: string; name: string }) =>
  db.deleteFrom('platform_value').where('tenant_id', '=', p.tenantId).where('name', '=', p.name),
)

const listByPrefix = statement(
  (db, p: { tenantId: string; from: string; to: string; limit: number }) =>
    db
      .selectFrom('platform_value')
      .select(['name', 'value'])
      .where('tenant_id', '=', p.tenantId)
      .where('name', '>=', p.from)
      .where('name', '<', p.to)
      .orderBy('name')
      .limit(p.limit),
)

/** Single values of the installation (under `_platform`) and of tenants. */
export class PlatformValueStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  async find(key: Key): Promise<string | undefined> {
    return (await this.#queries.first(find, key))?.value
  }

  /** @throws StorageError `taken` when there is a value already. */
  async insert(key: Key, value: string): Promise<void> {
    await this.#queries.run(insert, { ...key, value })
  }

  async put(key: Key, value: string): Promise<void> {
    await this.#queries.run(put, { ...key, value })
  }

  /** False when the value is no longer the one that was seen. */
  async replace(key: Key, change: { seen: string; value: string }): Promise<boolean> {
    return (await this.#queries.run(replace, { ...key, ...change })) === 1
  }

  /**
   * Makes every other transaction that does the same wait until this one has ended, so that a rule over several rows can
   * be checked and kept.
   *
   * @throws Error when there is no such value: nothing would be held.
   */
  async lock(key: Key): Promise<void> {
    const count = await this.#queries.run(touch, key)
    if (count !== 1) throw new Error(`There is no value "${key.name}" to lock.`)
  }

  async remove(key: Key): Promise<void> {
    await this.#queries.run(remove, key)
  }

  /** Names that begin with the prefix, in order; at most `limit`. The prefix ends in a colon. */
  async listByPrefix(
    tenantId: string,
    prefix: `${string}:`,
    limit: number,
  ): Promise<{ name: string; value: string }[]> {
    // The semicolon follows the colon in ASCII.
    const to = `${prefix.slice(0, -1)};`
    return this.#queries.all(listByPrefix, { tenantId, from: prefix, to, limit })
  }
}
