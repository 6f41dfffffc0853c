import type { Queries } from '#storage/queries.ts'
import type { CertificateIssuerTable } from '#storage/schema/certificates.ts'
import { statement } from '#storage/statement.ts'
import { type Issuer, type KeyHashes, rootId, type SignerState } from './issuer.ts'

interface Key {
  readonly tenantId: string
  readonly id: string
}

/** An issuer to be stored; without certificate until one is issued. */
export interface NewIssuer extends Key {
  readonly name: string
  readonly generation: number
  readonly state: 'ROOT' | 'ACTIVE'
  readonly subject: Uint8Array
  readonly nowMs: number
}

/** What an issuer gets when its certificate is issued. */
export interface IssuerCertificate extends Key {
  readonly kid: string
  readonly keyHashes: KeyHashes
  readonly der: Uint8Array
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly nowMs: number
}

const insert = statement((db, p: NewIssuer) =>
  db
    .insertInto('certificate_issuer')
    .values({
      tenant_id: p.tenantId,
      id: p.id,
      name: p.name,
      generation: p.generation,
      state: p.state,
      subject: p.subject,
      is_used: 0,
      issued_count: 0,
      kid: null,
      key_sha1: null,
      key_sha256: null,
      certificate: null,
      not_before: null,
      not_after: null,
      created_at: p.nowMs,
      updated_at: p.nowMs,
    })
    .onConflict((conflict) => conflict.doNothing()),
)

const find = statement((db, p: Key) =>
  db
    .selectFrom('certificate_issuer')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id),
)

const findActive = statement((db, p: { tenantId: string }) =>
  db
    .selectFrom('certificate_issuer')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('state', '=', 'ACTIVE'),
)

const findBySha1 = statement((db, p: { tenantId: string; hash: string }) =>
  db
    .selectFrom('certificate_issuer')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('key_sha1', '=', p.hash),
)

const findBySha256 = statement((db, p: { tenantId: string; hash: string }) =>
  db
    .selectFrom('certificate_issuer')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('key_sha256', '=', p.hash),
)

const lastGeneration = statement((db, p: { tenantId: string }) =>
  db
    .selectFrom('certificate_issuer')
    .select('generation')
    .where('tenant_id', '=', p.tenantId)
    .where('generation', '>=', 0)
    .orderBy('generation', 'desc')
    .limit(1),
)

const listTrusted = statement((db, p: { tenantId: string; limit: number }) =>
  db
    .selectFrom('certificate_issuer')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('state', 'in', ['ACTIVE', 'RETIRED'])
    .where('certificate', 'is not', null)
    .orderBy('generation', 'desc')
    .limit(p.limit),
)

const retireActive = statement((db, p: { tenantId: string; nowMs: number }) =>
  db
    .updateTable('certificate_issuer')
    .set({ state: 'RETIRED', updated_at: p.nowMs })
    .where('tenant_id', '=', p.tenantId)
    .where('state', '=', 'ACTIVE'),
)

const markUsed = statement((db, p: Key) =>
  db
    .updateTable('certificate_issuer')
    .set({ is_used: 1 })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id)
    .where('is_used', '=', 0),
)

const takeNumbers = statement((db, p: Key & { count: number }) =>
  db
    .updateTable('certificate_issuer')
    .set((eb) => ({ issued_count: eb('issued_count', '+', p.count) }))
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id)
    .returning('issued_count'),
)

const setCertificate = statement(
  (
    db,
    p: Key & {
      kid: string
      sha1: string
      sha256: string
      der: Uint8Array
      notBeforeMs: number
      notAfterMs: number
      nowMs: number
    },
  ) =>
    db
      .updateTable('certificate_issuer')
      .set({
        kid: p.kid,
        key_sha1: p.sha1,
        key_sha256: p.sha256,
        certificate: p.der,
        not_before: p.notBeforeMs,
        not_after: p.notAfterMs,
        updated_at: p.nowMs,
      })
      .where('tenant_id', '=', p.tenantId)
      .where('id', '=', p.id)
      .where('state', '<>', 'REVOKED')
      .where((eb) => eb.or([eb('kid', 'is', null), eb('kid', '=', p.kid)])),
)

const revoke = statement((db, p: Key & { nowMs: number }) =>
  db
    .updateTable('certificate_issuer')
    .set({ state: 'REVOKED', certificate: null, updated_at: p.nowMs })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id)
    .where('state', 'in', ['ACTIVE', 'RETIRED']),
)

/** Signers in the order of their revocation, after one of them. */
export interface ClosingPage {
  readonly untilMs: number
  readonly afterMs: number
  readonly afterId: string
  readonly limit: number
}

