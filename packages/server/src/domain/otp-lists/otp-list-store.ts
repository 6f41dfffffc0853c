import type { Queries } from '#storage/queries.ts'
import type { OtpListTable } from '#storage/schema/otp-lists.ts'
import { type Builder, integerParameter, statement } from '#storage/statement.ts'
import { labelOf, type OtpList, type OtpListStatus } from './otp-list.ts'
import type { AskOrder, IndexFormat } from './otp-list-method.ts'

interface Key {
  readonly tenantId: string
  readonly id: string
}

/** The codes of a new list, as they are kept. */
export interface KeptCodes {
  /** In the order in which they are asked for. */
  readonly codeTags: Uint8Array
  /** Null: in the order of the sheet. */
  readonly positions: Uint8Array | null
}

/** A list that was taken away. */
export interface RemovedList {
  readonly id: string
  readonly method: string
  readonly userId: string | null
  readonly status: OtpListStatus
}

/** All lists with what is told of their users; conditions name the tenant first. */
export function listsWithUser(db: Builder) {
  return db
    .selectFrom('otp_list as l')
    .selectAll('l')
    .select((eb) =>
      eb
        .selectFrom('user_identifier as i')
        // Not the bare column: PostgreSQL would look for its minimum among all values of the tenant.
        .select((own) => own.fn.min<string | null>(own('i.value', '||', own.val(''))).as('value'))
        .whereRef('i.tenant_id', '=', 'l.tenant_id')
        .whereRef('i.user_id', '=', 'l.user_id')
        .where('i.scheme', '=', 'uniqueID')
        .as('unique_id'),
    )
}

const find = statement((db, p: Key & { nowMs: number }) =>
  listsWithUser(db)
    .where('l.tenant_id', '=', p.tenantId)
    .where('l.id', '=', p.id)
    .where((eb) => eb.or([eb('l.expires_at', 'is', null), eb('l.expires_at', '>', p.nowMs)])),
)

const listOfUser = statement(
  (db, p: { tenantId: string; userId: string; method: string; nowMs: number }) =>
    listsWithUser(db)
      .where('l.tenant_id', '=', p.tenantId)
      .where('l.user_id', '=', p.userId)
      .where('l.method', '=', p.method)
      .where((eb) => eb.or([eb('l.expires_at', 'is', null), eb('l.expires_at', '>', p.nowMs)])),
)

const insert = statement((db, row: OtpListTable) =>
  db.insertInto('otp_list').values({
    tenant_id: row.tenant_id,
    id: row.id,
    method: row.method,
    status: row.status,
    user_id: row.user_id,
    size: row.size,
    otp_length: row.otp_length,
    otp_alphabet: row.otp_alphabet,
    ask_order: row.ask_order,
    index_format: row.index_format,
    index_block_size: row.index_block_size,
    remaining: row.remaining,
    next_position: row.next_position,
    expires_at: row.expires_at,
    last_used_at: row.last_used_at,
    created_at: row.created_at,
    updated_at: row.updated_at,
  }),
)

const insertCodes = statement(
  (db, p: Key & { codeTags: Uint8Array; positions: Uint8Array | null }) =>
    db.insertInto('otp_list_code').values({
      tenant_id: p.tenantId,
      list_id: p.id,
      code_tags: p.codeTags,
      positions: p.positions,
    }),
)

const associate = statement(
  (db, p: Key & { userId: string; expiresAtMs: number | null; nowMs: number }) =>
    db
      .updateTable('otp_list')
      .set({
        status: 'ASSOCIATED',
        user_id: p.userId,
        expires_at: integerParameter(p.expiresAtMs),
        updated_at: p.nowMs,
      })
      .where('tenant_id', '=', p.tenantId)
      .where('id', '=', p.id)
      .where('status', '=', 'FREE')
      .where('expires_at', '>', p.nowMs),
)

const removed = ['id', 'method', 'user_id', 'status', 'last_used_at'] as const
type RemovedRow = Pick<OtpListTable, (typeof removed)[number]>

