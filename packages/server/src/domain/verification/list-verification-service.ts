import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import { isRenewalDue, methodNotFound, type OtpList } from '../otp-lists/otp-list.ts'
import type { OtpListMethod } from '../otp-lists/otp-list-method.ts'
import type { Storage } from '../storage.ts'
import type { UserReference } from '../users/user-resolver.ts'
import type { ListRestriction } from './list-search.ts'
import { listMethod } from './subject.ts'
import type { MatchedCredential, Verification, VerificationContext } from './verification.ts'
import { requireVerifier, type VerificationService } from './verification-service.ts'

/** A code of one list method, as the OTP Server asks for it. */
export interface ListVerificationRequest {
  readonly method: string
  readonly user: UserReference
  readonly code: string
  /** Only this list, only this label. */
  readonly list?: ListRestriction | undefined
  readonly context?: VerificationContext | undefined
}

/**
 * `mismatch`: no code that could be used now. `replayed`: a spent one. `exhausted`: all are spent and no list waits.
 * `no_list`: the user has none, or not the one that was named. `locked`: too many failures, or the user is disabled.
 */
export type ListRefusal = 'mismatch' | 'replayed' | 'exhausted' | 'no_list' | 'locked'

/** The decision, with the user's lists as they are after it. */
export interface ListVerification {
  /** Undefined: accepted. */
  readonly refusal: ListRefusal | undefined
  /** What accepted the code. */
  readonly matched: Extract<MatchedCredential, { kind: 'LIST' }> | undefined
  /** Failures until the lock; for `mismatch`, `replayed` and `locked`, where it is known. */
  readonly attemptsLeft: number | undefined
  /** For `locked`; undefined while the lock has no end. */
  readonly lockedUntilMs: number | undefined
  readonly retryAfterSeconds: number | undefined
  /** A new sheet is due. */
  readonly renew: boolean
  readonly userId: string
  /** The identifier of scheme `uniqueID`, else the id. */
  readonly userUniqueId: string
  readonly active: OtpList | undefined
  readonly associated: OtpList | undefined
  readonly auditId: string
}

/** Verification of printed lists alone, for one method. What is decided, spent and counted is `VerificationService`'s. */
export class ListVerificationService {
  readonly #storage: Storage
  readonly #clock: Clock
  readonly #verification: VerificationService

  constructor(dependencies: { storage: Storage; clock: Clock; verification: VerificationService }) {
    this.#storage = dependencies.storage
    this.#clock = dependencies.clock
    this.#verification = dependencies.verification
  }

  /**
   * Checks a code of a user's lists and spends it. Every decision is an answer.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `method_not_found`, `user_not_found`; `unavailable`. No attempt
   *   took place then, and nothing was counted.
   */
  async verify(
    caller: Caller,
    tenantId: string,
    request: ListVerificationRequest,
  ): Promise<ListVerification> {
    requireVerifier(caller, tenantId)
    const { read } = this.#storage
    const method = await read.otpListMethods.find(tenantId, request.method)
    if (method === undefined) throw methodNotFound()
    const userId = await read.userResolver.getUserId(tenantId, request.user)
    const outcome = await this.#verification.verify(caller, tenantId, {
      user: { id: userId },
      code: request.code,
      methods: [listMethod(method.name)],
      list: request.list ?? {},
      ...(request.context === undefined ? {} : { context: request.context }),
    })
    // Deleted between the two: as if it had never been.
    if (outcome.reason === 'USER_UNKNOWN') throw new DomainError('user_not_found', 'No such user.')
    return this.#answer(tenantId, userId, method, outcome)
  }

  async #answer(
    tenantId: string,
    userId: string,
    method: OtpListMethod,
    outcome: Verification,
  ): Promise<ListVerification> {
    const { read } = this.#storage
    const key = { tenantId, userId, method: method.name }
    const lists = await read.otpLists.listOfUser(key, this.#clock())
    const active = lists.find(({ status }) => status === 'ACTIVE')
    const associated = lists.find(({ status }) => status === 'ASSOCIATED')
    const { attemptsLeft, lockedUntilMs, retryAfterSeconds, auditId, credential } = outcome
    const refusal = refusalOf(outcome)
    return {
      refusal,
      matched: credential?.kind === 'LIST' ? credential : undefined,
      attemptsLeft: refusal === 'locked' ? 0 : attemptsLeft,
      lockedUntilMs,
      retryAfterSeconds,
      renew: isRenewalDue(active?.remaining ?? 0, associated !== undefined, method),
      userId,
      userUniqueId: lists[0]?.userUniqueId ?? (await this.#uniqueIdOf(tenantId, userId)),
      active,
      associated,
      auditId,
    }
  }

  async #uniqueIdOf(tenantId: string, userId: string): Promise<string> {
    const identifiers = await this.#storage.read.userIdentifiers.listOf(tenantId, userId)
    const values = identifiers
      .filter(({ scheme }) => scheme === 'uniqueID')
      .map(({ value }) => value)
    return values.toSorted()[0] ?? userId
  }
}

function refusalOf({ result, reason, unusable }: Verification): ListRefusal | undefined {
  switch (result) {
    case 'ACCEPTED':
      return undefined
    case 'LOCKED':
      return 'locked'
    case 'NO_CREDENTIAL':
      if (reason === 'USER_DISABLED') return 'locked'
      return unusable === 'used_up' ? 'exhausted' : 'no_list'
    case 'REJECTED':
    case 'RESYNC_REQUIRED':
      return reason === 'REPLAYED' ? 'replayed' : 'mismatch'
  }
}
