import type { Queries } from '#storage/queries.ts'
import { type Builder, statement } from '#storage/statement.ts'
import { AddressRange } from '../address-range.ts'
import { platformTenantId } from './caller.ts'
import type { Scope } from './scopes.ts'

/** All that decides about a presented credential, read in one go. */
export interface Credential {
  readonly accountId: string
  /** Where the account's rows stand; `_platform` for the platform's. */
  readonly homeId: string
  /** Null: of the platform. */
  readonly tenantId: string | null
  readonly scopes: readonly Scope[]
  readonly enabled: boolean
  readonly expiresAtMs: number | null
  /** Empty: any address. */
  readonly allowedAddresses: readonly AddressRange[]
  readonly secretHash: string
  readonly previousSecretHash: string | null
  readonly previousValidUntilMs: number | null
  readonly lastUsedAtMs: number | null
  /** False for a tenant that is disabled or gone. */
  readonly tenantIsActive: boolean
  readonly settingsVersion: number | undefined
}

interface CredentialRow {
  readonly tenant_id: string
  readonly id: string
  readonly scopes: string
  readonly enabled: number
  readonly expires_at: number | null
  readonly allowed_addresses: string
  readonly secret_hash: string
  readonly previous_secret_hash: string | null
  readonly previous_valid_until: number | null
  readonly last_used_at: number | null
  readonly status: string | null
  readonly settings_version: number | null
}

function credentials(db: Builder) {
  return db
    .selectFrom('service_account as account')
    .leftJoin('tenant', 'tenant.tenant_id', 'account.tenant_id')
    .select([
      'account.tenant_id',
      'account.id',
      'account.scopes',
      'account.enabled',
      'account.expires_at',
      'account.allowed_addresses',
      'account.secret_hash',
      'account.previous_secret_hash',
      'account.previous_valid_until',
      'account.last_used_at',
      'tenant.status',
      'tenant.settings_version',
    ])
}

const findBySecret = statement((db, p: { hash: string }) =>
  credentials(db).where('account.secret_hash', '=', p.hash),
)

const findByPreviousSecret = statement((db, p: { hash: string }) =>
  credentials(db).where('account.previous_secret_hash', '=', p.hash),
)

const findById = statement((db, p: { id: string }) =>
  credentials(db).where('account.id', '=', p.id),
)

const findByCertificate = statement((db, p: { thumbprint: string }) =>
  credentials(db)
    .innerJoin('service_account_certificate as certificate', (join) =>
      join
        .onRef('certificate.tenant_id', '=', 'account.tenant_id')
        .onRef('certificate.account_id', '=', 'account.id'),
    )
    .where('certificate.thumbprint', '=', p.thumbprint),
)

/** Finds accounts by what they present. The usual case is one indexed read. */
export class CredentialStore {
  readonly #queries: Queries
  #moment: object | undefined
  readonly #ofMoment = new Map<string, Credential>()

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** By the hash of the account's secret, or of the one before; the caller looks at how long that is valid. */
  async findBySecret(hash: string): Promise<Credential | undefined> {
    const moment = this.#queries.moment?.()
    if (moment === undefined) return this.#readBySecret(hash)
    if (moment !== this.#moment) {
      this.#moment = moment
      this.#ofMoment.clear()
    }
    const known = this.#ofMoment.get(hash)
    if (known !== undefined) return known
    const credential = await this.#readBySecret(hash)
    // The state may have changed while it was read; then it is not known of which one it is.
    if (credential !== undefined && moment === this.#queries.moment?.()) {
      this.#ofMoment.set(hash, credential)
    }
    return credential
  }

  async #readBySecret(hash: string): Promise<Credential | undefined> {
    const row =
      (await this.#queries.first(findBySecret, { hash })) ??
      (await this.#queries.first(findByPreviousSecret, { hash }))
    return row && asCredential(row)
  }

  async findById(id: string): Promise<Credential | undefined> {
    const row = await this.#queries.first(findById, { id })
    return row && asCredential(row)
  }

  async findByCertificate(thumbprint: string): Promise<Credential | undefined> {
    const row = await this.#queries.first(findByCertificate, { thumbprint })
    return row && asCredential(row)
  }
}

function asCredential(row: CredentialRow): Credential {
  const isPlatform = row.tenant_id === platformTenantId
  return {
    accountId: row.id,
    homeId: row.tenant_id,
    tenantId: isPlatform ? null : row.tenant_id,
    scopes: scopesOf(row.scopes),
    enabled: row.enabled === 1,
    expiresAtMs: row.expires_at,
    allowedAddresses: rangesOf(row.allowed_addresses),
    secretHash: row.secret_hash,
    previousSecretHash: row.previous_secret_hash,
    previousValidUntilMs: row.previous_valid_until,
    lastUsedAtMs: row.last_used_at,
    tenantIsActive: isPlatform || row.status === 'ACTIVE',
    settingsVersion: row.settings_version ?? undefined,
  }
}

const keptTextsMax = 1_000

/** Reads a stored text once; accounts that share it share the result. */
function remembering<T>(read: (text: string) => T): (text: string) => T {
  const kept = new Map<string, T>()
  return (text) => {
    const known = kept.get(text)
    if (known !== undefined) return known
    if (kept.size >= keptTextsMax) kept.clear()
    const value = read(text)
    kept.set(text, value)
    return value
  }
}

const scopesOf = remembering((text): readonly Scope[] => Object.freeze(JSON.parse(text) as Scope[]))

const rangesOf = remembering((text): readonly AddressRange[] =>
  (JSON.parse(text) as string[]).map((range) => {
    const parsed = AddressRange.parse(range)
    if (parsed === undefined) throw new Error('A stored address range cannot be read.')
    return parsed
  }),
)
