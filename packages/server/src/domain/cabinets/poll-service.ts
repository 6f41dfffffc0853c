import type { CabinetUser } from '@countersign/protocol/cabinet/access-list.ts'
import { secretsEqual } from '#custody/secrets.ts'
import { type Caller, platformTenantId } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import type { Storage } from '../storage.ts'
import type { IdSource } from '../ulid.ts'
import { isStorable } from '../users/name-text.ts'
import type { AccessLists, DigestedList } from './access-lists.ts'
import { isSerial, urlsOf } from './cabinet.ts'
import { cabinetNotFound } from './cabinet-service.ts'
import { statusesWaitingMax, statusMessage } from './callback-messages.ts'
import type { ContactRecorder } from './contact-recorder.ts'
import type { ContactNote } from './contact-store.ts'
import type { ListDigester } from './list-digester.ts'
import type { NewestFirmware } from './newest-firmware.ts'
import type { PollAnswer, PollRequest, SettingName, UserAccess, UserSelector } from './poll.ts'
import { firmwareTypeOf, nextDifference, type PollView, retailCfg } from './poll-order.ts'
import type { PolledCabinet, Told } from './poll-store.ts'
import type { UnclaimedCabinets } from './unclaimed-cabinets.ts'

const reportedTextMax = 64

/** Keeps cabinets in step. Callers are devices, which the surface has found trustworthy. */
export class CabinetPollService {
  readonly #storage: Storage
  readonly #clock: Clock
  readonly #contacts: ContactRecorder
  readonly #accessLists: AccessLists
  readonly #digester: ListDigester
  readonly #newestFirmware: NewestFirmware
  readonly #unclaimed: UnclaimedCabinets

  constructor(dependencies: {
    storage: Storage
    clock: Clock
    nextId: IdSource
    contacts: ContactRecorder
    accessLists: AccessLists
    digester: ListDigester
    newestFirmware: NewestFirmware
    unclaimed: UnclaimedCabinets
  }) {
    this.#storage = dependencies.storage
    this.#clock = dependencies.clock
    this.#contacts = dependencies.contacts
    this.#accessLists = dependencies.accessLists
    this.#digester = dependencies.digester
    this.#newestFirmware = dependencies.newestFirmware
    this.#unclaimed = dependencies.unclaimed
  }

  /**
   * Answers a heartbeat with one setting that differs, undefined when none does. An unknown serial is remembered, and
   * answered nothing until somebody registers it.
   *
   * @param caller of type CABINET; its address is kept as the cabinet's.
   * @throws DomainError `tenant_disabled`, `unavailable`.
   */
  async poll(caller: Caller, request: PollRequest): Promise<PollAnswer | undefined> {
    if (!isSerial(request.serial)) return undefined
    const nowMs = this.#clock()
    const note: ContactNote = {
      lastSyncAtMs: nowMs,
      lastAddress: caller.address,
      firmwareVersion: keptText(request.report.kasFirmware),
      installCode: keptText(request.report.installCode),
    }
    const cabinet = await this.#storage.read.cabinets.polls.findBySerial(request.serial)
    if (cabinet === undefined) {
      await this.#unclaimed.remember(caller, request.serial, note)
      return undefined
    }
    if (cabinet.key.tenantId === platformTenantId) {
      this.#contacts.note(cabinet.key, note)
      return undefined
    }
    if (!isServed(cabinet)) return undefined
    this.#contacts.note(cabinet.key, note)
    await this.#tellStatus(cabinet, note)
    try {
      const view = await this.#viewOf(cabinet, request, nowMs)
      const name = nextDifference(view)
      return name === undefined ? undefined : await this.#answer(cabinet, view, name)
    } catch (error) {
      // It was deleted meanwhile, so it is one that nobody knows.
      if (error instanceof DomainError && error.code === 'cabinet_not_found') return undefined
      throw error
    }
  }

