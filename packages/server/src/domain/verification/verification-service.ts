import type { PartialMembers } from '@countersign/protocol/encoding/jcs.ts'
import { normaliseCode } from '@countersign/protocol/otp/code.ts'
import { type PinHasher, PinQueueFullError } from '#custody/pin-hasher.ts'
import { sha256Hex } from '#custody/secrets.ts'
import type { Vault } from '#custody/vault.ts'
import type { Caller, SurfaceName } from '../callers/caller.ts'
import type { Scope } from '../callers/scopes.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import type { JournalEntry } from '../journal/journal-record.ts'
import { listTarget } from '../otp-lists/otp-list.ts'
import { methodKeyPlace } from '../otp-lists/otp-list-method.ts'
import type { Storage, Stores } from '../storage.ts'
import type { UserReference } from '../users/user-resolver.ts'
import { accept } from './acceptance.ts'
import type { Candidate } from './candidate.ts'
import { type Decision, locked, noCredential } from './decision.ts'
import { describeContext, describeMatch, describeTrials } from './decision-detail.ts'
import { computeDecoy } from './decoy.ts'
import { type Attempt, type Evaluation, evaluate, type Trial } from './evaluation.ts'
import {
  anyLeadingPin,
  lookAgain,
  mayCarryPin,
  type PinVerdict,
  pinState,
  pinTarget,
} from './pin-check.ts'
import type { VerificationPolicy } from './policy.ts'
import { refuse } from './refusal.ts'
import type { Scene } from './scene.ts'
import { findSubject } from './subject.ts'
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
      const verdict = mayCarryPin(request)
        ? await this.#checkPin(tenantId, request, policy, nowMs)
        : undefined
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
    const { candidates } = await findSubject(this.#storage.read, tenantId, request, nowMs)
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
    const subject = await findSubject(stores, tenantId, request, nowMs)
    const evaluation: Evaluation =
      subject.missing === undefined
        ? await evaluate(subject.candidates, attemptOf(request, nowMs), policy, this.#openSecret)
        : { kind: 'no_credential', ...subject.missing }
    if (evaluation.kind === 'no_credential') computeDecoy(request.methods, policy, nowMs)
    const target = pinTarget(evaluation)
    const pin = pinState(target, verdict)
    if (pin === lookAgain) return lookAgain

    const scene: Scene = { stores, caller, tenantId, request, policy, nowMs, subject }
    let decision: Decision
    let tried: readonly Trial[] = []
    switch (evaluation.kind) {
      case 'no_credential':
        await stores.failures.countForNobody(tenantId, nowMs)
        decision = noCredential(subject, evaluation)
        break
      case 'locked':
        decision = locked(subject, evaluation.reason, evaluation.untilMs, nowMs)
        break
      case 'matched':
        tried = evaluation.tried
        decision =
          pin === 'wrong'
            ? await refuse(scene, tried, 'WRONG_PIN')
            : await accept(scene, evaluation)
        break
      case 'unmatched':
        tried = evaluation.tried
        decision = await refuse(scene, tried, reasonOf(tried, target, pin))
    }
    const entry = entryOf(request, decision, tried)
    return { ...decision, auditId: await stores.journal.append(caller, tenantId, entry) }
  }

  readonly #openSecret = (candidate: Candidate): Promise<Uint8Array> => {
    const { tenantId } = candidate
    if (candidate.kind === 'list') {
      return this.#vault.open(methodKeyPlace(tenantId, candidate.method), candidate.sealedKey)
    }
    const { tokenId: row, sealedSecret } = candidate
    return this.#vault.open(
      { tenantId, table: 'otp_token', row, column: 'sealed_secret' },
      sealedSecret,
    )
  }
}

/** What the journal says of a decision. */
function entryOf(
  { context, user }: VerificationRequest,
  decision: Decision,
  tried: readonly Trial[],
): JournalEntry {
  const { result, reason, unusable, attemptsLeft, userId } = decision
  return {
    action: 'verification.attempted',
    outcome: result === 'ACCEPTED' ? 'SUCCESS' : 'FAILURE',
    target: targetOf(decision, tried),
    userId: userId ?? null,
    detail: {
      ...describeContext(context),
      result,
      reason,
      unusable,
      attemptsLeft,
      userNameSha256: userId === undefined && user !== undefined ? hashOfName(user) : undefined,
      ...describeSearch(decision, tried),
    },
  }
}

function describeSearch({ credential }: Decision, tried: readonly Trial[]): PartialMembers {
  const match = credential && tried.find(({ finding }) => finding.kind === 'match')
  if (match !== undefined) return { match: describeMatch(match) }
  return tried.length === 0 ? {} : { tried: describeTrials(tried) }
}

/** What accepted the code, or the only thing that was tried. */
function targetOf(
  { credential }: Decision,
  tried: readonly Trial[],
): { type: string; id: string } | null {
  if (credential?.kind === 'TOKEN') return { type: 'otp-token', id: credential.tokenId }
  if (credential?.kind === 'LIST') return listTarget(credential.listId)
  const [only] = tried
  if (only === undefined || tried.length > 1) return null
  if (only.kind === 'token') return { type: 'otp-token', id: only.candidate.tokenId }
  const { active, waiting } = only.candidate
  const list = only.finding.list ?? active ?? waiting
  return list === undefined ? null : listTarget(list.id)
}

const verifierScopes: Partial<Record<SurfaceName, Scope>> = {
  dualshield: 'dualshield:authentication',
  'otp-server': 'otp-server:verify',
}

/** The right to have codes checked. @throws DomainError `forbidden`; `tenant_not_found`. */
export function requireVerifier(caller: Caller, tenantId: string): void {
  caller.requireIn(tenantId, verifierScopes[caller.surface] ?? 'verify')
}

function attemptOf(request: VerificationRequest, nowMs: number): Attempt {
  return {
    code: normaliseCode(request.code),
    pin: request.pin,
    pinMayLead: request.pinMayLead === true,
    list: request.list ?? {},
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

function hashOfName(user: UserReference): string {
  if ('id' in user) return sha256Hex(user.id)
  if ('ulid' in user) return sha256Hex(user.ulid)
  return sha256Hex('loginName' in user ? user.loginName : user.value)
}
