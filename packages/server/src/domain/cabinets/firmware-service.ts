import { type Caller, platformTenantId } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import { type Storage, takenKey } from '../storage.ts'
import type { IdSource } from '../ulid.ts'
import { MemberCheck } from '../users/name-text.ts'
import {
  type Firmware,
  type FirmwareDraft,
  type FirmwareType,
  firmwareTypes,
  isFirmwareVersion,
} from './firmware.ts'
import type { NewestFirmware } from './newest-firmware.ts'
import { type NumberedPage, type NumberedPageRequest, pageStart } from './numbered-page.ts'

const urlLengthMax = 2048

/** Firmware entries: of the whole service, written by the platform's accounts. */
export class FirmwareService {
  readonly #storage: Storage
  readonly #clock: Clock
  readonly #nextId: IdSource
  readonly #newest: NewestFirmware

  constructor(dependencies: {
    storage: Storage
    clock: Clock
    nextId: IdSource
    newestFirmware: NewestFirmware
  }) {
    this.#storage = dependencies.storage
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
    this.#newest = dependencies.newestFirmware
  }

  /** @throws DomainError `forbidden`, `invalid_request`; `already_exists` when the type has this version. */
  async create(caller: Caller, draft: FirmwareDraft): Promise<Firmware> {
    requireWriter(caller)
    checkFirmware(draft)
    const firmware: Firmware = { ...draft, id: this.#nextId() }
    await this.#explainTaken(() =>
      this.#storage.transaction(async ({ cabinets, journal }) => {
        await cabinets.firmware.insert(firmware, this.#clock())
        await cabinets.tally.add(platformTenantId, `firmware:${draft.type}`, 1)
        await journal.append(caller, platformTenantId, {
          action: 'firmware.created',
          target: { type: 'firmware', id: firmware.id },
          detail: { type: draft.type, version: draft.version },
        })
      }),
    )
    return firmware
  }

  /** @throws DomainError `forbidden`, `firmware_not_found`. */
  async get(caller: Caller, id: string): Promise<Firmware> {
    caller.require('firmware:read')
    const firmware = await this.#storage.read.cabinets.firmware.find(id)
    if (firmware === undefined) throw firmwareNotFound()
    return firmware
  }

  /** In order of type, then the newest first. @throws DomainError `forbidden`. */
  async list(
    caller: Caller,
    request: NumberedPageRequest & { readonly type?: FirmwareType | undefined },
  ): Promise<NumberedPage<Firmware>> {
    caller.require('firmware:read')
    const { firmware, tally } = this.#storage.read.cabinets
    const { type } = request
    let totalCount = 0
    for (const counted of type === undefined ? firmwareTypes : [type]) {
      totalCount += await tally.get(platformTenantId, `firmware:${counted}`)
    }
    const start = pageStart(request, totalCount)
    return { items: start === undefined ? [] : await firmware.list({ type, ...start }), totalCount }
  }

  /**
   * @throws DomainError `forbidden`, `invalid_request`, `firmware_not_found`; `already_exists` when the type has this
   * version.
   */
  async replace(caller: Caller, id: string, draft: FirmwareDraft): Promise<Firmware> {
    requireWriter(caller)
    checkFirmware(draft)
    const firmware: Firmware = { ...draft, id }
    await this.#explainTaken(() =>
      this.#storage.transaction(async ({ cabinets, journal }) => {
        const present = await cabinets.firmware.find(id)
        if (present === undefined) throw firmwareNotFound()
        if (!(await cabinets.firmware.replace(firmware, this.#clock()))) throw firmwareNotFound()
        if (present.type !== draft.type) {
          await cabinets.tally.add(platformTenantId, `firmware:${present.type}`, -1)
          await cabinets.tally.add(platformTenantId, `firmware:${draft.type}`, 1)
        }
        await journal.append(caller, platformTenantId, {
          action: 'firmware.replaced',
          target: { type: 'firmware', id },
          detail: { type: draft.type, version: draft.version },
        })
      }),
    )
    return firmware
  }

  /** @throws DomainError `forbidden`, `firmware_not_found`. */
  async delete(caller: Caller, id: string): Promise<void> {
    requireWriter(caller)
    await this.#storage.transaction(async ({ cabinets, journal }) => {
      const present = await cabinets.firmware.find(id)
      if (present === undefined || !(await cabinets.firmware.remove(id))) throw firmwareNotFound()
      await cabinets.tally.add(platformTenantId, `firmware:${present.type}`, -1)
      await journal.append(caller, platformTenantId, {
        action: 'firmware.deleted',
        target: { type: 'firmware', id },
        detail: { type: present.type, version: present.version },
      })
    })
    this.#newest.forget()
  }

  async #explainTaken(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (takenKey(error) === undefined) throw error
      throw new DomainError('already_exists', 'The type has an entry of this version.')
    }
    this.#newest.forget()
  }
}

/** Entries decide what the cabinets of every tenant install. */
function requireWriter(caller: Caller): void {
  caller.require('firmware:write')
  if (!caller.isPlatform) {
    throw new DomainError('forbidden', 'Firmware is written by accounts of the platform.')
  }
}

function firmwareNotFound(): DomainError {
  return new DomainError('firmware_not_found', 'No such firmware entry.')
}

function checkFirmware({ type, version, url }: FirmwareDraft): void {
  const check = new MemberCheck()
  if (!firmwareTypes.includes(type)) check.add('/type', 'unsupported', 'must be a known type')
  if (!isFirmwareVersion(version)) check.add('/version', 'bad_format', 'must be 1 to 64 characters')
  if (url === '') check.add('/url', 'out_of_range', 'must not be empty')
  check.text('/url', url, urlLengthMax)
  check.finish()
}
