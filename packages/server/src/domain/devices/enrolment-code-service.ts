import { hash } from 'node:crypto'
import type { Randomness } from '#custody/randomness.ts'
import { newTicket } from '#custody/secrets.ts'
import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import { decodeCursor, type Page, type PageRequest, pageOf } from '../paging.ts'
import { drawQrSvg } from '../qr-code.ts'
import type { Storage } from '../storage.ts'
import type { SettingsService } from '../tenants/settings-service.ts'
import type { IdSource } from '../ulid.ts'
import type { UserReference } from '../users/user-resolver.ts'
import { requireOneOf } from './device-rights.ts'
import { type CodeFilter, type EnrolmentCode, statusAt } from './enrolment-code-store.ts'

/** What a code is to be for. */
export interface EnrolmentCodeDraft {
  /** Absent: the redemption makes, or adopts, the user. */
  readonly user?: UserReference | undefined
  /** Keyless external id of the user that will be made; not together with `user`. */
  readonly externalUserId?: string | undefined
  /** 60 to 604,800; absent: the tenant's setting. */
  readonly expiresInSeconds?: number | undefined
  /** Suggested name of the device. */
  readonly deviceName?: string | undefined
}

/** Told once. */
export interface EnrolmentSecret {
  /** 32 random bytes, base64url. */
  readonly code: string
  /** What the QR code says (docs/contracts/device.md, section 2). */
  readonly qrPayload: string
  readonly qrSvg: string
}

/** The tenant's certificate authority, as far as a device is told of it before it has anything. */
export interface TrustAnchors {
  /** SHA-256 of the tenant's root certificate (DER), base64url. */
  anchorHash(tenantId: string): Promise<string>
}

const keylessRight = 'keyless:backend'

/** One-time rights to enrol a device. */
export class EnrolmentCodeService {
  readonly #storage: Storage
  readonly #settings: SettingsService
  readonly #anchors: TrustAnchors
  readonly #publicUrl: () => string
  readonly #clock: Clock
  readonly #nextId: IdSource
  readonly #randomness: Randomness

  constructor(dependencies: {
    storage: Storage
    settings: SettingsService
    anchors: TrustAnchors
    publicUrl: () => string
    clock: Clock
    nextId: IdSource
    randomness: Randomness
  }) {
    this.#storage = dependencies.storage
    this.#settings = dependencies.settings
    this.#anchors = dependencies.anchors
    this.#publicUrl = dependencies.publicUrl
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
    this.#randomness = dependencies.randomness
  }

  /**
   * @throws DomainError `forbidden`, `tenant_not_found`; `user_not_found` with a pointer; `user_disabled`;
   *   `limit_reached` when the user has as many devices as the tenant allows.
   */
  async create(
    caller: Caller,
    tenantId: string,
    draft: EnrolmentCodeDraft,
  ): Promise<{ code: EnrolmentCode; secret: EnrolmentSecret }> {
    requireOneOf(caller, tenantId, ['tenant:write', keylessRight])
    const { read } = this.#storage
    await read.tenants.requireFor(caller, tenantId)
    const { enrolment } = await this.#settings.settingsFor(caller, tenantId)
    const userId = draft.user && (await read.userResolver.getUserId(tenantId, draft.user, '/user'))
    const secret = newTicket(this.#randomness)
    const anchor = await this.#anchors.anchorHash(tenantId)
    const nowMs = this.#clock()
    const code: Parameters<typeof read.enrolmentCodes.insert>[0] = {
      tenantId,
      id: this.#nextId(),
      codeHash: hashOfCode(secret),
      userId: userId ?? null,
      externalUserId: draft.externalUserId ?? null,
      deviceName: draft.deviceName ?? null,
      createdBy: caller.id ?? 'system',
      createdAtMs: nowMs,
      expiresAtMs: nowMs + (draft.expiresInSeconds ?? enrolment.codeTtlSeconds) * 1000,
    }
    const made = await this.#storage.transaction(async (stores) => {
      if (userId !== undefined) {
        const user = await stores.userViews.find(tenantId, userId, nowMs)
        if (user === undefined) {
          throw new DomainError('user_not_found', 'No such user.', { pointer: '/user' })
        }
        if (user.status === 'DISABLED') {
          throw new DomainError('user_disabled', 'The user is disabled.')
        }
        const devices = await stores.deviceLinks.countOfUser(tenantId, userId)
        if (devices >= enrolment.maxDevicesPerUser) {
          throw new DomainError('limit_reached', 'The user has the maximum of devices.')
        }
      }
      await stores.enrolmentCodes.insert(code)
      await stores.journal.append(caller, tenantId, {
        action: 'enrolment-code.created',
        target: { type: 'enrolment-code', id: code.id },
        ...(userId === undefined ? {} : { userId }),
      })
      return getCode(await stores.enrolmentCodes.find(tenantId, code.id))
    })
    return { code: made, secret: await this.#present(tenantId, secret, anchor) }
  }

