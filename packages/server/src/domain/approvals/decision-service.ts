import { sha256Hex } from '#custody/secrets.ts'
import type { Clock } from '../clock.ts'
import type { Device, DeviceLink, Factor } from '../devices/device.ts'
import { type DeviceSession, deviceLocked } from '../devices/device-gate.ts'
import { DeviceRefusal } from '../devices/device-refusal.ts'
import { type FactorCheck, passFactor } from '../devices/factor-check.ts'
import { findLink } from '../devices/own-device-service.ts'
import type { Storage, Stores } from '../storage.ts'
import type { SettingsService } from '../tenants/settings-service.ts'
import { type Approval, authTimeAtLeast, isFinal } from './approval.ts'
import type { Delivery } from './approval-delivery-store.ts'
import type { ApprovalEnding } from './approval-ending.ts'
import type { ApprovalInbox } from './approval-inbox.ts'
import type { Ending } from './approval-store.ts'
import type { CustomerJwts, SignedJwt } from './customer-jwt.ts'
import {
  type DecisionContext,
  FactorFailed,
  type FactorProof,
  type Proof,
  proveByFactor,
  proveBySignature,
  proveRejection,
} from './decision-evidence.ts'
import { serverSignature } from './server-signature.ts'
import type { SignatureJudge } from './signature-judge.ts'

/** What a device decides; shapes as `Decision` of the contract. */
export type Decision =
  | { readonly decision: 'accept'; readonly signedData: string }
  | {
      readonly decision: 'accept'
      readonly factor: FactorProof
      readonly transactionData?: string | undefined
    }
  | {
      readonly decision: 'reject' | 'timeout'
      readonly reason?: 'user' | 'suspicious' | 'client_failure' | undefined
      readonly message?: string | undefined
      readonly assertion?: string | undefined
    }

export interface DecisionResult {
  readonly approval: Approval
  /** When transaction data was given. */
  readonly signedJwt: string | undefined
}

const rejectionReasons = {
  user: 'USER_REJECTED',
  suspicious: 'SUSPICIOUS',
  client_failure: 'DEVICE_FAILURE',
} as const

/** Decisions of devices: one for each approval, for ever. */
export class DecisionService {
  readonly #storage: Storage
  readonly #settings: SettingsService
  readonly #inbox: ApprovalInbox
  readonly #ending: ApprovalEnding
  readonly #factors: FactorCheck
  readonly #judge: SignatureJudge
  readonly #jwts: CustomerJwts
  readonly #issuer: () => string
  readonly #clock: Clock

  constructor(dependencies: {
    storage: Storage
    settings: SettingsService
    inbox: ApprovalInbox
    ending: ApprovalEnding
    factors: FactorCheck
    judge: SignatureJudge
    jwts: CustomerJwts
    issuer: () => string
    clock: Clock
  }) {
    this.#storage = dependencies.storage
    this.#settings = dependencies.settings
    this.#inbox = dependencies.inbox
    this.#ending = dependencies.ending
    this.#factors = dependencies.factors
    this.#judge = dependencies.judge
    this.#jwts = dependencies.jwts
    this.#issuer = dependencies.issuer
    this.#clock = dependencies.clock
  }

