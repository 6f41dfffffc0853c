import type { Randomness } from '#custody/randomness.ts'
import type { Vault } from '#custody/vault.ts'
import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError, type Fault } from '../errors.ts'
import { decodeCursor, type Page, type PageRequest, pageOf } from '../paging.ts'
import { type Storage, takenKey } from '../storage.ts'
import type { IdSource } from '../ulid.ts'
import { listKeyBytes } from './code-tags.ts'
import { requireListReader, requireListWriter, requireMethodReader } from './list-rights.ts'
import { methodNotFound } from './otp-list.ts'
import {
  defaultSettings,
  faultsOf,
  faultsOfDescription,
  isMethodName,
  methodKeyPlace,
  type OtpListMethod,
  type OtpListSettings,
} from './otp-list-method.ts'

/** What is to change; what is absent stays, or is the default in a new method. */
export type MethodChange = {
  readonly [Member in keyof OtpListSettings | 'description']?:
    | (OtpListSettings & { description: string })[Member]
    | undefined
}

export type NewOtpListMethod = MethodChange & { readonly name: string }

/** Enough for every kind of sheet; what a user has of each is read when a code is checked. */
const methodsMax = 100

/** Users whose failures one transaction forgets. */
const forgottenAtOnce = 200

/** Kinds of printed lists. */
export class OtpListMethodService {
  readonly #storage: Storage
  readonly #vault: Vault
  readonly #randomness: Randomness
  readonly #clock: Clock
  readonly #nextId: IdSource

  constructor(dependencies: {
    storage: Storage
    vault: Vault
    randomness: Randomness
    clock: Clock
    nextId: IdSource
  }) {
    this.#storage = dependencies.storage
    this.#vault = dependencies.vault
    this.#randomness = dependencies.randomness
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
  }

