import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Queries } from '#storage/queries.ts'
import { type Builder, constantWord, dynamicStatement, nothing } from '#storage/statement.ts'
import type { OtpList, OtpListStatus } from './otp-list.ts'
import { asList, listsWithUser } from './otp-list-store.ts'

/** What a query may ask for; all that are given must hold. */
export interface ListConditions {
  readonly method?: string | undefined
  /** In one of these states. */
  readonly statuses?: readonly OtpListStatus[] | undefined
  readonly userId?: string | undefined
  /** After is inclusive, before exclusive. */
  readonly createdAfterMs?: number | undefined
  readonly createdBeforeMs?: number | undefined
  readonly expiresAfterMs?: number | undefined
  readonly expiresBeforeMs?: number | undefined
  readonly remainingMax?: number | undefined
}

/** The key of a list in the order of queries: instant of creation, then id. */
export type ListPosition = readonly [createdAtMs: number, id: string]

/** Lists in order; `nextAfter` is there when there may be more. */
export interface ListStretch {
  readonly lists: readonly OtpList[]
  readonly nextAfter?: ListPosition
}

/** Rows that one statement looks at for conditions without an index: what one turn of the event loop can spare. */
const windowSize = 2_000
/** Windows of one page. A page that finds too little is short, and says where to go on. */
const windowsMax = 25

/** The expiry of a list that has none. */
const never = Number.MAX_SAFE_INTEGER

/** Finds lists without ever reading a number of rows that grows with the tenant. */
export class OtpListQueryStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  async list(
    tenantId: string,
    conditions: ListConditions,
    page: { after: ListPosition; limit: number; nowMs: number },
  ): Promise<ListStretch> {
    const { limit, nowMs } = page
    let from = laterOf(page.after, conditions.createdAfterMs)
    if (conditions.userId !== undefined) {
      // A user's lists are few.
      const stretch = { from, end: undefined, count: limit + 1, nowMs }
      return pageOfLists(await this.#read(tenantId, conditions, stretch), limit)
    }
    const lists: OtpList[] = []
    for (let window = 0; window < windowsMax; window++) {
      const end = await this.#windowEnd(tenantId, conditions, from)
      const count = limit + 1 - lists.length
      lists.push(...(await this.#read(tenantId, conditions, { from, end, count, nowMs })))
      if (end === undefined || lists.length > limit) return pageOfLists(lists, limit)
      from = end
      await nextTurn()
    }
    return { lists, nextAfter: from }
  }

  /** The last of the next rows that an index leads to; undefined when it leads to no more than a window. */
  async #windowEnd(
    tenantId: string,
    conditions: ListConditions,
    from: ListPosition,
  ): Promise<ListPosition | undefined> {
    const row = await this.#queries.first(
      dynamicStatement((db) =>
        inOrder(db, tenantId, conditions, from)
          .limit(1)
          .offset(windowSize - 1),
      ),
      nothing,
    )
    return row && [row.created_at, row.id]
  }

  async #read(
    tenantId: string,
    conditions: ListConditions,
    stretch: { from: ListPosition; end: ListPosition | undefined; count: number; nowMs: number },
  ): Promise<OtpList[]> {
    const { statuses, userId, expiresAfterMs, expiresBeforeMs, remainingMax } = conditions
    const { from, end, count, nowMs } = stretch
    const read = dynamicStatement((db) => {
      let query = inOrder(db, tenantId, conditions, from)
        .limit(count)
        // Computed here and below, so that no planner leaves the order for the index of the clean-up.
        .where((eb) => eb(eb.fn.coalesce('l.expires_at', eb.lit(never)), '>', nowMs))
      if (end !== undefined) {
        const [endMs, endId] = end
        query = query.where(({ eb, refTuple, tuple }) =>
          eb(refTuple('l.created_at', 'l.id'), '<=', tuple(endMs, endId)),
        )
      }
      if (statuses !== undefined) query = query.where('l.status', 'in', statuses)
      // Not correlated, so that both engines begin with the few ids.
      if (userId !== undefined) {
        query = query.where('l.id', 'in', (eb) =>
          eb
            .selectFrom('otp_list as o')
            .select('o.id')
            .where('o.tenant_id', '=', tenantId)
            .where('o.user_id', '=', userId),
        )
      }
      if (expiresAfterMs !== undefined) {
        query = query.where((eb) => eb(eb('l.expires_at', '+', eb.lit(0)), '>=', expiresAfterMs))
      }
      if (expiresBeforeMs !== undefined) {
        query = query.where((eb) => eb(eb('l.expires_at', '+', eb.lit(0)), '<', expiresBeforeMs))
      }
      if (remainingMax !== undefined) query = query.where('l.remaining', '<=', remainingMax)
      return query
    })
    return (await this.#queries.all(read, nothing)).map(asList)
  }
}

/** What an index can do that has the order of the answer. */
function inOrder(
  db: Builder,
  tenantId: string,
  { method, statuses, createdBeforeMs }: ListConditions,
  [fromMs, fromId]: ListPosition,
): ReturnType<typeof listsWithUser> {
  let query = listsWithUser(db)
    .where('l.tenant_id', '=', tenantId)
    .where(({ eb, refTuple, tuple }) =>
      eb(refTuple('l.created_at', 'l.id'), '>', tuple(fromMs, fromId)),
    )
    .orderBy('l.created_at')
    .orderBy('l.id')
  if (method !== undefined) query = query.where('l.method', '=', method)
  const [only] = statuses ?? []
  if (method !== undefined && only !== undefined && statuses?.length === 1) {
    query = query.where('l.status', '=', constantWord(only))
  }
  if (createdBeforeMs !== undefined) query = query.where('l.created_at', '<', createdBeforeMs)
  return query
}

/** A page begins behind the last one, and not before the first instant that is asked for. */
function laterOf(after: ListPosition, createdAfterMs: number | undefined): ListPosition {
  return createdAfterMs === undefined || createdAfterMs <= after[0] ? after : [createdAfterMs, '']
}

function pageOfLists(lists: readonly OtpList[], limit: number): ListStretch {
  const last = lists[limit - 1]
  if (lists.length <= limit || last === undefined) return { lists }
  return { lists: lists.slice(0, limit), nextAfter: [last.createdAtMs, last.id] }
}
