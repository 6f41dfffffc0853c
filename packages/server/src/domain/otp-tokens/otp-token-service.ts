import { counterMax } from '@countersign/protocol/otp/hotp.ts'
import { totpStep } from '@countersign/protocol/otp/totp.ts'
import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import type { JournalEntry } from '../journal/journal-record.ts'
import { decodeCursor, encodeCursor, type Page, type PageRequest } from '../paging.ts'
import type { Storage, Stores } from '../storage.ts'
import { MemberCheck } from '../users/name-text.ts'
import { holdToken } from './assigning.ts'
import { type Assignment, asOf } from './assignment.ts'
import {
  descriptionLengthMax,
  type HeldToken,
  mayBecome,
  type OtpToken,
  requireAlive,
  tokenNotFound,
  tokenTarget,
} from './otp-token.ts'
import type { TokenChanges } from './otp-token-store.ts'
import { codesOf } from './product-service.ts'
import { repositoryNotFound } from './repository-service.ts'
import type { TokenFilters } from './token-list-store.ts'
import { requireTokenAdmin, requireTokenReader } from './token-rights.ts'

/** Tokens: reading, and what an administrator changes about them. */
export class OtpTokenService {
  readonly #storage: Storage
  readonly #clock: Clock

  constructor(dependencies: { storage: Storage; clock: Clock }) {
    this.#storage = dependencies.storage
    this.#clock = dependencies.clock
  }

