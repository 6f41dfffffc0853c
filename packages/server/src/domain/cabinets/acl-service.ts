import type { Vault } from '#custody/vault.ts'
import type { Caller } from '../callers/caller.ts'
import type { Clock, Randomness } from '../clock.ts'
import { DomainError } from '../errors.ts'
import type { Storage, Stores } from '../storage.ts'
import { type IdSource, randomUuid } from '../ulid.ts'
import { type Acl, type AclDraft, checkAcl, type NewAcl } from './acl.ts'
import { aclContentPlace, decodeAclContent, encodeAclContent } from './acl-content.ts'
import type { AclHead, AclWrite, SealedAcl } from './acl-store.ts'
import { isCabinetId } from './cabinet.ts'
import { pageTooLarge } from './cabinet-service.ts'
import type { ListDigester } from './list-digester.ts'
import { mergeAcls } from './merge.ts'
import { type NumberedPage, type NumberedPageRequest, pageStart } from './numbered-page.ts'

/** Users times locks of a page of lists: what one answer may hold. A user, and a lock, takes as much room as so many. */
const pagePermissionsMax = 4_000_000
const rowWeight = 50

/** An access list that was written. */
export interface WrittenAcl {
  readonly acl: Acl
  /** False: it overwrote one. */
  readonly isNew: boolean
}

type Prepared = Omit<AclWrite, 'version' | 'nowMs'>

/**
 * Writes access lists. A change counts up the version of every cabinet that carries the list, in the same transaction;
 * what those cabinets decide by is merged when they ask.
 */
export class AclService {
  readonly #storage: Storage
  readonly #vault: Vault
  readonly #clock: Clock
  readonly #nextId: IdSource
  readonly #randomness: Randomness
  readonly #digester: ListDigester

  constructor(dependencies: {
    storage: Storage
    vault: Vault
    clock: Clock
    nextId: IdSource
    randomness: Randomness
    digester: ListDigester
  }) {
    this.#storage = dependencies.storage
    this.#vault = dependencies.vault
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
    this.#randomness = dependencies.randomness
    this.#digester = dependencies.digester
  }

