import { findCounterPair } from '@countersign/protocol/otp/hotp.ts'
import { totpStep } from '@countersign/protocol/otp/totp.ts'
import type { Vault } from '#custody/vault.ts'
import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import type { Storage, Stores } from '../storage.ts'
import type { UserReference } from '../users/user-resolver.ts'
import { assignmentLock, isLockedAt, type TokenCandidate, whyUnusable } from './candidate.ts'
import type { TokenToSynchronise } from './candidate-store.ts'
import { type VerificationPolicy, windowsOf } from './policy.ts'
import type { PolicySource } from './verification-service.ts'

export interface ResyncRequest {
  readonly tokenId: string
  /** Two consecutive codes, older first, each with the token's digits. */
  readonly codes: readonly [string, string]
  /** Counts failures on this user's assignment; absent: administrative, nothing is counted. */
  readonly user?: UserReference
}

/** A pair that does not fit moves nothing. */
export interface Resync {
  readonly result: 'SYNCHRONISED' | 'FAILED'
}

/** Brings server and token together again by two consecutive codes (RFC 4226 section 7.4). */
export class ResyncService {
  readonly #storage: Storage
  readonly #vault: Vault
  readonly #policies: PolicySource
  readonly #clock: Clock

  constructor(dependencies: {
    storage: Storage
    vault: Vault
    policies: PolicySource
    clock: Clock
  }) {
    this.#storage = dependencies.storage
    this.#vault = dependencies.vault
    this.#policies = dependencies.policies
    this.#clock = dependencies.clock
  }

  /**
   * Searches the resync range above the replay guard; both codes are spent by success.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `token_not_found`, `user_not_found`, `token_not_active`, `not_assigned`,
   * `assignment_not_active`, `assignment_locked`; `invalid_request` for codes of another length.
   */
  async resync(caller: Caller, tenantId: string, request: ResyncRequest): Promise<Resync> {
    caller.requireIn(
      tenantId,
      caller.surface === 'dualshield' ? 'dualshield:management' : 'tenant:write',
    )
    const policy = await this.#policies.settingsFor(caller, tenantId)
    return this.#storage.transaction(async (stores) => {
      const nowMs = this.#clock()
      const token = await stores.candidates.findToSynchronise(tenantId, request.tokenId)
      if (token === undefined) throw new DomainError('token_not_found', 'No such token.')
      if (token.tokenStatus !== 'ACTIVE') {
        throw new DomainError('token_not_active', 'The token is not active.')
      }
      checkCodes(request.codes, token.digits)
      const userId = await userIdOf(stores, tenantId, request)
      const held = await usableHold(stores, tenantId, { tokenId: token.tokenId, userId }, nowMs)

      const secret = await this.#vault.open(
        { tenantId, table: 'otp_token', row: token.tokenId, column: 'sealed_secret' },
        token.sealedSecret,
      )
      const position = searchPair(token, secret, request.codes, policy, nowMs)
      const moved =
        position !== undefined &&
        (await stores.spending.synchronise(token, position, stepOf(token, nowMs)))
      await settle(stores, caller, { tenantId, held, moved, policy, nowMs })
      await stores.journal.append(caller, tenantId, {
        action: 'otp-token.synchronised',
        outcome: moved ? 'SUCCESS' : 'FAILURE',
        target: { type: 'otp-token', id: token.tokenId },
        userId: userId ?? null,
        detail: {
          gap: moved ? position - expectedPosition(token, nowMs) : null,
          administrative: userId === undefined,
        },
      })
      return { result: moved ? 'SYNCHRONISED' : 'FAILED' }
    })
  }
}

function checkCodes(codes: readonly [string, string], digits: number): void {
  const pattern = new RegExp(`^[0-9]{${digits}}$`)
  const faults = codes.flatMap((code, index) =>
    pattern.test(code)
      ? []
      : [{ pointer: `/codes/${index}`, code: 'bad_format', message: `must have ${digits} digits` }],
  )
  if (faults.length > 0) {
    throw new DomainError('invalid_request', 'A code has not the digits of the token.', { faults })
  }
}