  /**
   * @throws DomainError `forbidden`, `tenant_not_found`, `invalid_request`; `already_exists` when the name is taken;
   *   `limit_reached`.
   */
  async create(caller: Caller, tenantId: string, draft: NewOtpListMethod): Promise<OtpListMethod> {
    requireListWriter(caller, tenantId)
    const { name, ...change } = draft
    const nowMs = this.#clock()
    const method: OtpListMethod = {
      ...withChange({ ...defaultSettings, description: '' }, change),
      tenantId,
      id: this.#nextId(),
      name,
      createdAtMs: nowMs,
      updatedAtMs: nowMs,
    }
    checkMethod(method)
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    const key = this.#randomness(listKeyBytes)
    const sealedKey = await this.#vault.seal(methodKeyPlace(tenantId, name), key)
    try {
      await this.#storage.transaction(async ({ tenants, otpListMethods, journal }) => {
        // Held: who makes methods counts them one after the other.
        await tenants.holdFor(caller, tenantId)
        const first = { afterId: '', limit: methodsMax }
        if ((await otpListMethods.list(tenantId, first)).length === methodsMax) {
          throw new DomainError('limit_reached', `A tenant has at most ${methodsMax} methods.`)
        }
        await otpListMethods.insert(method, sealedKey)
        await journal.append(caller, tenantId, {
          action: 'otp-list-method.created',
          target: methodTarget(name),
          detail: settingsOf(method),
        })
      })
    } catch (error) {
      if (takenKey(error) === undefined) throw error
      const message = 'A method of this name exists.'
      const fault = { pointer: '/name', code: 'not_unique', message }
      throw new DomainError('already_exists', message, { faults: [fault] })
    }
    return method
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`, `method_not_found`. */
  async get(caller: Caller, tenantId: string, name: string): Promise<OtpListMethod> {
    requireMethodReader(caller, tenantId)
    const method = await this.#storage.read.otpListMethods.find(tenantId, name)
    if (method === undefined) throw methodNotFound()
    return method
  }

  /** In order of creation. @throws DomainError `forbidden`, `tenant_not_found`, `cursor_invalid`. */
  async list(caller: Caller, tenantId: string, request: PageRequest): Promise<Page<OtpListMethod>> {
    requireListReader(caller, tenantId)
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    const scope = { list: 'otp-list-methods', tenantId, nowMs: this.#clock() }
    const [afterId = ''] = decodeCursor(request.cursor, ['text'], scope) ?? []
    const { limit } = request
    const page = { afterId, limit: limit + 1 }
    const methods = await this.#storage.read.otpListMethods.list(tenantId, page)
    return pageOf(
      methods,
      limit,
      scope,
      ({ id }) => [id],
      (method) => method,
    )
  }

  /**
   * Changes settings, judged by what they would leave. Length, alphabet, size, order and index format hold for lists
   * created afterwards.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `method_not_found`, `invalid_request`.
   */
  async update(
    caller: Caller,
    tenantId: string,
    name: string,
    change: MethodChange,
  ): Promise<OtpListMethod> {
    requireListWriter(caller, tenantId)
    return this.#storage.transaction(async ({ otpListMethods, journal }) => {
      if (!(await otpListMethods.hold(tenantId, name))) throw methodNotFound()
      const present = await otpListMethods.find(tenantId, name)
      if (present === undefined) throw methodNotFound()
      const method = { ...withChange(present, change), updatedAtMs: this.#clock() }
      checkMethod(method)
      await otpListMethods.update(method)
      await journal.append(caller, tenantId, {
        action: 'otp-list-method.updated',
        target: methodTarget(name),
        detail: settingsOf(method),
      })
      return method
    })
  }

  /**
   * Removes a method, its key, and what was counted over its lists.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `method_not_found`; `in_use` while it has lists.
   */
  async delete(caller: Caller, tenantId: string, name: string): Promise<void> {
    requireListWriter(caller, tenantId)
    while (!(await this.#deleteStep(caller, tenantId, name))) {
      // Many users may have failed: each step is one short transaction, and the last one removes the method.
    }
  }

  /** False: there is more to forget first. */
  async #deleteStep(caller: Caller, tenantId: string, name: string): Promise<boolean> {
    return this.#storage.transaction(async ({ otpListMethods, journal }) => {
      // Held first: whoever makes a list holds the method too.
      if (!(await otpListMethods.hold(tenantId, name))) throw methodNotFound()
      if (await otpListMethods.hasLists(tenantId, name, this.#clock())) {
        throw new DomainError('in_use', 'The method has lists.')
      }
      const method = await otpListMethods.find(tenantId, name)
      if (method === undefined) throw methodNotFound()
      const forgotten = await otpListMethods.forgetFailures(method, forgottenAtOnce)
      if (forgotten === forgottenAtOnce) return false
      await otpListMethods.remove(tenantId, name)
      await journal.append(caller, tenantId, {
        action: 'otp-list-method.deleted',
        target: methodTarget(name),
      })
      return true
    })
  }
}

function methodTarget(name: string): { type: string; id: string } {
  return { type: 'otp-list-method', id: name }
}

function withChange<T extends OtpListSettings & { description: string }>(
  present: T,
  change: MethodChange,
): T {
  const given = Object.entries(change).filter(([, value]) => value !== undefined)
  return { ...present, ...Object.fromEntries(given) }
}

function checkMethod(method: OtpListMethod): void {
  const faults: Fault[] = [...faultsOfDescription(method.description), ...faultsOf(method)]
  if (!isMethodName(method.name)) {
    const message = 'must be 1 to 64 letters, digits, . _ -'
    faults.unshift({ pointer: '/name', code: 'bad_format', message })
  }
  if (faults.length > 0) {
    throw new DomainError('invalid_request', 'The settings do not fit.', { faults })
  }
}

function settingsOf(method: OtpListMethod): { [name: string]: string | number } {
  const { otpWindowSize, otpLength, otpAlphabet, listSize, order, indexFormat } = method
  const { indexBlockSize, renewThreshold, maxFailures, lockSeconds } = method
  const { freeListMaxAgeSeconds, associatedListMaxAgeSeconds, maxAgeLimitSeconds } = method
  return {
    otpWindowSize,
    otpLength,
    otpAlphabet,
    listSize,
    order,
    indexFormat,
    indexBlockSize,
    freeListMaxAgeSeconds,
    associatedListMaxAgeSeconds,
    maxAgeLimitSeconds,
    renewThreshold,
    maxFailures,
    lockSeconds,
  }
}