  /**
   * What one user may open, for a cabinet that holds no lists. In PIN mode the hash of the PIN alone names the user; if it
   * is that of several, it names nobody. Every call is recorded.
   *
   * @throws DomainError `cabinet_not_found`, also for one that nobody registered; `cabinet_user_not_found`;
   * `invalid_request` for a PIN alone while PIN mode is off; `tenant_disabled`, `unavailable`.
   */
  async fetchUser(caller: Caller, serial: string, selector: UserSelector): Promise<UserAccess> {
    const cabinet = isSerial(serial)
      ? await this.#storage.read.cabinets.polls.findBySerial(serial)
      : undefined
    const isRegistered = cabinet !== undefined && cabinet.key.tenantId !== platformTenantId
    if (!isRegistered || !isServed(cabinet)) throw cabinetNotFound()
    const byPin = 'pinHash' in selector
    if (byPin && !cabinet.config.pinMode) throw userIdRequired()
    const { list } = await this.#accessLists.current(cabinet.key)
    const user = byPin
      ? findByPin(list.users, selector.pinHash)
      : list.users.find(({ userId }) => userId === selector.userId)
    await this.#storage.transaction(
      ({ journal }) =>
        journal.append(caller, cabinet.key.tenantId, {
          action: 'cabinet.user-fetched',
          outcome: user === undefined ? 'FAILURE' : 'SUCCESS',
          target: { type: 'cabinet', id: cabinet.key.id },
          detail: { by: byPin ? 'PIN' : 'USER_ID', cabinetUserId: user?.userId ?? null },
        }),
      { grouped: true },
    )
    if (user === undefined) throw new DomainError('cabinet_user_not_found', 'No such user.')
    return { locks: list.locks, user }
  }

  /** On disk before the cabinet is answered, sent after. */
  async #tellStatus(cabinet: PolledCabinet, note: ContactNote): Promise<void> {
    const urls = new Set(urlsOf(cabinet.subscribeUrls, 'status'))
    if (urls.size === 0) return
    await this.#storage.transaction(
      async ({ outbox }) => {
        for (const url of urls) {
          const message = statusMessage(url, cabinet, note)
          await outbox.append(cabinet.key.tenantId, message)
          await outbox.dropOldest(cabinet.key.tenantId, message, statusesWaitingMax)
        }
      },
      { grouped: true },
    )
  }

  async #viewOf(
    { key, config, told, digests }: PolledCabinet,
    request: PollRequest,
    nowMs: number,
  ): Promise<PollView> {
    const { usersAssets } = request.report
    return {
      request,
      config,
      told,
      digests: digests ?? (await this.#accessLists.refreshDigests(key)),
      reportedUserMac:
        usersAssets === undefined
          ? undefined
          : await this.#digester.macOf(usersAssets.toLowerCase()),
      newestFirmware: await this.#newestFirmware.get(),
      nowMs,
    }
  }

  async #answer(cabinet: PolledCabinet, view: PollView, name: SettingName): Promise<PollAnswer> {
    const isList = name === 'assetList' || name === 'usersAssets'
    const list = isList ? await this.#accessLists.current(cabinet.key) : undefined
    const told = toldAfter(view, name, list)
    await this.#storage.transaction(({ cabinets }) => cabinets.polls.putTold(cabinet.key, told))
    return answerOf(view, name, list)
  }
}

/** What a device says is kept as it is, if it can be. */
function keptText(text: string | undefined): string | null {
  const isKept = text !== undefined && text.length <= reportedTextMax && isStorable(text)
  return isKept ? text : null
}

/** @returns false for a tenant that is gone. @throws DomainError `tenant_disabled`. */
export function isServed({ tenantStatus }: PolledCabinet): boolean {
  if (tenantStatus === 'DISABLED') {
    throw new DomainError('tenant_disabled', 'The tenant is disabled.')
  }
  return tenantStatus === 'ACTIVE'
}

function toldAfter(
  { told, config, request }: PollView,
  name: SettingName,
  list: DigestedList | undefined,
): Told {
  const { pinMode, auditEnabled } = request.report
  return {
    answered: name,
    locks: name === 'assetList' && list !== undefined ? list.lockDigest : told.locks,
    users: name === 'usersAssets' && list !== undefined ? list.userDigestMac : told.users,
    // Told once to a cabinet that does not report it: its next poll counts as having taken it over.
    pinMode: name === 'pinMode' && pinMode === undefined ? config.pinMode : told.pinMode,
    auditEnabled:
      name === 'auditEnabled' && auditEnabled === undefined
        ? config.auditEnabled
        : told.auditEnabled,
  }
}

function answerOf(
  { request, config, newestFirmware, nowMs }: PollView,
  name: SettingName,
  digested: DigestedList | undefined,
): PollAnswer {
  switch (name) {
    case 'configUrl':
      return { name, value: request.configUrl }
    case 'auditUrl':
      return { name, value: request.auditUrl }
    case 'kasDateTime':
      return { name, valueMs: nowMs }
    case 'retailCfg':
      return { name, value: retailCfg }
    case 'keyCheckoutWindowTime':
      return { name, value: config.checkoutWindowSeconds }
    case 'keyCheckoutWindowContact':
      return { name, value: config.contactType }
    case 'pollingInterval':
      return { name, value: config.pollingIntervalSeconds }
    case 'cacheMode':
    case 'pinMode':
    case 'auditEnabled':
      return { name, value: config[name] }
    case 'assetList':
      return { name, value: digested?.list.locks ?? [] }
    case 'usersAssets':
      return { name, value: digested?.list.users ?? [] }
    case 'kasFirmware':
    case 'batchKeyFirmware':
    case 'wirelessKeyFirmware': {
      const { version = '', url = '' } = newestFirmware[firmwareTypeOf[name]] ?? {}
      return { name, value: { version, url } }
    }
  }
}

/** Looks at all of them: how long it takes does not tell who it is. */
function findByPin(users: readonly CabinetUser[], pinHash: string): CabinetUser | undefined {
  const found = users.filter((user) => secretsEqual(user.pinHash, pinHash))
  return found.length === 1 ? found[0] : undefined
}

function userIdRequired(): DomainError {
  const message = 'required when pin_mode is off'
  return new DomainError('invalid_request', 'A PIN alone names nobody here.', {
    faults: [{ pointer: '/user_id', code: 'required', message }],
  })
}
