import type { Randomness } from '#custody/randomness.ts'
import type { Signer } from '#custody/signer.ts'
import type { Vault } from '#custody/vault.ts'
import { type Caller, platformTenantId } from '../callers/caller.ts'
import type { RootService } from '../certificates/root-service.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import { decodeCursor, type Page, type PageRequest, pageOf } from '../paging.ts'
import { type Storage, type Stores, takenKey } from '../storage.ts'
import type { IdSource } from '../ulid.ts'
import { platformValueNames } from './platform-bootstrap.ts'
import { newCallbackSecret, putCallbackSecret } from './settings-service.ts'
import { isPlainId, type Tenant, type TenantStatus } from './tenant.ts'
import type { TenantPurge } from './tenant-purge.ts'

const nameLengthMax = 255
const numberAttemptsMax = 20

/** Puts the tenant's waiting journal records into its chain. */
export interface TenantSealer {
  sealTenant(tenantId: string): Promise<unknown>
}

/** Makes, changes and deletes tenants: the platform administrators' work. */
export class TenantService {
  readonly #storage: Storage
  readonly #vault: Vault
  readonly #signer: Signer
  readonly #sealer: TenantSealer
  readonly #roots: RootService
  readonly #purge: TenantPurge
  readonly #randomness: Randomness
  readonly #clock: Clock
  readonly #nextId: IdSource

  constructor(dependencies: {
    storage: Storage
    vault: Vault
    signer: Signer
    sealer: TenantSealer
    roots: RootService
    purge: TenantPurge
    randomness: Randomness
    clock: Clock
    nextId: IdSource
  }) {
    this.#storage = dependencies.storage
    this.#vault = dependencies.vault
    this.#signer = dependencies.signer
    this.#sealer = dependencies.sealer
    this.#roots = dependencies.roots
    this.#purge = dependencies.purge
    this.#randomness = dependencies.randomness
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
  }