  /**
   * Newest first.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `cursor_invalid`.
   */
  async list(
    caller: Caller,
    tenantId: string,
    query: CodeFilter & PageRequest,
  ): Promise<Page<EnrolmentCode>> {
    caller.requireIn(tenantId, 'tenant:read')
    const { read } = this.#storage
    await read.tenants.requireFor(caller, tenantId)
    const { limit, cursor, userId, status } = query
    const nowMs = this.#clock()
    const scope = { list: 'enrolment-codes', tenantId, filters: { userId, status }, nowMs }
    const [beforeId] = decodeCursor(cursor, ['text'], scope) ?? []
    const codes = await read.enrolmentCodes.list(tenantId, {
      userId,
      status,
      beforeId,
      limit: limit + 1,
      nowMs,
    })
    return pageOf(
      codes,
      limit,
      scope,
      ({ id }) => [id],
      (code) => code,
    )
  }

  /**
   * A caller with keyless:backend alone reaches only codes that it made.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `enrolment_code_not_found`.
   */
  async get(caller: Caller, tenantId: string, id: string): Promise<EnrolmentCode> {
    requireOneOf(caller, tenantId, ['tenant:read', keylessRight])
    const { read } = this.#storage
    await read.tenants.requireFor(caller, tenantId)
    return visibleCode(caller, 'tenant:read', await read.enrolmentCodes.find(tenantId, id))
  }

  /**
   * Voids a code; one that is void already stays so.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `enrolment_code_not_found`; `state_conflict` for a code that was
   *   used or has expired.
   */
  async revoke(caller: Caller, tenantId: string, id: string): Promise<void> {
    requireOneOf(caller, tenantId, ['tenant:write', keylessRight])
    await this.#storage.transaction(async (stores) => {
      await stores.tenants.requireFor(caller, tenantId)
      const code = visibleCode(
        caller,
        'tenant:write',
        await stores.enrolmentCodes.find(tenantId, id),
      )
      const nowMs = this.#clock()
      if (await stores.enrolmentCodes.revoke(tenantId, id, nowMs)) {
        await stores.journal.append(caller, tenantId, {
          action: 'enrolment-code.revoked',
          target: { type: 'enrolment-code', id },
          ...(code.userId === null ? {} : { userId: code.userId }),
        })
        return
      }
      const now = getCode(await stores.enrolmentCodes.find(tenantId, id))
      if (now.stored === 'REVOKED') return
      const status = statusAt(now, nowMs)
      throw new DomainError('state_conflict', `The code is ${status}.`)
    })
  }

  /** The status that a code has now. */
  statusOf(code: EnrolmentCode): ReturnType<typeof statusAt> {
    return statusAt(code, this.#clock())
  }

  async #present(tenantId: string, code: string, anchor: string): Promise<EnrolmentSecret> {
    const parts = { server: this.#publicUrl(), tenant: tenantId, code, anchor }
    const rest = Object.entries(parts).map(
      ([name, value]) => `&${name}=${encodeURIComponent(value)}`,
    )
    const qrPayload = `countersign://enrol?v=1${rest.join('')}`
    const qrSvg = await drawQrSvg(qrPayload)
    return { code, qrPayload, qrSvg }
  }
}

/** SHA-256 of the code in ASCII, base64url: what the key statement names, and all that is stored. */
export function hashOfCode(code: string): string {
  return hash('sha256', code, 'base64url')
}

function visibleCode(
  caller: Caller,
  right: 'tenant:read' | 'tenant:write',
  code: EnrolmentCode | undefined,
): EnrolmentCode {
  const found = getCode(code)
  if (!caller.has(right) && found.createdBy !== caller.id) throw noSuchCode()
  return found
}

function getCode(code: EnrolmentCode | undefined): EnrolmentCode {
  if (code === undefined) throw noSuchCode()
  return code
}

function noSuchCode(): DomainError {
  return new DomainError('enrolment_code_not_found', 'No such enrolment code.')
}
