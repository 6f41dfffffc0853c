import type { WrappedKey, WrappedKeySource } from '#custody/vault.ts'
import type { Queries } from '#storage/queries.ts'
import { statement } from '#storage/statement.ts'

const list = statement((db, p: { tenantId: string }) =>
  db
    .selectFrom('tenant_key')
    .select(['version', 'master_key_id', 'wrapped'])
    .where('tenant_id', '=', p.tenantId)
    .orderBy('version'),
)

const insert = statement(
  (
    db,
    p: {
      tenantId: string
      version: number
      masterKeyId: string
      wrapped: Uint8Array
      createdAtMs: number
    },
  ) =>
    db.insertInto('tenant_key').values({
      tenant_id: p.tenantId,
      version: p.version,
      master_key_id: p.masterKeyId,
      wrapped: p.wrapped,
      created_at: p.createdAtMs,
    }),
)

const removeAll = statement((db, p: { tenantId: string }) =>
  db.deleteFrom('tenant_key').where('tenant_id', '=', p.tenantId),
)

/** Tenants' data keys, in wrapped form only. */
export class TenantKeyStore implements WrappedKeySource {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  async listWrappedKeys(tenantId: string): Promise<readonly WrappedKey[]> {
    const rows = await this.#queries.all(list, { tenantId })
    return rows.map(({ version, master_key_id, wrapped }) => ({
      version,
      masterKeyId: master_key_id,
      wrapped,
    }))
  }

  /** @throws StorageError `taken` when this version is there already. */
  async insert(tenantId: string, key: WrappedKey, createdAtMs: number): Promise<void> {
    const { version, masterKeyId, wrapped } = key
    await this.#queries.run(insert, { tenantId, version, masterKeyId, wrapped, createdAtMs })
  }

  /** From then on nobody can open what was sealed for the tenant. */
  async removeAll(tenantId: string): Promise<void> {
    await this.#queries.run(removeAll, { tenantId })
  }
}
