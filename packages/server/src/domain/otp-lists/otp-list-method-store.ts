import type { Queries } from '#storage/queries.ts'
import type { OtpListMethodTable } from '#storage/schema/otp-lists.ts'
import { type Builder, statement } from '#storage/statement.ts'
import type { AskOrder, IndexFormat, OtpListMethod } from './otp-list-method.ts'

interface Key {
  readonly tenantId: string
  readonly name: string
}

/** A method with the key of its lists' codes, as sealed. */
export interface KeyedMethod {
  readonly method: OtpListMethod
  readonly sealedKey: Uint8Array
}

const insert = statement((db, row: OtpListMethodTable) =>
  db.insertInto('otp_list_method').values({
    tenant_id: row.tenant_id,
    name: row.name,
    id: row.id,
    description: row.description,
    otp_window_size: row.otp_window_size,
    otp_length: row.otp_length,
    otp_alphabet: row.otp_alphabet,
    list_size: row.list_size,
    ask_order: row.ask_order,
    index_format: row.index_format,
    index_block_size: row.index_block_size,
    free_list_max_age_seconds: row.free_list_max_age_seconds,
    associated_list_max_age_seconds: row.associated_list_max_age_seconds,
    max_age_limit_seconds: row.max_age_limit_seconds,
    renew_threshold: row.renew_threshold,
    max_failures: row.max_failures,
    lock_seconds: row.lock_seconds,
    sealed_key: row.sealed_key,
    created_at: row.created_at,
    updated_at: row.updated_at,
  }),
)

const update = statement((db, row: Omit<OtpListMethodTable, 'sealed_key' | 'created_at'>) =>
  db
    .updateTable('otp_list_method')
    .set({
      description: row.description,
      otp_window_size: row.otp_window_size,
      otp_length: row.otp_length,
      otp_alphabet: row.otp_alphabet,
      list_size: row.list_size,
      ask_order: row.ask_order,
      index_format: row.index_format,
      index_block_size: row.index_block_size,
      free_list_max_age_seconds: row.free_list_max_age_seconds,
      associated_list_max_age_seconds: row.associated_list_max_age_seconds,
      max_age_limit_seconds: row.max_age_limit_seconds,
      renew_threshold: row.renew_threshold,
      max_failures: row.max_failures,
      lock_seconds: row.lock_seconds,
      updated_at: row.updated_at,
    })
    .where('tenant_id', '=', row.tenant_id)
    .where('name', '=', row.name)
    .where('id', '=', row.id),
)

/** A write that changes nothing: who holds a method waits for others who hold it. */
const hold = statement((db, p: Key) =>
  db
    .updateTable('otp_list_method')
    .set((column) => ({ updated_at: column.ref('updated_at') }))
    .where('tenant_id', '=', p.tenantId)
    .where('name', '=', p.name),
)

const remove = statement((db, p: Key) =>
  db.deleteFrom('otp_list_method').where('tenant_id', '=', p.tenantId).where('name', '=', p.name),
)

/** Users whose failures over the lists of a method are counted. */
const countedUsers = statement((db, p: { tenantId: string; methodId: string; limit: number }) =>
  db
    .selectFrom('otp_list_lockout')
    .select('user_id')
    .where('tenant_id', '=', p.tenantId)
    .where('method_id', '=', p.methodId)
    .limit(p.limit),
)

const forgetFailures = statement((db, p: { tenantId: string; methodId: string; userId: string }) =>
  db
    .deleteFrom('otp_list_lockout')
    .where('tenant_id', '=', p.tenantId)
    .where('user_id', '=', p.userId)
    .where('method_id', '=', p.methodId),
)

const methods = (db: Builder) => db.selectFrom('otp_list_method').selectAll()

const find = statement((db, p: Key) =>
  methods(db).where('tenant_id', '=', p.tenantId).where('name', '=', p.name),
)

const list = statement((db, p: { tenantId: string; afterId: string; limit: number }) =>
  methods(db)
    .where('tenant_id', '=', p.tenantId)
    .where('id', '>', p.afterId)
    .orderBy('id')
    .limit(p.limit),
)

