import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import { decodeCursor, type Page, type PageRequest, pageOf } from '../paging.ts'
import { type Storage, type Stores, takenKey } from '../storage.ts'
import type { IdSource } from '../ulid.ts'
import { MemberCheck } from '../users/name-text.ts'
import type { TokenRepository } from './repository.ts'
import { requireTokenAdmin, requireTokenReader } from './token-rights.ts'

export interface NewRepository {
  readonly name: string
  readonly description?: string | null | undefined
  /** Absent: a root. */
  readonly parentId?: string | undefined
  /** Name of a user domain, in any case. */
  readonly domain?: string | undefined
}

const depthMax = 16

/** Containers of tokens. */
export class RepositoryService {
  readonly #storage: Storage
  readonly #clock: Clock
  readonly #nextId: IdSource

  constructor(dependencies: { storage: Storage; clock: Clock; nextId: IdSource }) {
    this.#storage = dependencies.storage
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
  }

  /**
   * @throws DomainError `forbidden`, `tenant_not_found`, `invalid_request`, `domain_not_found`; `repository_not_found`
   *   for the parent; `already_exists` when the parent has a child of that name; `limit_reached` below 16 levels.
   */
  async create(caller: Caller, tenantId: string, draft: NewRepository): Promise<TokenRepository> {
    requireTokenAdmin(caller, tenantId)
    checkRepository(draft)
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    const { name, description = null, parentId = null, domain } = draft
    try {
      return await this.#storage.transaction(async (stores) => {
        await requireParent(stores, tenantId, parentId)
        const repository: TokenRepository = {
          tenantId,
          id: this.#nextId(),
          name,
          description,
          parentId,
          domain: domain === undefined ? null : await domainKey(stores, tenantId, domain),
          createdAtMs: this.#clock(),
        }
        await stores.repositories.insert(repository)
        await stores.journal.append(caller, tenantId, {
          action: 'token-repository.created',
          target: { type: 'token-repository', id: repository.id },
          detail: { name, parentId, domain: repository.domain },
        })
        return repository
      })
    } catch (error) {
      if (takenKey(error) === undefined) throw error
      const message = 'A repository of this name exists there.'
      const fault = { pointer: '/name', code: 'not_unique', message }
      throw new DomainError('already_exists', message, { faults: [fault] })
    }
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`, `repository_not_found`. */
  async get(caller: Caller, tenantId: string, repositoryId: string): Promise<TokenRepository> {
    requireTokenReader(caller, tenantId)
    const repository = await this.#storage.read.repositories.find(tenantId, repositoryId)
    if (repository === undefined) throw repositoryNotFound()
    return repository
  }

  /** In order of creation. @throws DomainError `forbidden`, `tenant_not_found`, `cursor_invalid`. */
  async list(
    caller: Caller,
    tenantId: string,
    request: PageRequest,
  ): Promise<Page<TokenRepository>> {
    requireTokenReader(caller, tenantId)
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    const scope = { list: 'token-repositories', tenantId, nowMs: this.#clock() }
    const [afterId = ''] = decodeCursor(request.cursor, ['text'], scope) ?? []
    const { limit } = request
    const { repositories } = this.#storage.read
    return pageOf(
      await repositories.list(tenantId, { afterId, limit: limit + 1 }),
      limit,
      scope,
      ({ id }) => [id],
      (repository) => repository,
    )
  }
}

export function repositoryNotFound(pointer?: string): DomainError {
  return new DomainError(
    'repository_not_found',
    'No such repository.',
    pointer === undefined ? {} : { pointer },
  )
}

/** Repositories are never moved or deleted, so a chain of parents ends. */
async function requireParent(
  { repositories }: Stores,
  tenantId: string,
  parentId: string | null,
): Promise<void> {
  let above = parentId
  for (let depth = 1; above !== null; depth++) {
    if (depth > depthMax) {
      throw new DomainError('limit_reached', `Repositories nest at most ${depthMax} deep.`)
    }
    const parent = await repositories.find(tenantId, above)
    if (parent === undefined) throw repositoryNotFound('/parent')
    above = parent.parentId
  }
}

async function domainKey(stores: Stores, tenantId: string, name: string): Promise<string> {
  const domain = await stores.userDomains.find(tenantId, name)
  if (domain === undefined) {
    throw new DomainError('domain_not_found', 'No such domain.', { pointer: '/domain' })
  }
  return domain.key
}

function checkRepository({ name, description }: NewRepository): void {
  const check = new MemberCheck()
  if (name === '') check.add('/name', 'out_of_range', 'must not be empty')
  check.text('/name', name)
  check.text('/description', description)
  check.finish()
}