  /**
   * In order of creation. A page may be short, even empty, while `nextCursor` is there: filters that no index serves
   * look at a bounded number of tokens.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `cursor_invalid`.
   */
  async list(
    caller: Caller,
    tenantId: string,
    { filters = {}, limit, cursor }: PageRequest & { readonly filters?: TokenFilters },
  ): Promise<Page<HeldToken>> {
    requireTokenReader(caller, tenantId)
    const { read } = this.#storage
    await read.tenants.requireFor(caller, tenantId)
    const scope = {
      list: 'otp-tokens',
      tenantId,
      filters: { ...filters },
      nowMs: this.#clock(),
    }
    const [afterId = ''] = decodeCursor(cursor, ['text'], scope) ?? []
    const { tokens, nextAfterId } = await read.tokenLists.list(tenantId, filters, {
      afterId,
      limit,
    })
    const items = await this.#withAssignments(read, tenantId, tokens)
    return nextAfterId === undefined
      ? { items }
      : { items, nextCursor: encodeCursor([nextAfterId], scope) }
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`, `token_not_found`. */
  async get(caller: Caller, tenantId: string, tokenId: string): Promise<HeldToken> {
    requireTokenReader(caller, tenantId)
    return this.#get(this.#storage.read, tenantId, tokenId)
  }

  /**
   * @throws DomainError `forbidden`, `tenant_not_found`, `token_not_found`, `invalid_request`, `repository_not_found`;
   *   `state_conflict` for a move out of DECEASED.
   */
  async update(
    caller: Caller,
    tenantId: string,
    tokenId: string,
    changes: TokenChanges,
  ): Promise<HeldToken> {
    requireTokenAdmin(caller, tenantId)
    const check = new MemberCheck()
    check.text('/description', changes.description, descriptionLengthMax)
    check.finish()
    return this.#change(tenantId, tokenId, async (stores, token) => {
      const changed = await changedMembers(stores, token, changes)
      if (changed.length === 0) return
      await stores.otpTokens.update(token, changes, this.#clock())
      await stores.journal.append(caller, tenantId, {
        action: 'otp-token.updated',
        target: tokenTarget(tokenId),
        detail: {
          serial: token.serial,
          changed,
          ...(changes.status !== undefined && { status: changes.status }),
        },
      })
    })
  }

  /** Removes the token with its secret, assignments and tickets. @throws DomainError `forbidden`, `tenant_not_found`, `token_not_found`. */
  async delete(caller: Caller, tenantId: string, tokenId: string): Promise<void> {
    requireTokenAdmin(caller, tenantId)
    await this.#storage.transaction(async (stores) => {
      const token = await holdToken(stores, tenantId, tokenId)
      await stores.factors.keepLastUseOfAnybody(tenantId, tokenId)
      await stores.otpTokens.remove(tenantId, tokenId)
      const assignmentCount = await stores.assignments.removeOfToken(tenantId, tokenId)
      await stores.tickets.removeOfToken(tenantId, tokenId)
      await stores.journal.append(caller, tenantId, {
        action: 'otp-token.deleted',
        target: tokenTarget(tokenId),
        detail: { serial: token.serial, ...codesOf(token.product), assignmentCount },
      })
    })
  }

  /**
   * HOTP: the next expected counter becomes `counter` or 0. TOTP: the drift becomes 0 and the replay guard comes down to
   * the present step; a `counter` of 0 takes it away. The failures of all assignments become 0; locks and PINs stay.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `token_not_found`, `invalid_request`; `token_not_active` when
   *   DECEASED.
   */
  async reset(
    caller: Caller,
    tenantId: string,
    tokenId: string,
    { counter }: { readonly counter?: number | undefined } = {},
  ): Promise<HeldToken> {
    requireTokenAdmin(caller, tenantId)
    return this.#change(tenantId, tokenId, async (stores, token) => {
      checkResetCounter(token, counter)
      requireAlive(token)
      const detail = await this.#moveFactor(stores, token, counter)
      await stores.assignments.clearFailuresOfToken(tenantId, tokenId, this.#clock())
      await stores.journal.append(caller, tenantId, {
        action: 'otp-token.reset',
        target: tokenTarget(tokenId),
        detail: { serial: token.serial, ...detail },
      })
    })
  }

  /**
   * Bars the download of the credential and revokes open tickets; codes are not concerned. Idempotent.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `token_not_found`; `token_not_active` when DECEASED.
   */
  async confine(caller: Caller, tenantId: string, tokenId: string): Promise<HeldToken> {
    return this.#setConfined(caller, tenantId, tokenId, true)
  }

  /** Ends `confine`; tickets stay revoked. @throws as `confine`. */
  async release(caller: Caller, tenantId: string, tokenId: string): Promise<HeldToken> {
    return this.#setConfined(caller, tenantId, tokenId, false)
  }

  async #setConfined(
    caller: Caller,
    tenantId: string,
    tokenId: string,
    confined: boolean,
  ): Promise<HeldToken> {
    requireTokenAdmin(caller, tenantId)
    return this.#change(tenantId, tokenId, async (stores, token) => {
      requireAlive(token)
      if (token.confined === confined) return
      await stores.otpTokens.setConfined(token, confined, this.#clock())
      const revokedCount = confined ? await stores.tickets.revokeOfToken(tenantId, tokenId) : 0
      await stores.journal.append(caller, tenantId, {
        action: confined ? 'otp-token.confined' : 'otp-token.released',
        target: tokenTarget(tokenId),
        detail: { serial: token.serial, ...(confined && { revokedCount }) },
      })
    })
  }

  /** Statements first, then what they hold is read: a code that is spent meanwhile cannot be un-spent by mistake. */
  async #moveFactor(
    { factors }: Stores,
    { tenantId, id, type, periodSeconds }: OtpToken,
    counter: number | undefined,
  ): Promise<NonNullable<JournalEntry['detail']>> {
    const before = await factors.clearDrift(tenantId, id)
    if (before === undefined) throw tokenNotFound()
    if (type === 'HOTP') {
      const next = counter ?? 0
      await factors.setCounter(tenantId, id, next)
      const { nextCounter: previousCounter } = before
      return { previousCounter, counter: next, oldCodesValidAgain: next < previousCounter }
    }
    const step = counter === 0 ? -1 : totpStep(this.#clock(), periodSeconds ?? 30)
    await factors.lowerGuard(tenantId, id, step)
    return { oldCodesValidAgain: before.lastStep > step }
  }

  /** Changes a held token and reads what became of it, in one transaction. */
  async #change(
    tenantId: string,
    tokenId: string,
    work: (stores: Stores, token: OtpToken) => Promise<void>,
  ): Promise<HeldToken> {
    return this.#storage.transaction(async (stores) => {
      await work(stores, await holdToken(stores, tenantId, tokenId))
      return this.#get(stores, tenantId, tokenId)
    })
  }

  async #get(stores: Stores, tenantId: string, tokenId: string): Promise<HeldToken> {
    const token = await stores.otpTokens.find(tenantId, tokenId)
    if (token === undefined) throw tokenNotFound()
    const assignments = await stores.assignments.listOfToken(tenantId, tokenId)
    return { ...token, assignments: assignments.map((held) => asOf(held, this.#clock())) }
  }

  async #withAssignments(
    { assignments }: Stores,
    tenantId: string,
    tokens: readonly OtpToken[],
  ): Promise<HeldToken[]> {
    const nowMs = this.#clock()
    const byToken = new Map<string, Assignment[]>(tokens.map(({ id }) => [id, []]))
    const ids = [...byToken.keys()]
    for (const assignment of await assignments.listOfTokens(tenantId, ids)) {
      byToken.get(assignment.tokenId)?.push(asOf(assignment, nowMs))
    }
    return tokens.map((token) => ({ ...token, assignments: byToken.get(token.id) ?? [] }))
  }
}

/** @throws DomainError `state_conflict`, `repository_not_found`. @returns the names of members that will differ. */
async function changedMembers(
  { repositories }: Stores,
  token: OtpToken,
  { status, description, repositoryId }: TokenChanges,
): Promise<string[]> {
  const changed: string[] = []
  if (status !== undefined && status !== token.status) {
    if (!mayBecome(token.status, status)) {
      throw new DomainError('state_conflict', 'DECEASED is final.')
    }
    changed.push('status')
  }
  if (description !== undefined && description !== token.description) changed.push('description')
  if (repositoryId !== undefined && repositoryId !== token.repositoryId) {
    if ((await repositories.find(token.tenantId, repositoryId)) === undefined) {
      throw repositoryNotFound('/repository')
    }
    changed.push('repository')
  }
  return changed
}

function checkResetCounter({ type }: OtpToken, counter: number | undefined): void {
  if (counter === undefined) return
  const max = type === 'HOTP' ? counterMax : 0
  if (Number.isSafeInteger(counter) && counter >= 0 && counter <= max) return
  const message = type === 'HOTP' ? `must be from 0 to ${max}` : 'can only be 0 for a TOTP token'
  throw new DomainError('invalid_request', `The counter ${message}.`, {
    faults: [{ pointer: '/counter', code: 'out_of_range', message }],
  })
}