const anyList = statement((db, p: Key & { nowMs: number }) =>
  db
    .selectFrom('otp_list')
    .select('id')
    .where('tenant_id', '=', p.tenantId)
    .where('method', '=', p.name)
    .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', p.nowMs)]))
    .limit(1),
)

/** Rows of methods. */
export class OtpListMethodStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** @throws StorageError `taken` when the name is in use. */
  async insert(method: OtpListMethod, sealedKey: Uint8Array): Promise<void> {
    await this.#queries.run(insert, {
      ...settingsRow(method),
      sealed_key: sealedKey,
      created_at: method.createdAtMs,
    })
  }

  /** Replaces the settings; false when this method is gone. */
  async update(method: OtpListMethod): Promise<boolean> {
    return (await this.#queries.run(update, settingsRow(method))) === 1
  }

  /** Keeps a method as it is until the transaction ends; false when there is none. */
  async hold(tenantId: string, name: string): Promise<boolean> {
    return (await this.#queries.run(hold, { tenantId, name })) === 1
  }

  async remove(tenantId: string, name: string): Promise<void> {
    await this.#queries.run(remove, { tenantId, name })
  }

  /** Forgets failures over the lists of a method, of at most `limit` users. @returns of how many. */
  async forgetFailures(method: { tenantId: string; id: string }, limit: number): Promise<number> {
    const key = { tenantId: method.tenantId, methodId: method.id }
    const users = await this.#queries.all(countedUsers, { ...key, limit })
    await Promise.all(
      users.map(({ user_id: userId }) => this.#queries.run(forgetFailures, { ...key, userId })),
    )
    return users.length
  }

  async find(tenantId: string, name: string): Promise<OtpListMethod | undefined> {
    return (await this.findKeyed(tenantId, name))?.method
  }

  async findKeyed(tenantId: string, name: string): Promise<KeyedMethod | undefined> {
    const row = await this.#queries.first(find, { tenantId, name })
    return row && { method: asMethod(row), sealedKey: row.sealed_key }
  }

  /** In order of creation, beginning behind `afterId` (empty: at the first). */
  async list(
    tenantId: string,
    { afterId, limit }: { afterId: string; limit: number },
  ): Promise<OtpListMethod[]> {
    return (await this.#queries.all(list, { tenantId, afterId, limit })).map(asMethod)
  }

  /** Whether any list of this method exists. */
  async hasLists(tenantId: string, name: string, nowMs: number): Promise<boolean> {
    return (await this.#queries.first(anyList, { tenantId, name, nowMs })) !== undefined
  }
}

function settingsRow(method: OtpListMethod): Omit<OtpListMethodTable, 'sealed_key' | 'created_at'> {
  return {
    tenant_id: method.tenantId,
    name: method.name,
    id: method.id,
    description: method.description,
    otp_window_size: method.otpWindowSize,
    otp_length: method.otpLength,
    otp_alphabet: method.otpAlphabet,
    list_size: method.listSize,
    ask_order: method.order,
    index_format: method.indexFormat,
    index_block_size: method.indexBlockSize,
    free_list_max_age_seconds: method.freeListMaxAgeSeconds,
    associated_list_max_age_seconds: method.associatedListMaxAgeSeconds,
    max_age_limit_seconds: method.maxAgeLimitSeconds,
    renew_threshold: method.renewThreshold,
    max_failures: method.maxFailures,
    lock_seconds: method.lockSeconds,
    updated_at: method.updatedAtMs,
  }
}

function asMethod(row: OtpListMethodTable): OtpListMethod {
  return {
    tenantId: row.tenant_id,
    id: row.id,
    name: row.name,
    description: row.description,
    otpWindowSize: row.otp_window_size,
    otpLength: row.otp_length,
    otpAlphabet: row.otp_alphabet,
    listSize: row.list_size,
    order: row.ask_order as AskOrder,
    indexFormat: row.index_format as IndexFormat,
    indexBlockSize: row.index_block_size,
    freeListMaxAgeSeconds: row.free_list_max_age_seconds,
    associatedListMaxAgeSeconds: row.associated_list_max_age_seconds,
    maxAgeLimitSeconds: row.max_age_limit_seconds,
    renewThreshold: row.renew_threshold,
    maxFailures: row.max_failures,
    lockSeconds: row.lock_seconds,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
  }
}
