import type { Randomness } from '#custody/randomness.ts'
import type { TmsService } from '../approvals/tms-service.ts'
import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import type { Storage } from '../storage.ts'
import type { OutboundRule } from '../tenants/outbound-rule.ts'
import type { SettingsService } from '../tenants/settings-service.ts'
import { type IdSource, randomUuid } from '../ulid.ts'
import { isCallbackAllowed } from './callback-address.ts'
import {
  type Nonce,
  type NonceAction,
  type NonceForm,
  type NonceTms,
  newNonce,
  nonceLifeMs,
  nonceTarget,
  portalOf,
} from './nonce.ts'
import type { NonceHasher } from './nonce-hasher.ts'

/** What a portal asks for. */
export interface NonceDraft {
  readonly form: NonceForm
  readonly action: NonceAction
  /** Absent: a random one. */
  readonly portalSessionId: string | undefined
  /** Absent: `settings.ast.defaultCallbackUrl`. */
  readonly callbackUrl: string | undefined
  /** Of a TMS_NONCE; does not count for others. */
  readonly tms: NonceTms | undefined
}

/** Told once. */
export interface ShownNonce {
  readonly shown: string
  readonly nonce: Nonce
}

/** Of 2^40 short nonces a few are in use: a second one that is taken says that something else is wrong. */
const attemptsMax = 5
/** Stands for whoever will redeem it while the transaction is checked. */
const nobody = { userId: '', deviceId: '' }

/** Nonces, as portals ask for them. */
export class NonceService {
  readonly #storage: Storage
  readonly #hasher: NonceHasher
  readonly #tms: TmsService
  readonly #settings: SettingsService
  readonly #outbound: OutboundRule
  readonly #clock: Clock
  readonly #nextId: IdSource
  readonly #randomness: Randomness

  constructor(dependencies: {
    storage: Storage
    hasher: NonceHasher
    tms: TmsService
    settings: SettingsService
    outbound: OutboundRule
    clock: Clock
    nextId: IdSource
    randomness: Randomness
  }) {
    this.#storage = dependencies.storage
    this.#hasher = dependencies.hasher
    this.#tms = dependencies.tms
    this.#settings = dependencies.settings
    this.#outbound = dependencies.outbound
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
    this.#randomness = dependencies.randomness
  }

  /**
   * Makes a nonce for a portal to show.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`; `url_not_allowed` for a callback address outside the tenant's list or
   *   that the server may not call, and for none; `invalid_request` for a transaction that cannot be started like this.
   */
  async create(caller: Caller, tenantId: string, draft: NonceDraft): Promise<ShownNonce> {
    caller.requireIn(tenantId, 'ast:write')
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    const callbackUrl = await this.#callbackUrlFor(caller, tenantId, draft.callbackUrl)
    const tms = draft.action === 'TMS_NONCE' ? (draft.tms ?? null) : null
    if (tms !== null) await this.#tms.build(caller, tenantId, tms, nobody)
    const { portalSessionId = randomUuid(this.#randomness) } = draft
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      const nowMs = this.#clock()
      const shown = newNonce(draft.form, nowMs, this.#randomness)
      const nonce: Nonce = {
        tenantId,
        id: this.#nextId(),
        hash: await this.#hasher.hash(tenantId, shown),
        action: draft.action,
        portalSessionId,
        callbackUrl,
        tms,
        createdBy: caller.id ?? 'system',
        createdAtMs: nowMs,
        expiresAtMs: nowMs + nonceLifeMs[draft.form],
        redeemedAtMs: null,
      }
      if (await this.#insert(caller, nonce, draft.form)) return { shown, nonce }
    }
    throw new DomainError('unavailable', 'No nonce could be made.', { retryAfterSeconds: 1 })
  }

  async #insert(caller: Caller, nonce: Nonce, form: NonceForm): Promise<boolean> {
    const { tenantId, id, action, expiresAtMs } = nonce
    return this.#storage.transaction(async (stores) => {
      await stores.tenants.requireFor(caller, tenantId)
      if (!(await stores.nonces.rows.insert(nonce))) return false
      await stores.journal.append(caller, tenantId, {
        action: 'nonce.created',
        target: nonceTarget(id),
        detail: { action, form, portal: portalOf(nonce), expiresAt: instant(expiresAtMs) },
      })
      return true
    })
  }

  async #callbackUrlFor(
    caller: Caller,
    tenantId: string,
    given: string | undefined,
  ): Promise<string> {
    const { ast, callbacks } = await this.#settings.settingsFor(caller, tenantId)
    const url = given ?? ast.defaultCallbackUrl
    if (url === null) {
      throw notAllowed('There is no callback address.', 'is needed: the tenant has no default')
    }
    if (!isCallbackAllowed(this.#outbound, url, callbacks.allowedOrigins)) {
      throw notAllowed('The callback address is not allowed.', 'is outside the allow-list')
    }
    return url
  }
}

function notAllowed(message: string, fault: string): DomainError {
  return new DomainError('url_not_allowed', message, {
    faults: [{ pointer: '/payload/callbackUrl', code: 'unsupported', message: fault }],
  })
}

function instant(atMs: number): string {
  return new Date(atMs).toISOString()
}
