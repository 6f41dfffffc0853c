import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import { decodeCursor, type Page, type PageRequest, pageOf } from '../paging.ts'
import { type Storage, type Stores, takenKey } from '../storage.ts'
import type { OutboundRule } from '../tenants/outbound-rule.ts'
import { isPlainId } from '../tenants/tenant.ts'
import type { IdSource } from '../ulid.ts'
import type { Caller } from './caller.ts'
import {
  defaultIssuerSettings,
  faultsOfIssuer,
  mergeIssuer,
  type TrustedIssuer,
  type TrustedIssuerChanges,
  type TrustedIssuerSettings,
} from './trusted-issuer.ts'

const attemptsMax = 5

export interface NewTrustedIssuer extends TrustedIssuerChanges {
  /** Absent: a ULID. */
  readonly id?: string | undefined
  readonly issuer: string
  readonly audiences: readonly string[]
}

/** Administers the identity providers whose tokens a tenant accepts. */
export class TrustedIssuerService {
  readonly #storage: Storage
  readonly #outbound: OutboundRule
  readonly #clock: Clock
  readonly #nextId: IdSource

  constructor(dependencies: {
    storage: Storage
    outbound: OutboundRule
    clock: Clock
    nextId: IdSource
  }) {
    this.#storage = dependencies.storage
    this.#outbound = dependencies.outbound
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
  }

  /**
   * @throws DomainError `forbidden`, `tenant_not_found`, `invalid_request`, `url_not_allowed`; `already_exists` for an
   * id or an `iss` that the tenant has already.
   */
  async create(caller: Caller, tenantId: string, draft: NewTrustedIssuer): Promise<TrustedIssuer> {
    caller.requireIn(tenantId, 'tenant:write')
    const { id = this.#nextId(), ...given } = draft
    const settings = mergeIssuer(
      { ...defaultIssuerSettings, issuer: draft.issuer, audiences: draft.audiences },
      given,
    )
    this.#requireFit(settings, isPlainId(id))
    const nowMs = this.#clock()
    const times = { createdAtMs: nowMs, updatedAtMs: nowMs }
    const issuer: TrustedIssuer = { ...settings, tenantId, id, ulid: this.#nextId(), ...times }
    await explainTaken(() =>
      this.#storage.transaction(async (stores) => {
        await stores.tenants.requireFor(caller, tenantId)
        await stores.trustedIssuers.insert(issuer)
        await report(stores, caller, 'trusted-issuer.created', issuer)
      }),
    )
    return issuer
  }

  /** In order of creation. @throws DomainError `forbidden`, `tenant_not_found`, `cursor_invalid`. */
  async list(
    caller: Caller,
    tenantId: string,
    { limit, cursor }: PageRequest,
  ): Promise<Page<TrustedIssuer>> {
    caller.requireIn(tenantId, 'tenant:read')
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    const scope = { list: 'trusted-issuers', tenantId, nowMs: this.#clock() }
    const [afterUlid] = decodeCursor(cursor, ['text'], scope) ?? ['']
    const rows = await this.#storage.read.trustedIssuers.list(tenantId, {
      afterUlid,
      limit: limit + 1,
    })
    return pageOf(
      rows,
      limit,
      scope,
      ({ ulid }) => [ulid],
      (issuer) => issuer,
    )
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`, `issuer_not_found`. */
  async get(caller: Caller, tenantId: string, id: string): Promise<TrustedIssuer> {
    caller.requireIn(tenantId, 'tenant:read')
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    return found(await this.#storage.read.trustedIssuers.find(tenantId, id))
  }

  /**
   * Changes what is named; setting one of `jwksUri` and `jwks` clears the other.
   *
   * @throws DomainError as `create`; `issuer_not_found`.
   */
  async update(
    caller: Caller,
    tenantId: string,
    id: string,
    changes: TrustedIssuerChanges,
  ): Promise<TrustedIssuer> {
    caller.requireIn(tenantId, 'tenant:write')
    return explainTaken(() =>
      this.#storage.transaction(async (stores) => {
        await stores.tenants.requireFor(caller, tenantId)
        const nowMs = this.#clock()
        for (let attempt = 1; attempt <= attemptsMax; attempt++) {
          const present = found(await stores.trustedIssuers.find(tenantId, id))
          const settings = mergeIssuer(present, changes)
          this.#requireFit(settings, true)
          if (!(await stores.trustedIssuers.replace(present, settings, nowMs))) continue
          await report(stores, caller, 'trusted-issuer.updated', { ...present, ...settings })
          return { ...present, ...settings, updatedAtMs: nowMs }
        }
        throw new DomainError('unavailable', 'The issuer is being changed.', {
          retryAfterSeconds: 1,
        })
      }),
    )
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`, `issuer_not_found`. */
  async delete(caller: Caller, tenantId: string, id: string): Promise<void> {
    caller.requireIn(tenantId, 'tenant:write')
    await this.#storage.transaction(async (stores) => {
      await stores.tenants.requireFor(caller, tenantId)
      const present = found(await stores.trustedIssuers.find(tenantId, id))
      found((await stores.trustedIssuers.remove(tenantId, id)) ? present : undefined)
      await stores.issuerKeys.remove(tenantId, id)
      await report(stores, caller, 'trusted-issuer.deleted', present)
    })
  }

  #requireFit(settings: TrustedIssuerSettings, idFits: boolean): void {
    const faults = faultsOfIssuer(settings)
    if (!idFits) {
      const message = 'must be 1 to 64 letters, digits, . _ -'
      faults.push({ pointer: '/id', code: 'bad_format', message })
    }
    if (faults.length > 0) {
      throw new DomainError('invalid_request', 'The issuer is not well described.', { faults })
    }
    const { jwksUri } = settings
    if (jwksUri === null || this.#outbound.permits(jwksUri)) return
    const message = 'must be https to a public address, or be allowed by the operator'
    throw new DomainError('url_not_allowed', 'The address is outside the allow-list.', {
      faults: [{ pointer: '/jwksUri', code: 'unsupported', message }],
    })
  }
}

function found(issuer: TrustedIssuer | undefined): TrustedIssuer {
  if (issuer === undefined) throw new DomainError('issuer_not_found', 'No such issuer.')
  return issuer
}

async function explainTaken<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (takenKey(error) === undefined) throw error
    throw new DomainError('already_exists', 'The id or the issuer is taken.')
  }
}

async function report(
  { journal }: Stores,
  caller: Caller,
  action: string,
  { tenantId, id, issuer, enabled, scopeMap }: TrustedIssuer,
): Promise<void> {
  const target = { type: 'trusted-issuer', id }
  await journal.append(caller, tenantId, { action, target, detail: { issuer, enabled, scopeMap } })
}