  /**
   * Makes a tenant with its data key, its audit key, its root, its domain `default`, the built-in token products and the default
   * repository.
   *
   * @param tenant.id absent: a ULID.
   * @throws DomainError `forbidden`, `invalid_request`; `already_exists` for an id that is or was in use in any case.
   */
  async create(caller: Caller, tenant: { id?: string | undefined; name: string }): Promise<Tenant> {
    caller.require('platform:admin')
    const id = tenant.id ?? this.#nextId()
    const name = requireName(tenant.name)
    requireId(id)

    const dataKey = this.#vault.createWrappedKey(id, 1)
    const auditKey = await this.#signer.createKey()
    const sealedAuditKey = await auditKey.seal(id, dataKey)
    const root = await this.#roots.prepare(id, dataKey)
    const callbackSecret = newCallbackSecret(id, dataKey, {
      vault: this.#vault,
      randomness: this.#randomness,
    })
    try {
      return await this.#storage.transaction(async (stores) => {
        const nowMs = this.#clock()
        const number = await nextNumber(stores)
        await stores.tenants.insert({ id, number, name, nowMs })
        await stores.tenantKeys.insert(id, dataKey, nowMs)
        await stores.signingKeys.insert({
          tenantId: id,
          kid: auditKey.kid,
          purpose: 'audit',
          publicJwk: auditKey.publicJwk,
          sealedPrivate: sealedAuditKey,
          createdAtMs: nowMs,
          retiredAtMs: null,
        })
        await root.insert(stores)
        await putCallbackSecret(stores, id, callbackSecret)
        await stores.userDomains.insertFirst(id, nowMs, this.#nextId)
        await stores.products.insertDefaults(id, nowMs, this.#nextId)
        await stores.repositories.insertDefaults(id, nowMs, this.#nextId)
        await this.#report(stores, caller, 'tenant.created', id, { name, number })
        return { id, number, name, status: 'ACTIVE', createdAtMs: nowMs, updatedAtMs: nowMs }
      })
    } catch (error) {
      if (takenKey(error) === undefined) throw error
      throw new DomainError('already_exists', 'The id is taken.')
    }
  }

  /** In order of creation. @throws DomainError `forbidden`, `cursor_invalid`. */
  async list(
    caller: Caller,
    { limit, cursor, status }: PageRequest & { status?: TenantStatus | undefined },
  ): Promise<Page<Tenant>> {
    caller.require('platform:admin')
    const scope = { list: 'tenants', tenantId: null, filters: { status }, nowMs: this.#clock() }
    const [afterNumber] = decodeCursor(cursor, ['integer'], scope) ?? [0]
    const filter = { afterNumber, limit: limit + 1, status }
    const rows = await this.#storage.read.tenants.list(filter)
    return pageOf(
      rows,
      limit,
      scope,
      ({ number }) => [number],
      (tenant) => tenant,
    )
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`. */
  async get(caller: Caller, tenantId: string): Promise<Tenant> {
    caller.requireIn(tenantId, 'tenant:read')
    return this.#storage.read.tenants.get(tenantId)
  }

  /**
   * The server-wide number of the caller's tenant, for those who may not read the tenant itself.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`.
   */
  async numberOf(caller: Caller, tenantId: string): Promise<number> {
    caller.requireIn(tenantId, 'keyless:backend')
    return (await this.#storage.read.tenants.get(tenantId)).number
  }

  /**
   * Makes sure that the tenant of a path is there for the caller; no scope is asked for.
   *
   * @throws DomainError `tenant_not_found`.
   */
  requireVisible(caller: Caller, tenantId: string): Promise<void> {
    return this.#storage.read.tenants.requireFor(caller, tenantId)
  }

  /**
   * Renames, disables or enables. While a tenant is DISABLED the credentials of all its accounts are invalid.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `invalid_request`.
   */
  async update(
    caller: Caller,
    tenantId: string,
    change: { name?: string | undefined; status?: TenantStatus | undefined },
  ): Promise<Tenant> {
    caller.require('platform:admin')
    const newName = change.name === undefined ? undefined : requireName(change.name)
    return this.#storage.transaction(async (stores) => {
      const present = await stores.tenants.get(tenantId)
      const updatedAtMs = this.#clock()
      const { name, status } = {
        name: newName ?? present.name,
        status: change.status ?? present.status,
      }
      if (!(await stores.tenants.update({ id: tenantId, name, status, nowMs: updatedAtMs }))) {
        throw new DomainError('tenant_not_found', 'No such tenant.')
      }
      await this.#report(stores, caller, 'tenant.updated', tenantId, { name, status })
      return { ...present, name, status, updatedAtMs }
    })
  }

  /**
   * Deletes a DISABLED tenant with everything it has. Its keys go at once, so that nothing of it can be read any more;
   * its rows go in batches, the last ones behind the answer when there are many. The id stays taken.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`; `state_conflict` while the tenant is ACTIVE.
   */
  async delete(caller: Caller, tenantId: string): Promise<void> {
    caller.require('platform:admin')
    const { status } = await this.#storage.read.tenants.get(tenantId)
    if (status === 'DISABLED') await this.#sealer.sealTenant(tenantId)
    await this.#storage.transaction(async (stores) => {
      const nowMs = this.#clock()
      if (!(await stores.tenants.markDeleted(tenantId, nowMs))) {
        // Whoever deleted it at the same time has done the work.
        await stores.tenants.get(tenantId)
        throw new DomainError('state_conflict', 'Only a disabled tenant can be deleted.')
      }
      const head = await stores.chain.findHead(tenantId)
      await this.#purge.begin(stores, tenantId, nowMs)
      await this.#report(stores, caller, 'tenant.deleted', tenantId, {
        lastSeq: head?.seq ?? 0,
        lastHash: head?.hash ?? null,
      })
    })
    this.#vault.forget(tenantId)
    await this.#purge.continueOne(tenantId)
  }

  async #report(
    stores: Stores,
    caller: Caller,
    action: string,
    tenantId: string,
    detail: { [name: string]: string | number | null },
  ): Promise<void> {
    const target = { type: 'tenant', id: tenantId }
    await stores.journal.append(caller, platformTenantId, { action, target, detail })
  }
}

/** The next server-wide ordinal; numbers have no gaps, because the counter is part of the transaction. */
async function nextNumber({ platformValues }: Stores): Promise<number> {
  const key = { tenantId: platformTenantId, name: platformValueNames.tenantNumber }
  for (let attempt = 1; attempt <= numberAttemptsMax; attempt++) {
    const seen = await platformValues.find(key)
    if (seen === undefined) throw new Error('The platform has not been made.')
    const number = Number(seen) + 1
    if (await platformValues.replace(key, { seen, value: String(number) })) return number
  }
  throw new DomainError('unavailable', 'Too many tenants are being created.', {
    retryAfterSeconds: 1,
  })
}

function requireId(id: string): void {
  if (isPlainId(id)) return
  throw new DomainError('invalid_request', 'The id cannot name a tenant.', {
    faults: [
      { pointer: '/id', code: 'bad_format', message: 'must be 1 to 64 letters, digits, . _ -' },
    ],
  })
}

function requireName(name: string): string {
  if (name.length > 0 && name.length <= nameLengthMax) return name
  throw new DomainError('invalid_request', 'The name is too short or too long.', {
    faults: [{ pointer: '/name', code: 'out_of_range', message: 'must have 1 to 255 characters' }],
  })
}
