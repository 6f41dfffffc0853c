import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import { decodeCursor, type Page, type PageRequest, pageOf } from '../paging.ts'
import type { Storage, Stores } from '../storage.ts'
import type { IdSource } from '../ulid.ts'
import {
  checkDomainChanges,
  checkDomainDraft,
  type UserDomain,
  type UserDomainChanges,
  type UserDomainDraft,
} from './user-domain.ts'
import { requireUserReader, requireUserWriter } from './user-rights.ts'

/** The domains of a tenant: what may be asked of them. */
export class UserDomainService {
  readonly #storage: Storage
  readonly #clock: Clock
  readonly #nextId: IdSource

  constructor(dependencies: { storage: Storage; clock: Clock; nextId: IdSource }) {
    this.#storage = dependencies.storage
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
  }

  /**
   * @throws DomainError `forbidden`, `tenant_not_found`, `invalid_request`; `already_exists` when the name is taken,
   * ignoring case; `repository_not_found`.
   */
  async create(caller: Caller, tenantId: string, draft: UserDomainDraft): Promise<UserDomain> {
    requireUserWriter(caller, tenantId)
    const { name, key } = checkDomainDraft(draft)
    return this.#storage.transaction(async (stores) => {
      await stores.tenants.holdFor(caller, tenantId)
      await requireRepository(stores, tenantId, draft.repositoryId)
      const nowMs = this.#clock()
      const domain: UserDomain = {
        tenantId,
        key,
        ulid: this.#nextId(),
        name,
        dnsName: draft.dnsName ?? null,
        netbiosName: draft.netbiosName ?? null,
        description: draft.description ?? null,
        isDefault: false,
        repositoryId: draft.repositoryId ?? null,
        createdAtMs: nowMs,
        updatedAtMs: nowMs,
      }
      if (!(await stores.userDomains.insert(domain))) throw nameTaken()
      const isDefault = draft.isDefault === true
      if (isDefault) await stores.userDomains.takeMark(tenantId, key)
      await stores.journal.append(caller, tenantId, {
        action: 'domain.created',
        target: { type: 'domain', id: name },
        detail: { domain: name, isDefault },
      })
      return { ...domain, isDefault }
    })
  }

  /** @param name in any case. @throws DomainError `forbidden`, `tenant_not_found`, `domain_not_found`. */
  async get(caller: Caller, tenantId: string, name: string): Promise<UserDomain> {
    requireUserReader(caller, tenantId)
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    const domain = await this.#storage.read.userDomains.find(tenantId, name)
    if (domain === undefined) throw domainNotFound()
    return domain
  }

  /** In order of creation. @throws DomainError `forbidden`, `tenant_not_found`, `cursor_invalid`. */
  async list(caller: Caller, tenantId: string, request: PageRequest): Promise<Page<UserDomain>> {
    requireUserReader(caller, tenantId)
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    const { limit, cursor } = request
    const scope = { list: 'domains', tenantId, nowMs: this.#clock() }
    const [afterUlid = ''] = decodeCursor(cursor, ['text'], scope) ?? []
    const domains = await this.#storage.read.userDomains.list(tenantId, {
      afterUlid,
      limit: limit + 1,
    })
    return pageOf(
      domains,
      limit,
      scope,
      ({ ulid }) => [ulid],
      (domain) => domain,
    )
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`, `domain_not_found`, `invalid_request`, `repository_not_found`. */
  async update(
    caller: Caller,
    tenantId: string,
    name: string,
    changes: UserDomainChanges,
  ): Promise<UserDomain> {
    requireUserWriter(caller, tenantId)
    return this.#storage.transaction(async (stores) => {
      await stores.tenants.requireFor(caller, tenantId)
      const { userDomains } = stores
      const found = await userDomains.find(tenantId, name)
      if (found === undefined) throw domainNotFound()
      checkDomainChanges(changes)
      await requireRepository(stores, tenantId, changes.repositoryId)
      if (changes.isDefault === true) {
        await stores.tenants.holdFor(caller, tenantId)
        if (!(await userDomains.takeMark(tenantId, found.key))) throw domainNotFound()
      }
      if (!(await userDomains.update(tenantId, found.key, changes, this.#clock()))) {
        throw domainNotFound()
      }
      await stores.journal.append(caller, tenantId, {
        action: 'domain.updated',
        target: { type: 'domain', id: found.name },
        detail: { domain: found.name, changed: Object.keys(changes).sort() },
      })
      return (await userDomains.find(tenantId, name)) ?? found
    })
  }

  /**
   * @throws DomainError `forbidden`, `tenant_not_found`, `domain_not_found`; `in_use` while it has users or is the
   * default.
   */
  async delete(caller: Caller, tenantId: string, name: string): Promise<void> {
    requireUserWriter(caller, tenantId)
    await this.#storage.transaction(async ({ tenants, userDomains, journal }) => {
      await tenants.requireFor(caller, tenantId)
      const found = await userDomains.find(tenantId, name)
      if (found === undefined || !(await userDomains.hold(tenantId, found.key))) {
        throw domainNotFound()
      }
      if (!(await userDomains.removeEmpty(tenantId, found.key))) {
        throw new DomainError('in_use', 'The domain has users or is the default.')
      }
      await journal.append(caller, tenantId, {
        action: 'domain.deleted',
        target: { type: 'domain', id: found.name },
        detail: { domain: found.name },
      })
    })
  }
}

async function requireRepository(
  stores: Stores,
  tenantId: string,
  repositoryId: string | null | undefined,
): Promise<void> {
  if (repositoryId === null || repositoryId === undefined) return
  if ((await stores.repositories.find(tenantId, repositoryId)) !== undefined) return
  throw new DomainError('repository_not_found', 'No such repository.', { pointer: '/repository' })
}

function nameTaken(): DomainError {
  return new DomainError('already_exists', 'The name is taken.', {
    faults: [{ pointer: '/name', code: 'not_unique', message: 'is taken' }],
  })
}

function domainNotFound(): DomainError {
  return new DomainError('domain_not_found', 'No such domain.')
}
