import type { Queries } from '#storage/queries.ts'
import { type Builder, dynamicStatement, statement } from '#storage/statement.ts'
import {
  matching,
  type PlacedRecord,
  type RecordFilter,
  type RecordRange,
} from './journal-reader-store.ts'

/** Under which a tenant remembers up to which record its list is complete. */
const positionName = 'journal-users'

const findPosition = statement((db, p: { tenantId: string }) =>
  db
    .selectFrom('platform_value')
    .select('value')
    .where('tenant_id', '=', p.tenantId)
    .where('name', '=', positionName),
)

const begin = statement((db, p: { tenantId: string; to: string }) =>
  db
    .insertInto('platform_value')
    .values({ tenant_id: p.tenantId, name: positionName, value: p.to })
    .onConflict((conflict) => conflict.columns(['tenant_id', 'name']).doNothing()),
)

const move = statement((db, p: { tenantId: string; from: string; to: string }) =>
  db
    .updateTable('platform_value')
    .set({ value: p.to })
    .where('tenant_id', '=', p.tenantId)
    .where('name', '=', positionName)
    .where('value', '=', p.from),
)

/** Sorted, so that what goes to one page goes there together. */
const addRange = statement((db, p: { tenantId: string; fromSeq: number; toSeq: number }) =>
  db
    .insertInto('journal_user')
    .columns(['tenant_id', 'user_id', 'seq'])
    .expression(
      db
        .selectFrom('journal_record')
        .select(['tenant_id', 'user_id', 'seq'])
        .where('tenant_id', '=', p.tenantId)
        .where('seq', '>=', p.fromSeq)
        .where('seq', '<=', p.toSeq)
        .where('user_id', 'is not', null)
        .orderBy('user_id')
        .orderBy('seq') as never,
    ),
)

interface UserPart {
  readonly tenantId: string
  readonly userId: string
  readonly fromSeq: number
  readonly toSeq: number
  readonly offset: number
}

function ofUser(db: Builder, p: UserPart) {
  return db
    .selectFrom('journal_user')
    .select('seq')
    .where('tenant_id', '=', p.tenantId)
    .where('user_id', '=', p.userId)
    .where('seq', '>=', p.fromSeq)
    .where('seq', '<=', p.toSeq)
    .limit(1)
    .offset(p.offset)
}

const findUpwards = statement((db, p: UserPart) => ofUser(db, p).orderBy('seq'))
const findDownwards = statement((db, p: UserPart) => ofUser(db, p).orderBy('seq', 'desc'))

const removeRange = statement((db, p: { tenantId: string; fromSeq: number; toSeq: number }) =>
  db
    .deleteFrom('journal_user')
    .where('tenant_id', '=', p.tenantId)
    .where(({ eb, refTuple, selectFrom }) =>
      eb(
        refTuple('user_id', 'seq'),
        'in',
        selectFrom('journal_record')
          .select(['user_id', 'seq'])
          .where('tenant_id', '=', p.tenantId)
          .where('seq', '>=', p.fromSeq)
          .where('seq', '<=', p.toSeq)
          .where('user_id', 'is not', null)
          .$asTuple('user_id', 'seq') as never,
      ),
    ),
)

/** The records that the list leads to. In the order in which it runs, which `cross join` keeps on both engines. */
export function listedRecords(db: Builder) {
  return db
    .selectFrom('journal_user as u')
    .crossJoin('journal_record as r')
    .whereRef('r.tenant_id', '=', 'u.tenant_id')
    .whereRef('r.seq', '=', 'u.seq')
}

/** Which records are about which user, up to a seq that is remembered. */
export class UserRecordStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** Up to which record the list is complete; 0 before it was begun. */
  async findListedTo(tenantId: string): Promise<number> {
    return Number((await this.#queries.first(findPosition, { tenantId }))?.value ?? 0)
  }

  /** Remembers that the list is complete up to `to`; false when somebody else moved on from `from`. */
  async moveListedTo(tenantId: string, from: number, to: number): Promise<boolean> {
    const position = { tenantId, from: String(from), to: String(to) }
    if (from === 0 && (await this.#queries.run(begin, position)) === 1) return true
    return (await this.#queries.run(move, position)) === 1
  }

  /** Lists the records of a range. */
  async add(tenantId: string, { fromSeq, toSeq }: RecordRange): Promise<void> {
    await this.#queries.run(addRange, { tenantId, fromSeq, toSeq })
  }

  /** The other way round, before the records themselves go. */
  async remove(tenantId: string, { fromSeq, toSeq }: RecordRange): Promise<void> {
    await this.#queries.run(removeRange, { tenantId, fromSeq, toSeq })
  }

  /** The seq of a user's `count`-th record in a range, from the end that `order` begins at; undefined for fewer. */
  async findSeq(
    tenantId: string,
    userId: string,
    { fromSeq, toSeq }: RecordRange,
    order: 'asc' | 'desc',
    count: number,
  ): Promise<number | undefined> {
    const find = order === 'asc' ? findUpwards : findDownwards
    const part = { tenantId, userId, fromSeq, toSeq, offset: count - 1 }
    return (await this.#queries.first(find, part))?.seq
  }

  /** As {@link JournalReaderStore.search}, led by the rows of one user. */
  search(
    tenantId: string,
    { fromSeq, toSeq }: RecordRange,
    filter: RecordFilter & { readonly userId: string },
    order: 'asc' | 'desc',
    limit: number,
  ): Promise<PlacedRecord[]> {
    return this.#queries.all(
      dynamicStatement((db) =>
        matching(
          listedRecords(db)
            .select(['r.seq', 'r.body', 'r.hash'])
            .where('u.tenant_id', '=', tenantId)
            .where('u.user_id', '=', filter.userId)
            .where('u.seq', '>=', fromSeq)
            .where('u.seq', '<=', toSeq) as never,
          filter,
        )
          .orderBy('u.seq' as 'r.seq', order)
          .limit(limit),
      ),
      {},
    )
  }
}