  /**
   * Decides, in the order of the contract: the approval, its state, then for an acceptance scope, freshness, evidence. The
   * change, its evidence and its record are one transaction; a failure before leaves the approval as it was.
   *
   * @throws DeviceRefusal `not_found`, `no_decision_expected`, `approval_final`, `approval_not_retrieved`;
   *   `scope_missing`, `authentication_too_old`; what the evidence lacks. DomainError `too_many_requests`.
   */
  async decide(session: DeviceSession, id: string, decision: Decision): Promise<DecisionResult> {
    const context = await this.#contextOf(session, id)
    if (decision.decision !== 'accept') return this.#decline(session, context, decision)
    this.#requireLogin(session, context)
    const transactionData = 'factor' in decision ? decision.transactionData : undefined
    const proof = await this.#prove(session, context, decision)
    const signedJwt = await this.#attest(context, proof.factor, transactionData)
    const ended = await this.#end(session, context, {
      how: {
        status: 'APPROVED',
        deviceId: session.deviceId,
        factor: proof.factor,
        failureReason: null,
        failureMessage: null,
      },
      proof,
      signedJwt,
      transactionData,
    })
    return { approval: ended, signedJwt: signedJwt?.jwt }
  }

  async #contextOf(session: DeviceSession, id: string): Promise<DecisionContext> {
    const { approval, delivery } = await this.#inbox.find(session, id)
    if (approval.kind === 'MESSAGE') throw new DeviceRefusal('no_decision_expected')
    if (isFinal(approval)) throw approvalFinal(approval, session)
    if (delivery === undefined) throw new DeviceRefusal('approval_not_retrieved')
    const { read } = this.#storage
    const device = await read.devices.find(session.tenantId, session.deviceId)
    if (device === undefined) throw new DeviceRefusal('not_found')
    const link = await findLink(read, session)
    return { approval, delivery, device, link, audience: this.#issuer(), nowMs: this.#clock() }
  }

  /** Scope, then freshness. */
  #requireLogin(session: DeviceSession, { approval, link }: DecisionContext): void {
    const { authentication, retrievedAtMs } = approval
    const { explicitScope } = authentication
    if (explicitScope !== null && !session.scopes.includes(explicitScope)) {
      throw new DeviceRefusal('scope_missing', { scope: explicitScope })
    }
    const atLeast = authTimeAtLeast(authentication, retrievedAtMs ?? 0)
    if (atLeast === undefined) return
    // A token that was got without a factor counts only where there is none to bring.
    const hasFactor = link.bioKey !== null || link.hasPin
    const loginMs = session.verifiedAtMs ?? (hasFactor ? null : session.issuedAtMs)
    if (loginMs === null || Math.floor(loginMs / 1000) < atLeast) {
      throw new DeviceRefusal('authentication_too_old', { authTimeAtLeast: atLeast })
    }
  }

  async #prove(
    session: DeviceSession,
    context: DecisionContext,
    decision: Extract<Decision, { decision: 'accept' }>,
  ): Promise<Proof> {
    const { approval } = context
    if (approval.evidence === 'CMS') {
      if (!('signedData' in decision)) {
        throw new DeviceRefusal('signature_invalid', { detail: 'This approval takes signedData.' })
      }
      return proveBySignature(this.#judge, decision.signedData, context)
    }
    if (!('factor' in decision)) {
      throw new DeviceRefusal('factor_not_allowed', { detail: 'This approval takes a factor.' })
    }
    const { factor } = decision
    const wanted = approval.authentication.factor
    if (wanted !== null && wanted !== factor.type) throw new DeviceRefusal('factor_not_allowed')
    const { caller, tenantId, deviceId } = session
    const holder = { tenantId, deviceId, userId: context.link.userId }
    await this.#factors.requireUnlocked(holder)
    try {
      const checks = { judge: this.#judge, factors: this.#factors }
      return await proveByFactor(checks, factor, decision.transactionData, context)
    } catch (error) {
      if (!(error instanceof FactorFailed)) throw error
      const reference = approval.reference ?? approval.id
      const attempt = { factor: factor.type, action: 'approval.decided', reference }
      throw await this.#factors.refuse(caller, holder, attempt)
    }
  }

  async #attest(
    { approval, device, link }: DecisionContext,
    factor: Factor | null,
    transactionData: string | undefined,
  ): Promise<SignedJwt | undefined> {
    if (transactionData === undefined || factor === null) return undefined
    const { tenantId, reference, id, text } = approval
    const { keyless } = await this.#settings.settingsOf(tenantId)
    return this.#jwts.sign({
      tenantId,
      userId: link.userId,
      factor,
      deviceKeyThumbprint: device.keyThumbprint,
      transactionData,
      operation: { reference: reference ?? id, payload: text },
      lifeSeconds: keyless.jwtLifetimeSeconds,
      nowMs: this.#clock(),
    })
  }

  async #decline(
    session: DeviceSession,
    context: DecisionContext,
    decision: Extract<Decision, { decision: 'reject' | 'timeout' }>,
  ): Promise<DecisionResult> {
    const { assertion, reason = 'user', message } = decision
    const isTimeout = decision.decision === 'timeout'
    const proof =
      isTimeout || assertion === undefined
        ? undefined
        : await this.#proveRejection(assertion, context)
    const ended = await this.#end(session, context, {
      how: {
        status: isTimeout ? 'EXPIRED' : 'REJECTED',
        deviceId: isTimeout ? null : session.deviceId,
        factor: null,
        failureReason: isTimeout ? 'DECISION_TIMEOUT' : rejectionReasons[reason],
        failureMessage: message ?? null,
      },
      proof,
      signedJwt: undefined,
      transactionData: undefined,
    })
    return { approval: ended, signedJwt: undefined }
  }

  async #proveRejection(assertion: string, context: DecisionContext): Promise<Proof> {
    try {
      return await proveRejection(this.#judge, assertion, context)
    } catch (error) {
      // No factor was tried: nothing is counted.
      if (error instanceof FactorFailed) throw new DeviceRefusal('factor_rejected')
      throw error
    }
  }

  async #end(
    session: DeviceSession,
    { approval, delivery }: DecisionContext,
    ending: {
      readonly how: Omit<Ending, 'eraseAtMs' | 'nowMs'>
      readonly proof: Proof | undefined
      readonly signedJwt: SignedJwt | undefined
      readonly transactionData: string | undefined
    },
  ): Promise<Approval> {
    const { caller, tenantId } = session
    const { how, proof, signedJwt, transactionData } = ending
    const ended = await this.#ending.end(
      caller,
      approval,
      { ...how, contentSha256: proof && sha256Hex(delivery.bytes) },
      async (stores, journalId, nowMs) => {
        const link = await holdStanding(stores, session, nowMs)
        if (proof === undefined) return
        if (proof.factor !== null) {
          await passFactor(stores, { tenantId, userId: link.userId }, proof, nowMs)
        }
        await proof.recheck(stores)
        const attested =
          signedJwt === undefined ? [] : [serverSignature(signedJwt.jwt, signedJwt.publicKey)]
        await stores.approvals.evidence.insert(
          { tenantId, approvalId: approval.id },
          evidenceOf(session.deviceId, delivery, {
            signatures: [...proof.signatures, ...attested],
            keyStatement: proof.keyStatement,
            transactionData: transactionData ?? null,
            journalId,
          }),
          nowMs,
        )
      },
    )
    if (ended !== undefined) return ended
    const { approval: now } = await this.#inbox.find(session, approval.id)
    throw approvalFinal(now, session)
  }
}