async function userIdOf(
  { userResolver }: Stores,
  tenantId: string,
  { user }: ResyncRequest,
): Promise<string | undefined> {
  return user === undefined ? undefined : userResolver.getUserId(tenantId, user, '/user')
}

/** The assignment that is named, when it may be used; undefined for an administrative call. */
async function usableHold(
  stores: Stores,
  tenantId: string,
  { tokenId, userId }: { tokenId: string; userId: string | undefined },
  nowMs: number,
): Promise<TokenCandidate | undefined> {
  if (userId === undefined) return undefined
  const held = await stores.candidates.findHeld(tenantId, { tokenId, userId })
  if (held === undefined) {
    throw new DomainError('not_assigned', 'The token is not assigned to this user.')
  }
  if (whyUnusable(held, nowMs) !== undefined || held.userStatus !== 'ACTIVE') {
    throw new DomainError('assignment_not_active', 'The assignment is not active.')
  }
  if (isLockedAt(assignmentLock(held), nowMs) || isLockedAt(held.userLock, nowMs)) {
    throw new DomainError('assignment_locked', 'The assignment is locked.')
  }
  return held
}

/** Success clears the failures of the assignment and its user, failure adds one; without an assignment nothing. */
async function settle(
  stores: Stores,
  caller: Caller,
  context: {
    tenantId: string
    held: TokenCandidate | undefined
    moved: boolean
    policy: VerificationPolicy
    nowMs: number
  },
): Promise<void> {
  const { tenantId, held, moved, policy, nowMs } = context
  if (held === undefined) return
  if (moved) {
    await stores.failures.clearAssignmentFailures(held, nowMs)
    await stores.failures.clearUserFailures(tenantId, held.userId, nowMs)
    return
  }
  const { lockout } = policy
  const count = await stores.failures.failAssignment(held, nowMs, {
    failuresMax: lockout.tokenMaxFailures,
    lockSeconds: lockout.tokenLockSeconds,
  })
  await stores.failures.failUser(tenantId, held.userId, nowMs, {
    failuresMax: lockout.userMaxFailures,
    lockSeconds: lockout.userLockSeconds,
  })
  if (count?.lockedNow === true) {
    await stores.journal.append(caller, tenantId, {
      action: 'otp-token.locked',
      target: { type: 'otp-token', id: held.tokenId },
      userId: held.userId,
      detail: {
        reason: 'FAILURES',
        failureCount: count.failureCount,
        lockedUntil: count.lockedUntilMs,
      },
    })
  }
}

function stepOf(token: TokenToSynchronise, nowMs: number): number {
  return token.type === 'TOTP' ? totpStep(nowMs, token.periodSeconds) : 0
}

function expectedPosition(token: TokenToSynchronise, nowMs: number): number {
  return token.type === 'TOTP' ? stepOf(token, nowMs) + token.driftSteps : token.nextCounter
}

/** The counter or step of the first code; undefined when the pair is nowhere in the range. */
function searchPair(
  token: TokenToSynchronise,
  secret: Uint8Array,
  [firstCode, secondCode]: readonly [string, string],
  policy: VerificationPolicy,
  nowMs: number,
): number | undefined {
  const { algorithm, digits } = token
  const { search } = windowsOf(token.type, token, policy)
  const find = (from: number, to: number): number | undefined =>
    findCounterPair({ secret, algorithm, digits, firstCode, secondCode, from, to })
  if (token.type === 'HOTP') return find(token.nextCounter, token.nextCounter + search)

  const now = stepOf(token, nowMs)
  const from = Math.max(now - search - 1, token.lastStep + 1)
  const to = now + search - 1
  const expected = now + token.driftSteps
  // Nearest to the stored drift first: upwards from it, then the last one below it.
  const above = find(Math.max(from, expected), to)
  const below = findLast(find, from, Math.min(to, expected - 1))
  if (above === undefined || below === undefined) return above ?? below
  return above - expected <= expected - below ? above : below
}

function findLast(
  find: (from: number, to: number) => number | undefined,
  from: number,
  to: number,
): number | undefined {
  let last: number | undefined
  for (let next = find(from, to); next !== undefined; next = find(next + 1, to)) last = next
  return last
}
