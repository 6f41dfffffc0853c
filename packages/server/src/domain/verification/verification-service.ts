import type { JsonValue } from '@countersign/protocol/encoding/jcs.ts'
import { normaliseCode } from '@countersign/protocol/otp/code.ts'
import { type PinHasher, PinQueueFullError } from '#custody/pin-hasher.ts'
import { sha256Hex } from '#custody/secrets.ts'
import type { Vault } from '#custody/vault.ts'
import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import type { Storage, Stores } from '../storage.ts'
import type { UserReference } from '../users/user-resolver.ts'
import { assignmentLock, isLockedAt, type TokenCandidate } from './candidate.ts'
import { accepted, type Decision, locked, noCredential, rejected } from './decision.ts'
import { describeContext, describeMatch, describeTrials } from './decision-detail.ts'
import { computeDecoy } from './decoy.ts'
import { type Attempt, currentStep, type Evaluation, evaluate, type Trial } from './evaluation.ts'
import {
  anyLeadingPin,
  lookAgain,
  mayCarryPin,
  type PinVerdict,
  pinState,
  pinTarget,
} from './pin-check.ts'
import type { VerificationPolicy } from './policy.ts'
import { findSubject, type Subject } from './subject.ts'
import type {
  Verification,
  VerificationReason,
  VerificationRequest,
  VerificationResult,
} from './verification.ts'

const pinAttemptsMax = 3

/** Gives the settings that hold for a tenant at this moment. */
export interface PolicySource {
  settingsFor(caller: Caller, tenantId: string): Promise<VerificationPolicy>
}

export interface VerificationObserver {
  countVerification(result: VerificationResult): void
}

/** Checks codes and spends them: one core for every surface, so that a code accepted on one is spent on all. */
export class VerificationService {
  readonly #storage: Storage
  readonly #vault: Vault
  readonly #pins: PinHasher
  readonly #policies: PolicySource
  readonly #clock: Clock
  readonly #observer: VerificationObserver | undefined

  constructor(dependencies: {
    storage: Storage
    vault: Vault
    pins: PinHasher
    policies: PolicySource
    clock: Clock
    observer?: VerificationObserver
  }) {
    this.#storage = dependencies.storage
    this.#vault = dependencies.vault
    this.#pins = dependencies.pins
    this.#policies = dependencies.policies
    this.#clock = dependencies.clock
    this.#observer = dependencies.observer
  }

