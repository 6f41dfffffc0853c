import type { Queries } from '#storage/queries.ts'
import { dynamicStatement, nothing, statement } from '#storage/statement.ts'
import { type Identifier, onceOnlyScheme } from './identifier.ts'

/** Stands where nobody has the value any more and nobody may have it again. */
const nobody = ''

interface Key extends Identifier {
  readonly tenantId: string
}

interface OwnKey extends Key {
  readonly userId: string
}

const insert = statement((db, p: OwnKey) =>
  db
    .insertInto('user_identifier')
    .values({ tenant_id: p.tenantId, scheme: p.scheme, value: p.value, user_id: p.userId })
    .onConflict((conflict) => conflict.doNothing()),
)

const findHolder = statement((db, p: Key) =>
  db
    .selectFrom('user_identifier')
    .select('user_id')
    .where('tenant_id', '=', p.tenantId)
    .where('scheme', '=', p.scheme)
    .where('value', '=', p.value),
)

const listOf = statement((db, p: { tenantId: string; userId: string }) =>
  db
    .selectFrom('user_identifier')
    .select(['scheme', 'value'])
    .where('tenant_id', '=', p.tenantId)
    .where('user_id', '=', p.userId)
    .orderBy('scheme')
    .orderBy('value'),
)

const remove = statement((db, p: OwnKey) =>
  db
    .deleteFrom('user_identifier')
    .where('tenant_id', '=', p.tenantId)
    .where('scheme', '=', p.scheme)
    .where('value', '=', p.value)
    .where('user_id', '=', p.userId),
)

const retire = statement((db, p: OwnKey) =>
  db
    .updateTable('user_identifier')
    .set({ user_id: nobody })
    .where('tenant_id', '=', p.tenantId)
    .where('scheme', '=', p.scheme)
    .where('value', '=', p.value)
    .where('user_id', '=', p.userId),
)

const retireAll = statement((db, p: { tenantId: string; userId: string }) =>
  db
    .updateTable('user_identifier')
    .set({ user_id: nobody })
    .where('tenant_id', '=', p.tenantId)
    .where('user_id', '=', p.userId)
    .where('scheme', '=', onceOnlyScheme),
)

const removeAll = statement((db, p: { tenantId: string; userId: string }) =>
  db
    .deleteFrom('user_identifier')
    .where('tenant_id', '=', p.tenantId)
    .where('user_id', '=', p.userId),
)

/** Rows of `user_identifier`. Values are in normal form throughout. */
export class UserIdentifierStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** @returns false when the pair is taken, be it by the same user. */
  async insert(tenantId: string, userId: string, identifier: Identifier): Promise<boolean> {
    const { scheme, value } = identifier
    return (await this.#queries.run(insert, { tenantId, userId, scheme, value })) === 1
  }

  async isHeldBy(
    tenantId: string,
    userId: string,
    { scheme, value }: Identifier,
  ): Promise<boolean> {
    const row = await this.#queries.first(findHolder, { tenantId, scheme, value })
    return row?.user_id === userId
  }

  /** In order of scheme and value. */
  async listOf(tenantId: string, userId: string): Promise<Identifier[]> {
    return this.#queries.all(listOf, { tenantId, userId })
  }

  /** As {@link listOf}, for the users of a page at once. */
  async listOfUsers(
    tenantId: string,
    userIds: readonly string[],
  ): Promise<ReadonlyMap<string, Identifier[]>> {
    const found = new Map<string, Identifier[]>()
    if (userIds.length === 0) return found
    const rows = await this.#queries.all(
      dynamicStatement((db) =>
        db
          .selectFrom('user_identifier')
          .select(['user_id', 'scheme', 'value'])
          .where('tenant_id', '=', tenantId)
          .where('user_id', 'in', userIds)
          .orderBy('user_id')
          .orderBy('scheme')
          .orderBy('value'),
      ),
      nothing,
    )
    for (const { user_id, scheme, value } of rows) {
      const own = found.get(user_id)
      if (own === undefined) found.set(user_id, [{ scheme, value }])
      else own.push({ scheme, value })
    }
    return found
  }

  /**
   * Takes the identifier from the user; a value that names once only stays taken for ever.
   *
   * @returns false when the user does not have it.
   */
  async remove(tenantId: string, userId: string, { scheme, value }: Identifier): Promise<boolean> {
    const key = { tenantId, userId, scheme, value }
    const changed =
      scheme === onceOnlyScheme
        ? await this.#queries.run(retire, key)
        : await this.#queries.run(remove, key)
    return changed === 1
  }

  /** As {@link remove}, for all that the user has. */
  async removeAll(tenantId: string, userId: string): Promise<void> {
    await this.#queries.run(retireAll, { tenantId, userId })
    await this.#queries.run(removeAll, { tenantId, userId })
  }
}