  /**
   * Writes a list, over the one with the same id if there is one. Without an id it gets a UUID.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `invalid_request`; `limit_reached` when a cabinet would carry more
   * than a server merges.
   */
  async put(caller: Caller, tenantId: string, given: NewAcl): Promise<WrittenAcl> {
    const draft: AclDraft = { ...given, id: given.id ?? randomUuid(this.#randomness) }
    return this.#write(caller, tenantId, draft, { isNewAllowed: true })
  }

  /**
   * Overwrites a list that is there.
   *
   * @throws DomainError as {@link put}; `acl_not_found`.
   */
  async replace(caller: Caller, tenantId: string, draft: AclDraft): Promise<Acl> {
    return (await this.#write(caller, tenantId, draft, { isNewAllowed: false })).acl
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`, `acl_not_found`. */
  async get(caller: Caller, tenantId: string, id: string): Promise<Acl> {
    caller.requireIn(tenantId, 'acls:read')
    const sealed = isCabinetId(id)
      ? await this.#storage.read.cabinets.acls.find(tenantId, id)
      : undefined
    if (sealed === undefined) throw aclNotFound()
    return this.#open(sealed)
  }

  /**
   * Whole lists in order of id.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`; `limit_reached` when the lists of the page are too large for one
   * answer: a smaller page has them.
   */
  async list(
    caller: Caller,
    tenantId: string,
    request: NumberedPageRequest,
  ): Promise<NumberedPage<Acl>> {
    caller.requireIn(tenantId, 'acls:read')
    const { acls, tally } = this.#storage.read.cabinets
    const totalCount = await tally.get(tenantId, 'acl')
    const start = pageStart(request, totalCount)
    if (start === undefined) return { items: [], totalCount }
    const heads = await acls.listHeads(tenantId, start)
    const size = heads.reduce(
      (sum, { userCount, lockCount }) =>
        sum + userCount * lockCount + (userCount + lockCount) * rowWeight,
      0,
    )
    if (size > pagePermissionsMax && heads.length > 1) throw pageTooLarge()
    const items: Acl[] = []
    for (const { id } of heads) {
      const sealed = await acls.find(tenantId, id)
      if (sealed !== undefined) items.push(await this.#open(sealed))
    }
    return { items, totalCount }
  }

  /**
   * Removes a list and its links.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `acl_not_found`.
   */
  async delete(caller: Caller, tenantId: string, id: string): Promise<void> {
    caller.requireIn(tenantId, 'acls:write')
    if (!isCabinetId(id)) throw aclNotFound()
    await this.#storage.transaction(async ({ cabinets, journal }) => {
      await cabinets.tally.lockRights(tenantId)
      const cabinetCount = await cabinets.rights.touchCarriers(tenantId, id)
      const linkCount = await cabinets.links.removeOfAcl(tenantId, id)
      if (!(await cabinets.acls.remove(tenantId, id))) throw aclNotFound()
      await cabinets.tally.add(tenantId, 'link', -linkCount)
      await cabinets.tally.add(tenantId, 'acl', -1)
      await journal.append(caller, tenantId, {
        action: 'cabinet-acl.deleted',
        target: { type: 'cabinet-acl', id },
        detail: { cabinetCount },
      })
    })
  }

  async #write(
    caller: Caller,
    tenantId: string,
    draft: AclDraft,
    { isNewAllowed }: { isNewAllowed: boolean },
  ): Promise<WrittenAcl> {
    const prepared = await this.#prepare(caller, tenantId, draft)
    return this.#storage.transaction(async (stores) => {
      const { acls, tally } = stores.cabinets
      const nowMs = this.#clock()
      const version = await tally.lockRights(tenantId)
      const write: AclWrite = { ...prepared, version, nowMs }
      const before = await acls.findHead(tenantId, draft.id)
      if (before !== undefined) await acls.overwrite(write)
      else if (!isNewAllowed) throw aclNotFound()
      else {
        await acls.insert(write, this.#nextId())
        await tally.add(tenantId, 'acl', 1)
      }
      await reportWrite(stores, caller, write, before)
      return { acl: { ...draft, tenantId, writtenAtMs: nowMs }, isNew: before === undefined }
    })
  }

  /** Whatever takes long, before the transaction: digests and sealing. */
  async #prepare(caller: Caller, tenantId: string, draft: AclDraft): Promise<Prepared> {
    caller.requireIn(tenantId, 'acls:write')
    checkAcl(draft)
    const { id, users, locks, userData } = draft
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    const alone = mergeAcls([{ id, users, locks, writtenAtMs: 0 }])
    return {
      tenantId,
      id,
      userCount: users.length,
      lockCount: locks.length,
      userData,
      ...(await this.#digester.digestsOf(alone)),
      sealedContent: await this.#vault.seal(
        aclContentPlace(tenantId, id),
        encodeAclContent({ users, locks }),
      ),
    }
  }

  async #open({ tenantId, id, writtenAtMs, userData, sealedContent }: SealedAcl): Promise<Acl> {
    const bytes = await this.#vault.open(aclContentPlace(tenantId, id), sealedContent)
    return { tenantId, id, writtenAtMs, userData, ...decodeAclContent(bytes) }
  }
}

export function aclNotFound(): DomainError {
  return new DomainError('acl_not_found', 'No such access list.')
}

async function reportWrite(
  { cabinets, journal }: Stores,
  caller: Caller,
  { tenantId, id, userCount, lockCount }: AclWrite,
  before: AclHead | undefined,
): Promise<void> {
  const isNew = before === undefined
  const cabinetCount = isNew ? 0 : await cabinets.rights.touchCarriers(tenantId, id)
  const hasGrown = !isNew && (userCount > before.userCount || lockCount > before.lockCount)
  if (hasGrown && cabinetCount > 0) {
    const overloaded = await cabinets.rights.findOverloaded(tenantId, id)
    if (overloaded !== undefined) throw tooMuchToMerge()
  }
  await journal.append(caller, tenantId, {
    action: isNew ? 'cabinet-acl.created' : 'cabinet-acl.overwritten',
    target: { type: 'cabinet-acl', id },
    detail: { userCount, lockCount, cabinetCount },
  })
}

export function tooMuchToMerge(): DomainError {
  return new DomainError('limit_reached', 'A cabinet would carry more than can be merged.')
}