  /**
   * Decides about a code (platform.md, section 4). Every decision is an answer; of n equal requests at most one is
   * ACCEPTED. Decision, counters and journal record are one transaction.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`; `too_many_requests` while too many PINs wait; `unavailable`.
   * Nothing was tried, counted or spent then.
   */
  async verify(
    caller: Caller,
    tenantId: string,
    request: VerificationRequest,
  ): Promise<Verification> {
    requireVerifier(caller, tenantId)
    const policy = await this.#policies.settingsFor(caller, tenantId)
    for (let attempt = 1; attempt <= pinAttemptsMax; attempt++) {
      const nowMs = this.#clock()
      const verdict = await this.#checkPin(tenantId, request, policy, nowMs)
      const outcome = await this.#storage.transaction(
        (stores) => this.#decide(stores, caller, { tenantId, request, policy, nowMs, verdict }),
        { grouped: true },
      )
      if (outcome !== lookAgain) {
        this.#observer?.countVerification(outcome.result)
        return outcome
      }
    }
    throw new DomainError('unavailable', 'The PIN is being changed.', { retryAfterSeconds: 1 })
  }

  /** Computes exactly one PIN hash if a PIN was given, for the candidate that matches or for nobody; else none. */
  async #checkPin(
    tenantId: string,
    request: VerificationRequest,
    policy: VerificationPolicy,
    nowMs: number,
  ): Promise<PinVerdict | undefined> {
    if (!mayCarryPin(request)) return undefined
    const { candidates } = await findSubject(this.#storage.read, tenantId, request)
    const evaluation = await evaluate(
      candidates,
      attemptOf(request, nowMs),
      policy,
      this.#openSecret,
    )
    const target = pinTarget(evaluation)
    const pin = request.pin ?? target?.typed.pin ?? anyLeadingPin(evaluation)
    if (pin === undefined) return undefined
    const pinHash = target?.candidate.pinHash ?? undefined
    try {
      return { pinHash, pin, fits: await this.#pins.verify(pinHash, pin) }
    } catch (error) {
      if (!(error instanceof PinQueueFullError)) throw error
      // Without its cause: a flood of PINs must not become a flood in the log.
      throw new DomainError('too_many_requests', 'Too many PINs wait to be checked.', {
        retryAfterSeconds: 1,
      })
    }
  }

  async #decide(
    stores: Stores,
    caller: Caller,
    context: {
      tenantId: string
      request: VerificationRequest
      policy: VerificationPolicy
      nowMs: number
      verdict: PinVerdict | undefined
    },
  ): Promise<Verification | typeof lookAgain> {
    const { tenantId, request, policy, nowMs, verdict } = context
    const subject = await findSubject(stores, tenantId, request)
    const evaluation = await this.#evaluateSubject(subject, request, policy, nowMs)
    const target = pinTarget(evaluation)
    const pin = pinState(target, verdict)
    if (pin === lookAgain) return lookAgain

    const scene: Scene = { stores, caller, tenantId, request, policy, nowMs, subject }
    switch (evaluation.kind) {
      case 'no_credential':
        await stores.failures.countForNobody(tenantId, nowMs)
        return this.#record(scene, noCredential(subject, evaluation), [])
      case 'locked':
        return this.#record(
          scene,
          locked(subject, evaluation.reason, evaluation.untilMs, nowMs),
          [],
        )
      case 'matched':
        return pin === 'wrong'
          ? this.#refuse(scene, evaluation.tried, 'WRONG_PIN')
          : this.#accept(scene, evaluation)
      case 'unmatched':
        return this.#refuse(scene, evaluation.tried, reasonOf(evaluation.tried, target, pin))
    }
  }

  async #evaluateSubject(
    subject: Subject,
    request: VerificationRequest,
    policy: VerificationPolicy,
    nowMs: number,
  ): Promise<Evaluation> {
    const evaluation: Evaluation =
      subject.missing === undefined
        ? await evaluate(subject.candidates, attemptOf(request, nowMs), policy, this.#openSecret)
        : { kind: 'no_credential', ...subject.missing }
    if (evaluation.kind === 'no_credential') computeDecoy(policy, nowMs)
    return evaluation
  }

  async #accept(
    scene: Scene,
    evaluation: Extract<Evaluation, { kind: 'matched' }>,
  ): Promise<Verification> {
    const { stores, tenantId, nowMs, request } = scene
    const { trial, position, tried } = evaluation
    const { candidate } = trial
    const limited = candidate.usageLimit > 0
    if (limited && !(await stores.spending.claimUse(candidate, nowMs))) {
      return this.#record(
        scene,
        rejected(candidate.userId, 'NO_USABLE_CREDENTIAL', undefined),
        tried,
      )
    }
    const step = currentStep(candidate, nowMs)
    if (!(await stores.spending.spend(candidate, position, nowMs, step))) {
      if (limited) await stores.spending.returnUse(candidate)
      return this.#record(scene, await whyNotSpent(scene, candidate), tried)
    }
    if (candidate.failureCount > 0 || candidate.assignmentStatus === 'LOCKED') {
      await stores.failures.clearAssignmentFailures(candidate, nowMs)
    }
    if (candidate.userFailureCount > 0 || candidate.userLock.locked) {
      await stores.failures.clearUserFailures(tenantId, candidate.userId, nowMs)
    }
    if (request.isLogon === true)
      await stores.failures.setLastLogin(tenantId, candidate.userId, nowMs)
    return this.#record(scene, accepted(candidate), tried)
  }

  /** Counts one failure for each candidate tried and for the user; locks where the limit is reached. */
  async #refuse(
    scene: Scene,
    tried: readonly Trial[],
    reason: VerificationReason,
  ): Promise<Verification> {
    const { stores, caller, tenantId, policy, nowMs } = scene
    const { lockout } = policy
    let attemptsLeft = Number.POSITIVE_INFINITY
    let countedAny = false
    for (const { candidate } of inLockOrder(tried)) {
      const limit = { failuresMax: lockout.tokenMaxFailures, lockSeconds: lockout.tokenLockSeconds }
      const count = await stores.failures.failAssignment(candidate, nowMs, limit)
      if (count === undefined) continue
      countedAny = true
      attemptsLeft = Math.min(
        attemptsLeft,
        Math.max(0, lockout.tokenMaxFailures - count.failureCount),
      )
      if (count.lockedNow) {
        await stores.journal.append(caller, tenantId, {
          action: 'otp-token.locked',
          target: { type: 'otp-token', id: candidate.tokenId },
          userId: candidate.userId,
          detail: {
            reason: 'FAILURES',
            failureCount: count.failureCount,
            lockedUntil: count.lockedUntilMs,
          },
        })
      }
    }
    const [first] = tried
    const userId = first?.candidate.userId
    if (userId === undefined) throw new Error('A refusal without a candidate.')
    if (!countedAny) {
      // Others used up the attempts in the same moment: nothing is told about the code any more.
      return this.#record(scene, await whyNotSpent(scene, first?.candidate), tried)
    }
    const limit = { failuresMax: lockout.userMaxFailures, lockSeconds: lockout.userLockSeconds }
    const count = await stores.failures.failUser(tenantId, userId, nowMs, limit)
    if (count === undefined)
      return this.#record(scene, await whyNotSpent(scene, first?.candidate), tried)
    if (lockout.userMaxFailures > 0) {
      attemptsLeft = Math.min(
        attemptsLeft,
        Math.max(0, lockout.userMaxFailures - count.failureCount),
      )
    }
    if (count.lockedNow) {
      await stores.journal.append(caller, tenantId, {
        action: 'user.locked',
        target: { type: 'user', id: userId },
        userId,
        detail: {
          reason: 'FAILURES',
          failureCount: count.failureCount,
          lockedUntil: count.lockedUntilMs,
        },
      })
    }
    return this.#record(scene, rejected(userId, reason, attemptsLeft), tried)
  }

  async #record(scene: Scene, decision: Decision, tried: readonly Trial[]): Promise<Verification> {
    const { stores, caller, tenantId, request } = scene
    const tokenId =
      decision.credential?.tokenId ?? (tried.length === 1 ? tried[0]?.candidate.tokenId : undefined)
    const auditId = await stores.journal.append(caller, tenantId, {
      action: 'verification.attempted',
      outcome: decision.result === 'ACCEPTED' ? 'SUCCESS' : 'FAILURE',
      target: tokenId === undefined ? null : { type: 'otp-token', id: tokenId },
      userId: decision.userId ?? null,
      detail: {
        ...describeContext(request.context),
        result: decision.result,
        ...(decision.reason === undefined ? {} : { reason: decision.reason }),
        ...(decision.unusable === undefined ? {} : { unusable: decision.unusable }),
        ...(decision.attemptsLeft === undefined ? {} : { attemptsLeft: decision.attemptsLeft }),
        ...(decision.userId === undefined && request.user !== undefined
          ? { userNameSha256: hashOfName(request.user) }
          : {}),
        ...describeSearch(decision, tried),
      },
    })
    return { ...decision, auditId }
  }

  readonly #openSecret = (candidate: TokenCandidate): Promise<Uint8Array> =>
    this.#vault.open(
      {
        tenantId: candidate.tenantId,
        table: 'otp_token',
        row: candidate.tokenId,
        column: 'sealed_secret',
      },
      candidate.sealedSecret,
    )
}

