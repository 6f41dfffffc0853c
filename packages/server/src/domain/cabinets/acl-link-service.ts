import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import { type Storage, type Stores, takenKey } from '../storage.ts'
import type { IdSource } from '../ulid.ts'
import type { AclLink } from './acl.ts'
import { aclNotFound, tooMuchToMerge } from './acl-service.ts'
import { isCabinetId } from './cabinet.ts'
import { cabinetNotFound } from './cabinet-service.ts'
import { type NumberedPage, type NumberedPageRequest, pageStart } from './numbered-page.ts'

/** Says which cabinet carries which access lists. */
export class AclLinkService {
  readonly #storage: Storage
  readonly #clock: Clock
  readonly #nextId: IdSource

  constructor(dependencies: { storage: Storage; clock: Clock; nextId: IdSource }) {
    this.#storage = dependencies.storage
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
  }

  /**
   * Has a cabinet carry a list.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`; `acl_not_found`, `cabinet_not_found`; `already_exists`;
   * `limit_reached` when the cabinet would carry more than a server merges.
   */
  async create(
    caller: Caller,
    tenantId: string,
    { aclId, cabinetId }: { aclId: string; cabinetId: string },
  ): Promise<AclLink> {
    caller.requireIn(tenantId, 'acl-okms:write')
    const link: AclLink = { tenantId, id: this.#nextId(), aclId, cabinetId }
    try {
      await this.#storage.transaction(async (stores) => {
        const { cabinets, journal } = stores
        await cabinets.tally.lockRights(tenantId)
        await requireBoth(stores, link)
        await cabinets.links.insert(link, this.#clock())
        await cabinets.tally.add(tenantId, 'link', 1)
        await cabinets.rights.touch({ tenantId, id: cabinetId })
        if (await cabinets.rights.isOverloaded({ tenantId, id: cabinetId })) throw tooMuchToMerge()
        await journal.append(caller, tenantId, {
          action: 'cabinet-acl.linked',
          target: { type: 'cabinet', id: cabinetId },
          detail: { aclId, linkId: link.id },
        })
      })
    } catch (error) {
      if (takenKey(error) === undefined) throw error
      throw new DomainError('already_exists', 'The cabinet carries this list already.')
    }
    return link
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`, `acl_link_not_found`. */
  async get(caller: Caller, tenantId: string, id: string): Promise<AclLink> {
    caller.requireIn(tenantId, 'acl-okms:read')
    const link = await this.#storage.read.cabinets.links.find(tenantId, id)
    if (link === undefined) throw linkNotFound()
    return link
  }

  /** In order of the list's id, then of the cabinet's. @throws DomainError `forbidden`, `tenant_not_found`. */
  async list(
    caller: Caller,
    tenantId: string,
    request: NumberedPageRequest,
  ): Promise<NumberedPage<AclLink>> {
    caller.requireIn(tenantId, 'acl-okms:read')
    const { links, tally } = this.#storage.read.cabinets
    const totalCount = await tally.get(tenantId, 'link')
    const start = pageStart(request, totalCount)
    return { items: start === undefined ? [] : await links.list(tenantId, start), totalCount }
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`, `acl_link_not_found`. */
  async delete(caller: Caller, tenantId: string, id: string): Promise<void> {
    caller.requireIn(tenantId, 'acl-okms:write')
    await this.#storage.transaction(async ({ cabinets, journal }) => {
      await cabinets.tally.lockRights(tenantId)
      const link = await cabinets.links.find(tenantId, id)
      if (link === undefined || !(await cabinets.links.remove(link))) throw linkNotFound()
      await cabinets.tally.add(tenantId, 'link', -1)
      await cabinets.rights.touch({ tenantId, id: link.cabinetId })
      await journal.append(caller, tenantId, {
        action: 'cabinet-acl.unlinked',
        target: { type: 'cabinet', id: link.cabinetId },
        detail: { aclId: link.aclId, linkId: id },
      })
    })
  }
}

async function requireBoth({ cabinets }: Stores, link: AclLink): Promise<void> {
  const { tenantId, aclId, cabinetId } = link
  const acl = isCabinetId(aclId) ? await cabinets.acls.findHead(tenantId, aclId) : undefined
  if (acl === undefined) throw aclNotFound()
  const isThere = isCabinetId(cabinetId) && (await cabinets.registered.exists(tenantId, cabinetId))
  if (!isThere) throw cabinetNotFound()
}

function linkNotFound(): DomainError {
  return new DomainError('acl_link_not_found', 'No such link.')
}
