import { type AuditHeader, readAuditHeader } from '@countersign/protocol/cabinet/audit-header.ts'
import { sha256Hex } from '#custody/secrets.ts'
import { type Caller, platformTenantId } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import type { Storage, Stores } from '../storage.ts'
import type { SettingsService } from '../tenants/settings-service.ts'
import type { IdSource } from '../ulid.ts'
import type { AuditUpload } from './audit-upload.ts'
import { foldSerial, isSerial, urlsOf } from './cabinet.ts'
import { cabinetNotFound } from './cabinet-service.ts'
import { forwardMessage } from './callback-messages.ts'
import type { ContactRecorder } from './contact-recorder.ts'
import { isServed } from './poll-service.ts'
import type { PolledCabinet } from './poll-store.ts'

/** How long an equal body of the same cabinet is a repeat. */
const repeatMs = 86_400_000

/** Audit records as they were sent: bytes of a cabinet, or readable events of a software one. */
export type AuditBody =
  | { readonly kind: 'binary'; readonly contentType: string; readonly bytes: Uint8Array }
  | {
      readonly kind: 'json'
      readonly contentType: string
      /** As received: `{"events":[...]}`, which the surface has checked. */
      readonly bytes: Uint8Array
      readonly eventCount: number
    }

/** Takes in audit records of devices. They are on disk, with everybody who is to get them, before the device is answered. */
export class CabinetAuditService {
  readonly #storage: Storage
  readonly #clock: Clock
  readonly #nextId: IdSource
  readonly #settings: SettingsService
  readonly #contacts: ContactRecorder
  readonly #destinationUrl: string | undefined

  constructor(dependencies: {
    storage: Storage
    clock: Clock
    nextId: IdSource
    settings: SettingsService
    contacts: ContactRecorder
    auditDestinationUrl: string | undefined
  }) {
    this.#storage = dependencies.storage
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
    this.#settings = dependencies.settings
    this.#contacts = dependencies.contacts
    this.#destinationUrl = dependencies.auditDestinationUrl
  }

  /**
   * Takes in what a cabinet uploads. A body that it sent in the last 24 hours is accepted and not passed on again.
   *
   * @param caller of type CABINET.
   * @throws DomainError `cabinet_not_found`, also for one that nobody registered; `invalid_request` for a header that is
   * cut off; `tenant_disabled`, `unavailable`.
   */
  async upload(caller: Caller, serial: string, body: AuditBody): Promise<void> {
    const cabinet = isSerial(serial)
      ? await this.#storage.read.cabinets.polls.findBySerial(serial)
      : undefined
    const isRegistered = cabinet !== undefined && cabinet.key.tenantId !== platformTenantId
    if (!isRegistered || !isServed(cabinet)) throw cabinetNotFound()
    const header = headerOf(body)
    const nowMs = this.#clock()
    const { tenantId } = cabinet.key
    if (cabinet.config.auditEnabled) {
      const { auditDestinationUrl } = (await this.#settings.settingsOf(tenantId)).okm
      const destination = auditDestinationUrl ?? this.#destinationUrl
      const urls = new Set([
        ...urlsOf(cabinet.subscribeUrls, 'audit'),
        ...(destination === undefined ? [] : [destination]),
      ])
      const bodyHash = sha256Hex(body.bytes)
      const seen = { tenantId, serial: foldSerial(serial), bodyHash, nowMs }
      await this.#storage.transaction(async (stores) => {
        const { uploads } = stores.cabinets
        if (!(await uploads.markSeen({ ...seen, expiresAtMs: nowMs + repeatMs }))) return
        const upload = await this.#store(stores, { tenantId, cabinet, body, header, bodyHash })
        for (const url of urls) {
          await stores.outbox.append(tenantId, forwardMessage(url, upload.id, cabinet.key.id))
        }
        await report(stores, caller, upload, urls.size)
      })
    }
    this.#contacts.note(cabinet.key, {
      lastSyncAtMs: nowMs,
      lastAddress: null,
      firmwareVersion: null,
      installCode: null,
    })
  }

  /**
   * Takes in records of keys that report through another server and name no cabinet. They go to the operator's
   * destination; without one they are dropped.
   *
   * @throws DomainError `invalid_request` for a header that is cut off; `unavailable`.
   */
  async uploadOfKeys(caller: Caller, body: AuditBody): Promise<void> {
    const header = headerOf(body)
    const url = this.#destinationUrl
    if (url === undefined) return
    const tenantId = platformTenantId
    const bodyHash = sha256Hex(body.bytes)
    await this.#storage.transaction(async (stores) => {
      const upload = await this.#store(stores, {
        tenantId,
        cabinet: undefined,
        body,
        header,
        bodyHash,
      })
      await stores.outbox.append(tenantId, forwardMessage(url, upload.id, ''))
      await report(stores, caller, upload, 1)
    })
  }

  async #store(
    { cabinets }: Stores,
    given: {
      readonly tenantId: string
      readonly cabinet: PolledCabinet | undefined
      readonly body: AuditBody
      readonly header: AuditHeader | undefined
      readonly bodyHash: string
    },
  ): Promise<AuditUpload> {
    const { tenantId, cabinet, body, header, bodyHash } = given
    const readableCount = body.kind === 'json' ? body.eventCount : 1
    // The count is held until the commit, so numbers are in the order of commits and a reader misses none.
    const lastSeq = await cabinets.tally.add(tenantId, 'event', readableCount)
    const upload: AuditUpload = {
      tenantId,
      id: this.#nextId(),
      firstSeq: lastSeq - readableCount + 1,
      lastSeq,
      cabinetId: cabinet?.key.id ?? null,
      serial: cabinet?.serial ?? null,
      contentType: body.contentType,
      eventCount: header?.eventCount ?? null,
      headerAddress: header?.address ?? null,
      bodyHash,
      receivedAtMs: this.#clock(),
      body: body.bytes,
    }
    await cabinets.uploads.insert(upload)
    return upload
  }
}

async function report(
  { journal }: Stores,
  caller: Caller,
  { tenantId, id, cabinetId, eventCount, bodyHash, body }: AuditUpload,
  forwardCount: number,
): Promise<void> {
  await journal.append(caller, tenantId, {
    action: 'cabinet.audit-uploaded',
    target: cabinetId === null ? null : { type: 'cabinet', id: cabinetId },
    detail: {
      uploadId: id,
      eventCount,
      byteCount: body.length,
      sha256: bodyHash,
      forwardCount,
    },
  })
}

/** Undefined for JSON, which has none. */
function headerOf(body: AuditBody): AuditHeader | undefined {
  if (body.kind === 'json') return undefined
  const header = readAuditHeader(body.bytes)
  if (header !== undefined) return header
  const message = 'shorter than the 28-byte header'
  throw new DomainError('invalid_request', 'The upload is cut off.', {
    faults: [{ pointer: '/body', code: 'bad_format', message }],
  })
}
