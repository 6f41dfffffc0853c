import type { PinHasher } from '#custody/pin-hasher.ts'
import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import type { JournalEntry } from '../journal/journal-record.ts'
import type { Storage, Stores } from '../storage.ts'
import type { IdSource } from '../ulid.ts'
import type { UserReference } from '../users/user-resolver.ts'
import { assign, holdToken } from './assigning.ts'
import {
  type Assignment,
  type AssignmentChanges,
  type AssignmentStatus,
  type AssignmentTerms,
  asOf,
  assignmentNotFound,
  checkPin,
  checkTerms,
} from './assignment.ts'
import { applyChanges, recordChanges } from './assignment-changes.ts'
import type { AssignmentKey } from './assignment-store.ts'
import { type OtpToken, tokenTarget } from './otp-token.ts'
import { hashPin } from './pin.ts'
import { tellOfToken } from './token-document.ts'
import { requireTokenAdmin, requireTokenReader } from './token-rights.ts'

/** Who is to get a token, and on which terms. */
export interface NewAssignment extends AssignmentTerms {
  readonly user: UserReference
  /** Absent or false: the user becomes the owner. */
  readonly shared?: boolean | undefined
  readonly pin?: string | undefined
  /** Absent: ACTIVE. */
  readonly status?: AssignmentStatus | undefined
}

/** The holder and the token of an assignment. */
export interface Held {
  readonly tokenId: string
  readonly userId: string
}

/** Who holds which token, and on which terms. */
export class AssignmentService {
  readonly #storage: Storage
  readonly #pins: PinHasher
  readonly #clock: Clock
  readonly #nextId: IdSource

  constructor(dependencies: {
    storage: Storage
    pins: PinHasher
    clock: Clock
    nextId: IdSource
  }) {
    this.#storage = dependencies.storage
    this.#pins = dependencies.pins
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
  }

