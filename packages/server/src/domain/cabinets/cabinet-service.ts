import type { Caller } from '../callers/caller.ts'
import { platformTenantId } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import { type Storage, type Stores, takenKey } from '../storage.ts'
import type { IdSource } from '../ulid.ts'
import {
  allUrlsOf,
  type Cabinet,
  type CabinetDraft,
  checkCabinet,
  describeCabinet,
  type InitialContact,
  isCabinetId,
} from './cabinet.ts'
import type { CallableUrls } from './callable-urls.ts'
import type { ContactRecorder } from './contact-recorder.ts'
import type { Contact } from './contact-store.ts'
import type { ListDigester } from './list-digester.ts'
import { type NumberedPage, type NumberedPageRequest, pageStart } from './numbered-page.ts'

/** A cabinet that nobody had registered may call for the first time while it is being registered. */
const attemptsMax = 3

/** Registers key cabinets. */
export class CabinetService {
  readonly #storage: Storage
  readonly #clock: Clock
  readonly #nextId: IdSource
  readonly #contacts: ContactRecorder
  readonly #callableUrls: CallableUrls
  readonly #digester: ListDigester

  constructor(dependencies: {
    storage: Storage
    clock: Clock
    nextId: IdSource
    contacts: ContactRecorder
    callableUrls: CallableUrls
    digester: ListDigester
  }) {
    this.#storage = dependencies.storage
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
    this.#contacts = dependencies.contacts
    this.#callableUrls = dependencies.callableUrls
    this.#digester = dependencies.digester
  }