const remove = statement((db, p: Key & { nowMs: number }) =>
  db
    .deleteFrom('otp_list')
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id)
    .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', p.nowMs)]))
    .returning(removed),
)

const removeWaiting = statement((db, p: { tenantId: string; userId: string; method: string }) =>
  db
    .deleteFrom('otp_list')
    .where('tenant_id', '=', p.tenantId)
    .where('user_id', '=', p.userId)
    .where('method', '=', p.method)
    .where('status', '=', 'ASSOCIATED')
    .returning(removed),
)

const removeOtherActive = statement(
  (db, p: { tenantId: string; userId: string; method: string; id: string }) =>
    db
      .deleteFrom('otp_list')
      .where('tenant_id', '=', p.tenantId)
      .where('user_id', '=', p.userId)
      .where('method', '=', p.method)
      .where('status', '=', 'ACTIVE')
      .where('id', '<>', p.id)
      .returning(removed),
)

const removeOfUser = statement((db, p: { tenantId: string; userId: string }) =>
  db
    .deleteFrom('otp_list')
    .where('tenant_id', '=', p.tenantId)
    .where('user_id', '=', p.userId)
    .returning(removed),
)

const removeExpired = statement((db, p: Key & { nowMs: number }) =>
  db
    .deleteFrom('otp_list')
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id)
    .where('expires_at', '<=', p.nowMs)
    .returning(removed),
)

const removeCodes = statement((db, p: Key) =>
  db.deleteFrom('otp_list_code').where('tenant_id', '=', p.tenantId).where('list_id', '=', p.id),
)

const keepLastUse = statement((db, p: { tenantId: string; userId: string; atMs: number }) =>
  db
    .updateTable('app_user')
    .set({ last_authenticated_at: p.atMs })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.userId)
    .where((eb) =>
      eb.or([eb('last_authenticated_at', 'is', null), eb('last_authenticated_at', '<', p.atMs)]),
    ),
)

const listExpired = statement((db, p: { nowMs: number; limit: number }) =>
  db
    .selectFrom('otp_list')
    .select(['tenant_id', 'id'])
    .where('expires_at', '<=', p.nowMs)
    .orderBy('expires_at')
    .limit(p.limit),
)

const forgetFailures = statement((db, p: { tenantId: string; userId: string }) =>
  db
    .deleteFrom('otp_list_lockout')
    .where('tenant_id', '=', p.tenantId)
    .where('user_id', '=', p.userId),
)