/**
 * Device and link as they stand inside the transaction of a decision: whoever locks, disconnects, unlinks or deletes in
 * the same moment comes first.
 *
 * @throws DeviceRefusal
 */
export async function holdStanding(
  stores: Stores,
  session: DeviceSession,
  nowMs: number,
): Promise<DeviceLink> {
  const { tenantId, deviceId, sessionEpoch } = session
  if (!(await stores.devices.holdSession({ tenantId, id: deviceId, sessionEpoch, nowMs }))) {
    const device: Device | undefined = await stores.devices.find(tenantId, deviceId)
    if (device?.lock.state === 'LOCKED') throw deviceLocked(device.lock.reason)
    throw new DeviceRefusal('token_invalid')
  }
  const link = await findLink(stores, session)
  const isHeld = await stores.deviceLinks.hold(
    { tenantId, deviceId, userId: link.userId },
    link.epoch,
  )
  if (!isHeld || link.epoch !== session.linkEpoch) throw new DeviceRefusal('not_linked')
  return link
}

function approvalFinal(approval: Approval, { deviceId }: DeviceSession): DeviceRefusal {
  return new DeviceRefusal('approval_final', {
    approvalStatus: approval.status,
    decidedByThisDevice: approval.decision?.deviceId === deviceId,
  })
}

function evidenceOf<T>(
  deviceId: string,
  { mediaType, bytes }: Delivery,
  rest: T,
): T & { deviceId: string; mediaType: string; bytes: Uint8Array } {
  return { deviceId, mediaType, bytes, ...rest }
}