interface Scene {
  readonly stores: Stores
  readonly caller: Caller
  readonly tenantId: string
  readonly request: VerificationRequest
  readonly policy: VerificationPolicy
  readonly nowMs: number
  readonly subject: Subject
}

function describeSearch(
  { credential }: Decision,
  tried: readonly Trial[],
): { [name: string]: JsonValue } {
  const match = tried.find(({ candidate }) => candidate.tokenId === credential?.tokenId)
  if (match !== undefined) return { match: describeMatch(match) }
  return tried.length === 0 ? {} : { tried: describeTrials(tried) }
}

/** @throws DomainError `forbidden`; `tenant_not_found`. */
function requireVerifier(caller: Caller, tenantId: string): void {
  caller.requireIn(
    tenantId,
    caller.surface === 'dualshield' ? 'dualshield:authentication' : 'verify',
  )
}

function attemptOf(request: VerificationRequest, nowMs: number): Attempt {
  return {
    code: normaliseCode(request.code),
    pin: request.pin,
    pinMayLead: request.pinMayLead === true,
    nowMs,
  }
}

function reasonOf(
  tried: readonly Trial[],
  hinted: Trial | undefined,
  pin: 'fits' | 'wrong',
): VerificationReason {
  if (hinted !== undefined && pin === 'fits') return 'OUT_OF_SYNC'
  return tried.some(({ finding }) => finding.kind === 'replayed') ? 'REPLAYED' : 'WRONG_CODE'
}

/** Somebody else was faster: with the same code, or with enough wrong ones to lock. */
async function whyNotSpent(scene: Scene, candidate: TokenCandidate | undefined): Promise<Decision> {
  const { stores, tenantId, nowMs, subject } = scene
  const now =
    candidate === undefined ? undefined : await stores.candidates.findHeld(tenantId, candidate)
  if (now !== undefined && isLockedAt(now.userLock, nowMs)) {
    return locked(subject, 'USER_LOCKED', now.userLock.untilMs, nowMs)
  }
  if (now !== undefined && isLockedAt(assignmentLock(now), nowMs)) {
    return locked(subject, 'CREDENTIAL_LOCKED', now.lockedUntilMs, nowMs)
  }
  return rejected(subject.userId, 'REPLAYED', undefined)
}

/** The order in which rows are written, the same for all, so that no two attempts wait for each other. */
function inLockOrder(tried: readonly Trial[]): Trial[] {
  return tried.toSorted((one, other) => (one.candidate.tokenId < other.candidate.tokenId ? -1 : 1))
}

function hashOfName(user: UserReference): string {
  if ('id' in user) return sha256Hex(user.id)
  if ('ulid' in user) return sha256Hex(user.ulid)
  return sha256Hex('loginName' in user ? user.loginName : user.value)
}