  /**
   * Registers a cabinet. One that has called already, and that nobody registered, keeps the time of its last call and its
   * firmware version unless the registration names others.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `invalid_request`; `url_not_allowed` for an address that the server
   * may not call; `already_exists` for an id of the tenant, or a serial of anybody.
   */
  async register(
    caller: Caller,
    tenantId: string,
    draft: CabinetDraft,
    given: InitialContact = {},
  ): Promise<Cabinet> {
    caller.requireIn(tenantId, 'okms:write')
    checkCabinet(draft)
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    await this.#callableUrls.check(tenantId, allUrlsOf(draft.subscribeUrls))
    const digests = await this.#digester.digestsOf({ locks: [], users: [] })
    return this.#explainTaken(draft.serial, () =>
      this.#storage.transaction(async (stores) => {
        const { cabinets, journal } = stores
        const nowMs = this.#clock()
        const seen = await claim(stores, draft.serial)
        const contact: Contact = {
          lastSyncAtMs: given.lastSyncAtMs ?? seen?.lastSyncAtMs ?? null,
          lastAddress: seen?.lastAddress ?? null,
          firmwareVersion: given.firmwareVersion ?? seen?.firmwareVersion ?? null,
          installCode: seen?.installCode ?? null,
        }
        const { lastSyncAtMs, firmwareVersion } = contact
        const times = { createdAtMs: nowMs, updatedAtMs: nowMs }
        const cabinet: Cabinet = { ...draft, tenantId, lastSyncAtMs, firmwareVersion, ...times }
        await cabinets.registered.insert(cabinet, this.#nextId())
        await cabinets.contacts.insert(cabinet, contact)
        await cabinets.rights.insert(cabinet, digests)
        await cabinets.tally.add(tenantId, 'cabinet', 1)
        await journal.append(caller, tenantId, {
          action: 'cabinet.registered',
          target: { type: 'cabinet', id: draft.id },
          detail: { ...describeCabinet(draft), hadCalled: seen !== undefined },
        })
        return cabinet
      }),
    )
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`, `cabinet_not_found`. */
  async get(caller: Caller, tenantId: string, id: string): Promise<Cabinet> {
    caller.requireIn(tenantId, 'okms:read')
    const cabinet = isCabinetId(id)
      ? await this.#storage.read.cabinets.registered.find(tenantId, id)
      : undefined
    if (cabinet === undefined) throw cabinetNotFound()
    return this.#contacts.withLatest(cabinet)
  }

  /**
   * In order of id.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`; `limit_reached` when the page is too large for one answer.
   */
  async list(
    caller: Caller,
    tenantId: string,
    request: NumberedPageRequest,
  ): Promise<NumberedPage<Cabinet>> {
    caller.requireIn(tenantId, 'okms:read')
    const { registered, tally } = this.#storage.read.cabinets
    const totalCount = await tally.get(tenantId, 'cabinet')
    const start = pageStart(request, totalCount)
    if (start === undefined) return { items: [], totalCount }
    const cabinets = await registered.list(tenantId, start)
    if (cabinets === 'too_large') throw pageTooLarge()
    return { items: cabinets.map((cabinet) => this.#contacts.withLatest(cabinet)), totalCount }
  }

  /**
   * Replaces everything that the customer says of a cabinet. What its calls told stays, also when the serial changes.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `invalid_request`, `url_not_allowed`; `cabinet_not_found`;
   * `already_exists` for a serial that is registered.
   */
  async replace(caller: Caller, tenantId: string, draft: CabinetDraft): Promise<Cabinet> {
    caller.requireIn(tenantId, 'okms:write')
    checkCabinet(draft)
    await this.#callableUrls.check(tenantId, allUrlsOf(draft.subscribeUrls))
    const replaced = await this.#explainTaken(draft.serial, () =>
      this.#storage.transaction(async (stores) => {
        const { cabinets, journal } = stores
        const present = await cabinets.registered.find(tenantId, draft.id)
        if (present === undefined) throw cabinetNotFound()
        if (present.serial !== draft.serial) await claim(stores, draft.serial)
        const cabinet: Cabinet = { ...present, ...draft, updatedAtMs: this.#clock() }
        if (!(await cabinets.registered.replace(cabinet))) throw cabinetNotFound()
        await journal.append(caller, tenantId, {
          action: 'cabinet.replaced',
          target: { type: 'cabinet', id: draft.id },
          detail: describeCabinet(draft),
        })
        return cabinet
      }),
    )
    return this.#contacts.withLatest(replaced)
  }

  /**
   * Removes a cabinet and its links. If it calls again, it is one that nobody registered.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `cabinet_not_found`.
   */
  async delete(caller: Caller, tenantId: string, id: string): Promise<void> {
    caller.requireIn(tenantId, 'okms:write')
    if (!isCabinetId(id)) throw cabinetNotFound()
    const key = { tenantId, id }
    await this.#storage.transaction(async ({ cabinets, journal }) => {
      await cabinets.tally.lockRights(tenantId)
      if (!(await cabinets.registered.remove(key))) throw cabinetNotFound()
      await cabinets.contacts.remove(key)
      await cabinets.rights.remove(key)
      const linkCount = await cabinets.links.removeOfCabinet(tenantId, id)
      await cabinets.tally.add(tenantId, 'link', -linkCount)
      await cabinets.tally.add(tenantId, 'cabinet', -1)
      await journal.append(caller, tenantId, {
        action: 'cabinet.deleted',
        target: { type: 'cabinet', id },
        detail: { linkCount },
      })
    })
    this.#contacts.forget(key)
  }

  /** A serial that only an unregistered cabinet has is no clash: it is claimed in another attempt. */
  async #explainTaken<T>(serial: string, work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work()
      } catch (error) {
        if (takenKey(error) === undefined) throw error
        const owner = await this.#storage.read.cabinets.registered.findOwner(serial)
        const isUnclaimed = owner?.tenantId === platformTenantId
        if (isUnclaimed && attempt < attemptsMax) continue
        throw new DomainError('already_exists', 'A cabinet with this id or serial is registered.')
      }
    }
  }
}

export function pageTooLarge(): DomainError {
  return new DomainError('limit_reached', 'The page holds too much; ask for a smaller one.')
}

export function cabinetNotFound(): DomainError {
  return new DomainError('cabinet_not_found', 'No such cabinet.')
}

/** Takes an unregistered cabinet off the platform's list. @returns what its calls told, undefined when it never called. */
async function claim({ cabinets }: Stores, serial: string): Promise<Contact | undefined> {
  const owner = await cabinets.registered.findOwner(serial)
  if (owner?.tenantId !== platformTenantId) return undefined
  const contact = await cabinets.contacts.find(owner)
  if (!(await cabinets.registered.remove(owner))) return undefined
  await cabinets.contacts.remove(owner)
  await cabinets.tally.add(platformTenantId, 'cabinet', -1)
  return contact
}