  /**
   * @throws DomainError `forbidden`, `tenant_not_found`, `token_not_found`, `user_not_found`, `invalid_request`,
   *   `token_not_active`, `already_assigned`, `owned_by_other`; `limit_reached` at 100 users; `too_many_requests`.
   */
  async create(
    caller: Caller,
    tenantId: string,
    tokenId: string,
    { user, shared = false, pin, status = 'ACTIVE', ...terms }: NewAssignment,
  ): Promise<Assignment> {
    requireTokenAdmin(caller, tenantId)
    checkTerms(terms)
    if (pin !== undefined) checkPin(pin)
    const { read } = this.#storage
    await read.tenants.requireFor(caller, tenantId)
    if ((await read.otpTokens.find(tenantId, tokenId)) === undefined) {
      throw new DomainError('token_not_found', 'No such token.')
    }
    const userId = await read.userResolver.getUserId(tenantId, user, '/user')
    const pinHash = await hashPin(this.#pins, pin)
    const id = this.#nextId()
    return this.#storage.transaction(async (stores) =>
      assign(stores, caller, {
        token: await holdToken(stores, tenantId, tokenId),
        userId,
        isShared: shared,
        terms,
        status,
        pinHash,
        id,
        nowMs: this.#clock(),
      }),
    )
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`, `assignment_not_found`. */
  async get(caller: Caller, tenantId: string, { tokenId, userId }: Held): Promise<Assignment> {
    requireTokenReader(caller, tenantId)
    const found = await this.#storage.read.assignments.find({ tenantId, tokenId, userId })
    if (found === undefined) throw assignmentNotFound()
    return asOf(found, this.#clock())
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`, `assignment_not_found`. */
  async getById(caller: Caller, tenantId: string, id: string): Promise<Assignment> {
    requireTokenReader(caller, tenantId)
    const found = await this.#storage.read.assignments.findById(tenantId, id)
    if (found === undefined) throw assignmentNotFound()
    return asOf(found, this.#clock())
  }

  /**
   * Status, PIN, validity, usage limit, priority: all that is given or nothing. ACTIVE on a LOCKED assignment unlocks it
   * and forgets its failures; LOCKED locks it until it is unlocked.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `assignment_not_found`, `invalid_request`, `too_many_requests`.
   */
  async update(
    caller: Caller,
    tenantId: string,
    held: Held,
    changes: AssignmentChanges,
  ): Promise<Assignment> {
    requireTokenAdmin(caller, tenantId)
    checkTerms(changes)
    const { pin } = changes
    if (typeof pin === 'string') {
      checkPin(pin)
      // Nobody makes the server compute PINs of assignments that are not there.
      await this.get(caller, tenantId, held)
    }
    const pinHash = pin === undefined ? undefined : await hashPin(this.#pins, pin)
    return this.#change(tenantId, held, async (stores, token, assignment) => {
      const change = { token, assignment, changes, pinHash, nowMs: this.#clock() }
      await recordChanges(stores, caller, change, await applyChanges(stores, change))
    })
  }

  /** @throws as `update`. */
  async setPin(caller: Caller, tenantId: string, held: Held, pin: string): Promise<void> {
    await this.update(caller, tenantId, held, { pin })
  }

  /** No PIN set: nothing happens. @throws as `update`. */
  async clearPin(caller: Caller, tenantId: string, held: Held): Promise<void> {
    await this.update(caller, tenantId, held, { pin: null })
  }

  /**
   * Locks until unlocked, also when a lock that would have ended by itself is running.
   *
   * @param reason the administrator's words, for the journal.
   * @throws DomainError `forbidden`, `tenant_not_found`, `assignment_not_found`; `assignment_not_active` when INACTIVE or
   *   DISABLED.
   */
  async lock(
    caller: Caller,
    tenantId: string,
    held: Held,
    { reason }: { readonly reason?: string | undefined } = {},
  ): Promise<Assignment> {
    requireTokenAdmin(caller, tenantId)
    return this.#change(tenantId, held, async (stores, _token, assignment) => {
      const { status, lockReason } = assignment
      if (status !== 'ACTIVE' && status !== 'LOCKED') {
        throw new DomainError('assignment_not_active', 'The assignment is not ACTIVE.')
      }
      if (status === 'LOCKED' && lockReason === 'ADMINISTRATOR') return
      await stores.assignments.setStatus(assignment, 'LOCKED', this.#clock())
      const detail = { reason: reason ?? null }
      await record(stores, caller, 'otp-token.assignment-locked', assignment, detail)
    })
  }

  /** Ends a lock and forgets the failures. @throws DomainError `forbidden`, `tenant_not_found`, `assignment_not_found`. */
  async unlock(caller: Caller, tenantId: string, held: Held): Promise<Assignment> {
    requireTokenAdmin(caller, tenantId)
    return this.#change(tenantId, held, async (stores, _token, assignment) => {
      const nowMs = this.#clock()
      const { status, failureCount } = assignment
      if (status !== 'LOCKED' && failureCount === 0) return
      if (status === 'LOCKED') await stores.assignments.setStatus(assignment, 'ACTIVE', nowMs)
      await stores.assignments.clearFailures(assignment, nowMs)
      await record(stores, caller, 'otp-token.assignment-unlocked', assignment, { failureCount })
    })
  }

  /**
   * Takes the token from the user, with PIN, lock and tickets. Others keep it; when the owner goes, the next assignment
   * that is not shared makes the owner.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `token_not_found`, `assignment_not_found`.
   */
  async delete(caller: Caller, tenantId: string, held: Held): Promise<void> {
    if (!(await this.#remove(caller, tenantId, held))) throw assignmentNotFound()
  }

  /** As `delete`, for callers that name token and user: `not_assigned` takes the place of `assignment_not_found`. */
  async unassign(caller: Caller, tenantId: string, held: Held): Promise<void> {
    if (await this.#remove(caller, tenantId, held)) return
    throw new DomainError('not_assigned', 'The token is not assigned to this user.')
  }

  async #remove(caller: Caller, tenantId: string, { tokenId, userId }: Held): Promise<boolean> {
    requireTokenAdmin(caller, tenantId)
    return this.#storage.transaction(async (stores) => {
      const { serial } = await holdToken(stores, tenantId, tokenId)
      const key = { tenantId, tokenId, userId }
      if (!(await stores.assignments.remove(key))) return false
      await stores.factors.keepLastUse(tenantId, { tokenId, userId })
      await stores.tickets.removeOfAssignment(key)
      await record(stores, caller, 'otp-token.unassigned', key, { serial })
      await tellOfToken(stores, 'otp-token.unassigned', key, this.#clock())
      return true
    })
  }

  async #change(
    tenantId: string,
    { tokenId, userId }: Held,
    work: (stores: Stores, token: OtpToken, assignment: Assignment) => Promise<void>,
  ): Promise<Assignment> {
    return this.#storage.transaction(async (stores) => {
      const token = await holdToken(stores, tenantId, tokenId)
      const key = { tenantId, tokenId, userId }
      const before = await stores.assignments.find(key)
      if (before === undefined) throw assignmentNotFound()
      await work(stores, token, before)
      return asOf((await stores.assignments.find(key)) ?? before, this.#clock())
    })
  }
}

async function record(
  { journal }: Stores,
  caller: Caller,
  action: string,
  { tenantId, tokenId, userId }: AssignmentKey,
  detail: NonNullable<JournalEntry['detail']>,
): Promise<void> {
  await journal.append(caller, tenantId, {
    action,
    target: tokenTarget(tokenId),
    userId,
    detail,
  })
}