/** Rows of lists. What has expired is not there, whether or not it was cleaned up. */
export class OtpListStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  async find(tenantId: string, id: string, nowMs: number): Promise<OtpList | undefined> {
    const row = await this.#queries.first(find, { tenantId, id, nowMs })
    return row && asList(row)
  }

  /** The lists that a user has of a method: the ACTIVE one, the ASSOCIATED one. */
  async listOfUser(
    key: { tenantId: string; userId: string; method: string },
    nowMs: number,
  ): Promise<OtpList[]> {
    return (await this.#queries.all(listOfUser, { ...key, nowMs })).map(asList)
  }

  async insert(list: OtpList, codes: KeptCodes): Promise<void> {
    const { tenantId, id } = list
    await Promise.all([
      this.#queries.run(insert, asRow(list)),
      this.#queries.run(insertCodes, { tenantId, id, ...codes }),
    ])
  }

  /** Gives a free list to a user; false when it is not free, or not there, any more. */
  async associate(
    { tenantId, id }: OtpList,
    to: { userId: string; expiresAtMs: number | null },
    nowMs: number,
  ): Promise<boolean> {
    return (await this.#queries.run(associate, { tenantId, id, ...to, nowMs })) === 1
  }

  async remove(tenantId: string, id: string, nowMs: number): Promise<RemovedList | undefined> {
    return this.#withLastUse(tenantId, await this.#queries.all(remove, { tenantId, id, nowMs }))
  }

  /** Takes away what waits for the first use of its codes, expired or not. */
  async removeWaiting(key: {
    tenantId: string
    userId: string
    method: string
  }): Promise<RemovedList[]> {
    return this.#withCodes(key.tenantId, await this.#queries.all(removeWaiting, key))
  }

  /** Takes away what was in use until this list came into use, expired or not. */
  async removeOtherActive(key: {
    tenantId: string
    userId: string
    method: string
    id: string
  }): Promise<RemovedList[]> {
    return this.#withCodes(key.tenantId, await this.#queries.all(removeOtherActive, key))
  }

  /** Takes away all lists of a user, who has two of a method at most, and the failures counted over them. */
  async removeOfUser(tenantId: string, userId: string): Promise<RemovedList[]> {
    await this.forgetFailures(tenantId, userId)
    return this.#withCodes(tenantId, await this.#queries.all(removeOfUser, { tenantId, userId }))
  }

  /** Lifts the locks and forgets the failures of a user over all methods. */
  async forgetFailures(tenantId: string, userId: string): Promise<void> {
    await this.#queries.run(forgetFailures, { tenantId, userId })
  }

  /** Lists of all tenants whose time is over, the oldest first. */
  async listExpired(nowMs: number, limit: number): Promise<{ tenantId: string; id: string }[]> {
    const rows = await this.#queries.all(listExpired, { nowMs, limit })
    return rows.map((row) => ({ tenantId: row.tenant_id, id: row.id }))
  }

  /** Undefined when it has not expired, or is gone. */
  async removeExpired(
    tenantId: string,
    id: string,
    nowMs: number,
  ): Promise<RemovedList | undefined> {
    return this.#withLastUse(
      tenantId,
      await this.#queries.all(removeExpired, { tenantId, id, nowMs }),
    )
  }

  /** When a list was last used is kept with its user. One that is replaced was used before the other one was. */
  async #withLastUse(
    tenantId: string,
    rows: readonly RemovedRow[],
  ): Promise<RemovedList | undefined> {
    for (const { user_id: userId, last_used_at: atMs } of rows) {
      if (userId === null || atMs === null) continue
      await this.#queries.run(keepLastUse, { tenantId, userId, atMs })
    }
    return (await this.#withCodes(tenantId, rows))[0]
  }

  /** The codes go with their lists. */
  async #withCodes(tenantId: string, rows: readonly RemovedRow[]): Promise<RemovedList[]> {
    const lists: RemovedList[] = []
    for (const { id, method, user_id, status } of rows) {
      await this.#queries.run(removeCodes, { tenantId, id })
      lists.push({
        id,
        method,
        userId: user_id,
        status: status as OtpListStatus,
      })
    }
    return lists
  }
}

function asRow(list: OtpList): OtpListTable {
  return {
    tenant_id: list.tenantId,
    id: list.id,
    method: list.method,
    status: list.status,
    user_id: list.userId,
    size: list.size,
    otp_length: list.otpLength,
    otp_alphabet: list.otpAlphabet,
    ask_order: list.order,
    index_format: list.indexFormat,
    index_block_size: list.indexBlockSize,
    remaining: list.remaining,
    next_position: list.nextPosition,
    expires_at: list.expiresAtMs,
    last_used_at: null,
    created_at: list.createdAtMs,
    updated_at: list.updatedAtMs,
  }
}

export function asList(row: OtpListTable & { unique_id: string | null }): OtpList {
  const form = {
    size: row.size,
    otpLength: row.otp_length,
    otpAlphabet: row.otp_alphabet,
    order: row.ask_order as AskOrder,
    indexFormat: row.index_format as IndexFormat,
    indexBlockSize: row.index_block_size,
  }
  return {
    ...form,
    tenantId: row.tenant_id,
    id: row.id,
    method: row.method,
    status: row.status as OtpListStatus,
    userId: row.user_id,
    userUniqueId: row.unique_id ?? row.user_id,
    remaining: row.remaining,
    nextPosition: row.next_position,
    nextIndex: row.next_position === null ? null : labelOf(form, row.next_position),
    expiresAtMs: row.expires_at,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
  }
}
