import { setImmediate as nextTurn } from 'node:timers/promises'
import { column, fragment, fragmentStatement, tableAs } from '#storage/fragment.ts'
import type { Queries } from '#storage/queries.ts'
import type { CertificateIssuerTable } from '#storage/schema/certificates.ts'
import { dynamicStatement, nothing } from '#storage/statement.ts'
import { type Condition, requiredText } from '../conditions/condition.ts'
import { compileCondition } from '../conditions/condition-store.ts'
import type { Certificate } from './certificate.ts'
import { asCertificate, certificatesWithDer } from './certificate-store.ts'
import type { Issuer } from './issuer.ts'
import { asIssuer } from './issuer-store.ts'

/** One page by number, and how many there are in all. */
export interface FoundPage<T> {
  readonly items: readonly T[]
  readonly totalCount: number
}

export interface PageOf {
  /** From 0. */
  readonly offset: number
  readonly limit: number
}

/** Rows that one statement looks at: what one turn of the event loop can spare. */
const windowSize = 2_000
/** A tenant's newest million of certificates is searched. */
const windowsMax = 500

const signerFields = {
  id: column('s', 'id'),
  name: column('s', 'name'),
  generation: column('s', 'generation'),
  state: column('s', 'state'),
  createdAt: column('s', 'created_at'),
  updatedAt: column('s', 'updated_at'),
}

const certificateFields = {
  id: column('c', 'id'),
  profile: column('c', 'profile'),
  issuer: column('c', 'issuer_id'),
  user: column('c', 'user_id'),
  device: column('c', 'device_id'),
  status: column('c', 'status'),
  /** Of the request: what was revoked was issued. */
  requestStatus: fragment`case ${column('c', 'status')} when 'REVOKED' then 'ISSUED' else ${column('c', 'status')} end`,
}

/** Columns with an index of their own, those that leave the fewest rows first. */
const indexedFields = [
  ['id', 'id'],
  ['device', 'device_id'],
  ['user', 'user_id'],
  ['status', 'status'],
  ['issuer', 'issuer_id'],
] as const

/** The rows that a search looks at; undefined: all of the tenant. */
type Narrowing =
  | { readonly column: (typeof indexedFields)[number][1]; readonly value: string }
  | undefined

function narrowingOf(condition: Condition | undefined): Narrowing {
  for (const [field, column] of indexedFields) {
    const value = requiredText(condition, field)
    if (value !== undefined) return { column, value }
  }
  // What is not issued has the status of its request.
  const value = requiredText(condition, 'requestStatus')
  return value === undefined || value === 'ISSUED' ? undefined : { column: 'status', value }
}

/** Searches by conditions, newest first, with a total. */
export class PkiSearchStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** Signers; a tenant has a bounded number of them. Fields: id, name, generation, state, createdAt, updatedAt (ms). */
  async searchSigners(
    tenantId: string,
    condition: Condition | undefined,
    { offset, limit }: PageOf,
  ): Promise<FoundPage<Issuer>> {
    const fits =
      condition === undefined ? fragment`1 = 1` : compileCondition(condition, signerFields)
    const rows = await this.#queries.all(
      fragmentStatement<CertificateIssuerTable>(
        fragment`(select s.* from ${tableAs('certificate_issuer', 's')} where ${column('s', 'tenant_id')} = ${tenantId} and ${column('s', 'generation')} >= ${0} and ${fits} order by ${column('s', 'generation')} desc)`,
      ),
      nothing,
    )
    const items = rows.slice(offset, offset + limit).map(asIssuer)
    return { items, totalCount: rows.length }
  }

  /**
   * Fields: id, profile, issuer, user, device, status, requestStatus. Where the condition says what one of them is, only
   * those rows are looked at, else the tenant's newest million.
   */
  async searchCertificates(
    tenantId: string,
    condition: Condition | undefined,
    { offset, limit }: PageOf,
  ): Promise<FoundPage<Certificate>> {
    const narrowing = narrowingOf(condition)
    const wanted: string[] = []
    let totalCount = 0
    let before = '~'
    for (let window = 0; window < windowsMax; window++) {
      const end = await this.#windowEnd(tenantId, narrowing, before)
      for (const id of await this.#fitting(tenantId, { condition, narrowing }, before, end)) {
        if (totalCount >= offset && wanted.length < limit) wanted.push(id)
        totalCount++
      }
      if (end === undefined) break
      before = end
      await nextTurn()
    }
    return { items: await this.#load(tenantId, wanted), totalCount }
  }

  async #windowEnd(
    tenantId: string,
    narrowing: Narrowing,
    before: string,
  ): Promise<string | undefined> {
    const row = await this.#queries.first(
      dynamicStatement((db) => {
        const rows = db
          .selectFrom('certificate as c')
          .select('c.id')
          .where('c.tenant_id', '=', tenantId)
          .where('c.id', '<', before)
          .orderBy('c.id', 'desc')
          .limit(1)
          .offset(windowSize - 1)
        return narrowing === undefined
          ? rows
          : rows.where(`c.${narrowing.column}`, '=', narrowing.value)
      }),
      nothing,
    )
    return row?.id
  }

  async #fitting(
    tenantId: string,
    { condition, narrowing }: { condition: Condition | undefined; narrowing: Narrowing },
    before: string,
    end: string | undefined,
  ): Promise<string[]> {
    const isNear =
      narrowing === undefined
        ? fragment`1 = 1`
        : fragment`${column('c', narrowing.column)} = ${narrowing.value}`
    const fits =
      condition === undefined ? fragment`1 = 1` : compileCondition(condition, certificateFields)
    const id = column('c', 'id')
    const rows = await this.#queries.all(
      fragmentStatement<{ id: string }>(
        fragment`(select ${id} from ${tableAs('certificate', 'c')} where ${column('c', 'tenant_id')} = ${tenantId} and ${id} < ${before} and ${id} >= ${end ?? ''} and ${isNear} and ${fits} order by ${id} desc)`,
      ),
      nothing,
    )
    return rows.map((row) => row.id)
  }

  async #load(tenantId: string, ids: readonly string[]): Promise<Certificate[]> {
    if (ids.length === 0) return []
    const rows = await this.#queries.all(
      dynamicStatement((db) =>
        certificatesWithDer(db)
          .where('c.tenant_id', '=', tenantId)
          .where('c.id', 'in', [...ids])
          .orderBy('c.id', 'desc'),
      ),
      nothing,
    )
    return rows.map(asCertificate)
  }
}
