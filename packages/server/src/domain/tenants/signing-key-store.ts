import type { StoredSigningKey } from '#custody/signer.ts'
import type { Queries } from '#storage/queries.ts'
import type { SigningKeyTable } from '#storage/schema.ts'
import { statement } from '#storage/statement.ts'

/** What a key signs: checkpoints of the journal, access tokens, certificates, a customer's tokens (Keyless). */
export type SigningPurpose = 'audit' | 'oauth' | 'certificates' | 'keyless'

/** A signing key and its life; `retiredAtMs` is null while it signs. */
export interface SigningKey extends StoredSigningKey {
  readonly tenantId: string
  readonly purpose: SigningPurpose
  readonly createdAtMs: number
  readonly retiredAtMs: number | null
}

const insert = statement((db, row: SigningKeyTable) =>
  db.insertInto('signing_key').values({
    tenant_id: row.tenant_id,
    kid: row.kid,
    purpose: row.purpose,
    public_jwk: row.public_jwk,
    sealed_private: row.sealed_private,
    created_at: row.created_at,
    retired_at: row.retired_at,
  }),
)

/** A tenant has a handful of keys; the newest come first. */
const list = statement((db, p: { tenantId: string; purpose: string }) =>
  db
    .selectFrom('signing_key')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('purpose', '=', p.purpose)
    .orderBy('created_at', 'desc')
    .orderBy('kid'),
)

const find = statement((db, p: { tenantId: string; kid: string }) =>
  db
    .selectFrom('signing_key')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('kid', '=', p.kid),
)

const remove = statement((db, p: { tenantId: string; kid: string }) =>
  db.deleteFrom('signing_key').where('tenant_id', '=', p.tenantId).where('kid', '=', p.kid),
)

const retireOthers = statement(
  (db, p: { tenantId: string; purpose: string; kid: string; atMs: number }) =>
    db
      .updateTable('signing_key')
      .set({ retired_at: p.atMs })
      .where('tenant_id', '=', p.tenantId)
      .where('purpose', '=', p.purpose)
      .where('kid', '<>', p.kid)
      .where('retired_at', 'is', null),
)

const removeRetired = statement(
  (db, p: { tenantId: string; purpose: string; retiredBeforeMs: number }) =>
    db
      .deleteFrom('signing_key')
      .where('tenant_id', '=', p.tenantId)
      .where('purpose', '=', p.purpose)
      .where('retired_at', '<', p.retiredBeforeMs),
)

const removeAll = statement((db, p: { tenantId: string }) =>
  db.deleteFrom('signing_key').where('tenant_id', '=', p.tenantId),
)

/** Signing keys with sealed private halves. */
export class SigningKeyStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  async insert(key: SigningKey): Promise<void> {
    await this.#queries.run(insert, {
      tenant_id: key.tenantId,
      kid: key.kid,
      purpose: key.purpose,
      public_jwk: JSON.stringify(key.publicJwk),
      sealed_private: key.sealedPrivate,
      created_at: key.createdAtMs,
      retired_at: key.retiredAtMs,
    })
  }

  async find(tenantId: string, kid: string): Promise<SigningKey | undefined> {
    const row = await this.#queries.first(find, { tenantId, kid })
    return row && asKey(row)
  }

  /** From then on nothing is signed with it. */
  async remove(tenantId: string, kid: string): Promise<void> {
    await this.#queries.run(remove, { tenantId, kid })
  }

  /** Retired ones too, newest first. */
  async list(tenantId: string, purpose: SigningPurpose): Promise<SigningKey[]> {
    return (await this.#queries.all(list, { tenantId, purpose })).map(asKey)
  }

  /** The key that signs now; undefined when the tenant has none, or is gone. */
  async findActive(tenantId: string, purpose: SigningPurpose): Promise<SigningKey | undefined> {
    return (await this.list(tenantId, purpose)).find(({ retiredAtMs }) => retiredAtMs === null)
  }

  /** Only `kid` signs from now on. */
  async retireOthers(
    tenantId: string,
    purpose: SigningPurpose,
    { kid, atMs }: { kid: string; atMs: number },
  ): Promise<void> {
    await this.#queries.run(retireOthers, { tenantId, purpose, kid, atMs })
  }

  /** @returns how many were removed. */
  removeRetired(
    tenantId: string,
    purpose: SigningPurpose,
    retiredBeforeMs: number,
  ): Promise<number> {
    return this.#queries.run(removeRetired, { tenantId, purpose, retiredBeforeMs })
  }

  async removeAll(tenantId: string): Promise<void> {
    await this.#queries.run(removeAll, { tenantId })
  }
}

function asKey(row: SigningKeyTable): SigningKey {
  return {
    tenantId: row.tenant_id,
    kid: row.kid,
    purpose: row.purpose as SigningPurpose,
    publicJwk: JSON.parse(row.public_jwk) as SigningKey['publicJwk'],
    sealedPrivate: row.sealed_private,
    createdAtMs: row.created_at,
    retiredAtMs: row.retired_at,
  }
}