/** Of all tenants: whoever revoked last comes last. */
const listClosing = statement((db, p: ClosingPage) =>
  db
    .selectFrom('certificate_issuer')
    .selectAll()
    .where('state', '=', 'REVOKED')
    .where('kid', 'is not', null)
    .where('updated_at', '>=', p.afterMs)
    .where('updated_at', '<=', p.untilMs)
    .where((eb) => eb.or([eb('updated_at', '>', p.afterMs), eb('id', '>', p.afterId)]))
    .orderBy('updated_at')
    .orderBy('id')
    .limit(p.limit),
)

const forgetKey = statement((db, p: Key & { kid: string }) =>
  db
    .updateTable('certificate_issuer')
    .set({ kid: null })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id)
    .where('state', '=', 'REVOKED')
    .where('kid', '=', p.kid),
)

const removeUnused = statement((db, p: Key) =>
  db
    .deleteFrom('certificate_issuer')
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id)
    .where('is_used', '=', 0)
    .where('state', '<>', 'ROOT'),
)

/** Roots and signers. */
export class IssuerStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** False when its id, its generation or the place of the ACTIVE one is taken. */
  async insert(issuer: NewIssuer): Promise<boolean> {
    return (await this.#queries.run(insert, issuer)) === 1
  }

  async find(tenantId: string, id: string): Promise<Issuer | undefined> {
    const row = await this.#queries.first(find, { tenantId, id })
    return row && asIssuer(row)
  }

  async findActive(tenantId: string): Promise<Issuer | undefined> {
    const row = await this.#queries.first(findActive, { tenantId })
    return row && asIssuer(row)
  }

  /** @param hash of the public point, hex. */
  /** ACTIVE and RETIRED signers that have a certificate, newest first. */
  async listTrusted(tenantId: string, limit: number): Promise<Issuer[]> {
    return (await this.#queries.all(listTrusted, { tenantId, limit })).map(asIssuer)
  }

  async findByKey(
    tenantId: string,
    algorithm: 'sha1' | 'sha256',
    hash: string,
  ): Promise<Issuer | undefined> {
    const byHash = algorithm === 'sha1' ? findBySha1 : findBySha256
    const row = await this.#queries.first(byHash, { tenantId, hash })
    return row && asIssuer(row)
  }

  /** The generation that the next signer gets. */
  async nextGeneration(tenantId: string): Promise<number> {
    const last = await this.#queries.first(lastGeneration, { tenantId })
    return last === undefined ? 0 : last.generation + 1
  }

  async retireActive(tenantId: string, nowMs: number): Promise<void> {
    await this.#queries.run(retireActive, { tenantId, nowMs })
  }

  /** From then on the signer cannot be deleted. */
  async markUsed(tenantId: string, id: string): Promise<void> {
    await this.#queries.run(markUsed, { tenantId, id })
  }

  /**
   * Gives out places in the issuer's revocation lists.
   *
   * @returns how many were given out before; undefined when the issuer is gone.
   */
  async takeNumbers(tenantId: string, id: string, count: number): Promise<number | undefined> {
    const row = await this.#queries.first(takeNumbers, { tenantId, id, count })
    return row && row.issued_count - count
  }

  /** False when it was revoked or deleted, or has got another key meanwhile. */
  async setCertificate({ keyHashes, ...certificate }: IssuerCertificate): Promise<boolean> {
    return (await this.#queries.run(setCertificate, { ...certificate, ...keyHashes })) === 1
  }

  /** True for whoever revokes a signer, once. */
  async revoke(tenantId: string, id: string, nowMs: number): Promise<boolean> {
    return (await this.#queries.run(revoke, { tenantId, id, nowMs })) === 1
  }

  /** Revoked up to a moment, of all tenants, and their key is still there. */
  async listClosing(page: ClosingPage): Promise<Issuer[]> {
    return (await this.#queries.all(listClosing, page)).map(asIssuer)
  }

  /** True for whoever takes a revoked signer's key away, once. */
  async forgetKey({ tenantId, id }: Issuer, kid: string): Promise<boolean> {
    return (await this.#queries.run(forgetKey, { tenantId, id, kid })) === 1
  }

  /** False when something was requested from it, or it is no signer. */
  async removeUnused(tenantId: string, id: string): Promise<boolean> {
    return id !== rootId && (await this.#queries.run(removeUnused, { tenantId, id })) === 1
  }
}

export function asIssuer(row: CertificateIssuerTable): Issuer {
  return {
    tenantId: row.tenant_id,
    id: row.id,
    name: row.name,
    generation: row.generation,
    state: row.state as SignerState | 'ROOT',
    subject: row.subject,
    isUsed: row.is_used === 1,
    issuedCount: row.issued_count,
    kid: row.kid ?? undefined,
    certificate: row.certificate ?? undefined,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
  }
}
