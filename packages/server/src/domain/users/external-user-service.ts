import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import type { Storage, Stores } from '../storage.ts'
import { type Identifier, onceOnlyScheme } from './identifier.ts'
import { tellOfUserId } from './user-events.ts'
import { requireUserReader, requireUserWriter } from './user-rights.ts'
import { userNotFound } from './user-service.ts'

/** A user and the external id by which a Keyless backend knows it. */
export interface ExternalUser {
  readonly userId: string
  /** Upper-case hex. */
  readonly keylessUserId: string
  readonly externalId: string
  readonly createdAtMs: number
  /** Since when it is this id. */
  readonly updatedAtMs: number
}

/** Most users that one answer lists; of more, those that have had the id longest. */
export const holdersMax = 500
const removedAtOnce = 100
const externalScheme = 'external'

/**
 * External ids of users, as a Keyless backend gives them: the label, which users may share. A user without a label goes by
 * the identifier of scheme `external`, by which enrolment adopts users (docs/contracts/platform.md, section 3).
 */
export class ExternalUserService {
  readonly #storage: Storage
  readonly #clock: Clock

  constructor(dependencies: { storage: Storage; clock: Clock }) {
    this.#storage = dependencies.storage
    this.#clock = dependencies.clock
  }

  /**
   * Gives a user a first external id.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `user_not_found`; `already_exists` when the user has one.
   */
  async create(
    caller: Caller,
    tenantId: string,
    change: { readonly keylessUserId: string; readonly externalId: string },
  ): Promise<ExternalUser> {
    return this.#write(caller, tenantId, change, (current) => {
      if (current === undefined) return
      throw new DomainError('already_exists', 'The user has an external user id.')
    })
  }

  /**
   * Another external id for a user that has one; the same one changes nothing.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `user_not_found`; `identifier_not_found` when the user has none.
   */
  async change(
    caller: Caller,
    tenantId: string,
    change: { readonly keylessUserId: string; readonly externalId: string },
  ): Promise<ExternalUser> {
    return this.#write(caller, tenantId, change, (current) => {
      if (current === undefined) throw noExternalUser()
    })
  }

  /**
   * Takes an external id from every user that has it, label or identifier, in steps that each are whole.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`; `identifier_not_found` when nobody has it.
   */
  async remove(caller: Caller, tenantId: string, externalId: string): Promise<void> {
    requireUserWriter(caller, tenantId)
    for (let step = 0; ; step++) {
      const count = await this.#storage.transaction(async (stores) => {
        await stores.tenants.requireFor(caller, tenantId)
        const holders = await holdersOf(stores, tenantId, externalId, removedAtOnce)
        for (const holder of holders) await this.#take(stores, caller, tenantId, holder)
        return holders.length
      })
      if (count === 0 && step === 0) throw noExternalUser()
      if (count < removedAtOnce) return
    }
  }

  /**
   * In the order in which they got it.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`; `identifier_not_found` when nobody has it.
   */
  async listHolders(caller: Caller, tenantId: string, externalId: string): Promise<ExternalUser[]> {
    requireUserReader(caller, tenantId)
    const { read } = this.#storage
    await read.tenants.requireFor(caller, tenantId)
    const holders = await holdersOf(read, tenantId, externalId, holdersMax)
    const ids = holders.map(({ userId }) => userId)
    const identifiers = await read.userIdentifiers.listOfUsers(tenantId, ids)
    const users = holders.flatMap((holder) => {
      const keylessUserId = keylessIdIn(identifiers.get(holder.userId) ?? [])
      return keylessUserId === undefined ? [] : [{ ...holder, keylessUserId }]
    })
    if (users.length === 0) throw noExternalUser()
    return users
  }

  async #write(
    caller: Caller,
    tenantId: string,
    { keylessUserId, externalId }: { readonly keylessUserId: string; readonly externalId: string },
    check: (current: Holder | undefined) => void,
  ): Promise<ExternalUser> {
    requireUserWriter(caller, tenantId)
    return this.#storage.transaction(async (stores) => {
      await stores.tenants.requireFor(caller, tenantId)
      const reference = { scheme: onceOnlyScheme, value: keylessUserId }
      const userId = await stores.userResolver.getUserId(tenantId, reference)
      // From here on nobody else writes this user.
      if (!(await stores.users.hold(tenantId, userId))) throw userNotFound()
      const current = await holderOf(stores, tenantId, userId)
      check(current)
      if (current?.externalId !== externalId) {
        await this.#label(stores, caller, { tenantId, userId }, externalId)
      }
      const now = await holderOf(stores, tenantId, userId)
      if (now === undefined) throw userNotFound()
      return { ...now, keylessUserId }
    })
  }

  async #take(
    stores: Stores,
    caller: Caller,
    tenantId: string,
    { userId, externalId, isLabel }: Holder,
  ): Promise<void> {
    const user = { tenantId, userId }
    if (isLabel) await this.#label(stores, caller, user, null)
    // Behind the label the same id may stand as an identifier.
    const identifier = { scheme: externalScheme, value: externalId }
    if (await stores.userIdentifiers.remove(tenantId, userId, identifier)) {
      await this.#record(stores, caller, user, ['identifiers'])
    }
  }

  async #label(
    stores: Stores,
    caller: Caller,
    user: { readonly tenantId: string; readonly userId: string },
    label: string | null,
  ): Promise<void> {
    const update = { keylessExternalId: label }
    if (!(await stores.users.update(user.tenantId, user.userId, update, this.#clock()))) {
      throw userNotFound()
    }
    await this.#record(stores, caller, user, ['keylessExternalId'])
  }

  async #record(
    stores: Stores,
    caller: Caller,
    { tenantId, userId }: { readonly tenantId: string; readonly userId: string },
    changed: string[],
  ): Promise<void> {
    await stores.journal.append(caller, tenantId, {
      action: 'user.updated',
      target: { type: 'user', id: userId },
      userId,
      detail: { changed },
    })
    await tellOfUserId(stores, 'user.updated', { tenantId, userId, nowMs: this.#clock() })
  }
}

type Holder = Omit<ExternalUser, 'keylessUserId'> & { readonly isLabel: boolean }

/** The user's label; without one, the first identifier, which the user has had from the start for all we know. */
async function holderOf(
  stores: Stores,
  tenantId: string,
  userId: string,
): Promise<Holder | undefined> {
  const found = await stores.users.external.find(tenantId, userId)
  if (found === undefined) return undefined
  const { createdAtMs, labelled } = found
  if (labelled !== undefined) return { ...labelled, externalId: labelled.label, isLabel: true }
  const identifiers = await stores.userIdentifiers.listOf(tenantId, userId)
  const externalId = identifiers.find(({ scheme }) => scheme === externalScheme)?.value
  if (externalId === undefined) return undefined
  return { userId, externalId, createdAtMs, updatedAtMs: createdAtMs, isLabel: false }
}

/** Holders of the label, and the one of the identifier unless a label of its own stands before it. */
async function holdersOf(
  stores: Stores,
  tenantId: string,
  externalId: string,
  limit: number,
): Promise<Holder[]> {
  const labelled = await stores.users.external.listHolders(tenantId, externalId, limit)
  const holders = labelled.map((user) => ({ ...user, externalId, isLabel: true }))
  const pair = { scheme: externalScheme, value: externalId }
  const userId = await stores.userResolver.findUserId(tenantId, pair)
  if (userId === undefined || holders.some((holder) => holder.userId === userId)) return holders
  const found = await stores.users.external.find(tenantId, userId)
  if (found === undefined || found.labelled !== undefined) return holders
  const { createdAtMs } = found
  const named = { userId, externalId, createdAtMs, updatedAtMs: createdAtMs, isLabel: false }
  return [named, ...holders]
    .sort((one, other) => one.updatedAtMs - other.updatedAtMs)
    .slice(0, limit)
}

function keylessIdIn(identifiers: readonly Identifier[]): string | undefined {
  return identifiers.find(({ scheme }) => scheme === onceOnlyScheme)?.value
}

function noExternalUser(): DomainError {
  return new DomainError('identifier_not_found', 'No such external user id.')
}
