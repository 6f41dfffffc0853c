import { sha256Hex } from '#custody/secrets.ts'
import type { Clock } from '../clock.ts'
import { deviceTarget, type Factor } from '../devices/device.ts'
import type { DeviceSession } from '../devices/device-gate.ts'
import { DeviceRefusal } from '../devices/device-refusal.ts'
import { type FactorCheck, passFactor } from '../devices/factor-check.ts'
import { findLink } from '../devices/own-device-service.ts'
import type { ServerNonces } from '../devices/server-nonces.ts'
import { replayMemoryMs, saysTheSame } from '../devices/signed-by-device.ts'
import type { Storage, Stores } from '../storage.ts'
import type { Settings } from '../tenants/settings.ts'
import type { SettingsService } from '../tenants/settings-service.ts'
import type { IdSource } from '../ulid.ts'
import { type Approval, approvalTarget } from './approval.ts'
import { approvalEvent } from './approval-event.ts'
import { nativeFactor } from './approval-view.ts'
import { contentHash, contentOf } from './content.ts'
import type { CustomerJwts, SignedJwt } from './customer-jwt.ts'
import { readDecision, type SignedDecision } from './decision-assertion.ts'
import { type FactorProof, hashOf, type Proof, proofOf } from './decision-evidence.ts'
import { holdStanding } from './decision-service.ts'
import { serverSignature } from './server-signature.ts'
import type { SignatureJudge } from './signature-judge.ts'

/** An authentication that nobody asked for; shapes as `AuthenticationRequest` of the contract. */
export interface SpontaneousRequest {
  readonly factor: FactorProof
  readonly operation?:
    | {
        readonly reference: string
        readonly payload?: string | undefined
        readonly externalUserId?: string | undefined
      }
    | undefined
  readonly transactionData?: string | undefined
}

export interface SpontaneousResult {
  readonly userId: string
  readonly factor: Factor
  readonly atMs: number
  readonly reference: string | undefined
  readonly signedJwt: string | undefined
}

interface Claimed {
  readonly request: SpontaneousRequest
  readonly signed: SignedDecision
  readonly proof: Proof
  readonly userId: string
  readonly signedJwt: SignedJwt | undefined
  readonly settings: Settings
}

const dayMs = 24 * 3_600_000

/** Logins of Keyless applications, and operations that an application starts by itself. */
export class SpontaneousService {
  readonly #storage: Storage
  readonly #settings: SettingsService
  readonly #factors: FactorCheck
  readonly #judge: SignatureJudge
  readonly #jwts: CustomerJwts
  readonly #nonces: ServerNonces
  readonly #issuer: () => string
  readonly #clock: Clock
  readonly #nextId: IdSource

  constructor(dependencies: {
    storage: Storage
    settings: SettingsService
    factors: FactorCheck
    judge: SignatureJudge
    jwts: CustomerJwts
    nonces: ServerNonces
    issuer: () => string
    clock: Clock
    nextId: IdSource
  }) {
    this.#storage = dependencies.storage
    this.#settings = dependencies.settings
    this.#factors = dependencies.factors
    this.#judge = dependencies.judge
    this.#jwts = dependencies.jwts
    this.#nonces = dependencies.nonces
    this.#issuer = dependencies.issuer
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
  }

  /**
   * Checks a factor and its assertion; with an operation, makes an approval that is accepted already. The assertion's
   * nonce is a server nonce, and it is used once.
   *
   * @throws DeviceRefusal `operation_not_allowed`, `factor_rejected`, `factor_locked`, `clock_skew`, `replayed`,
   *   `content_mismatch`, `reference_used`. DomainError `too_many_requests`.
   */
  async authenticate(
    session: DeviceSession,
    request: SpontaneousRequest,
  ): Promise<SpontaneousResult> {
    const { caller, tenantId } = session
    const settings = await this.#settings.settingsFor(caller, tenantId)
    const { operation, transactionData } = request
    if (operation !== undefined && !settings.keyless.allowSpontaneousOperations) {
      throw new DeviceRefusal('operation_not_allowed')
    }
    const { signed, proof, userId } = await this.#prove(session, request)
    const signedJwt =
      transactionData === undefined
        ? undefined
        : await this.#jwts.sign({
            tenantId,
            userId,
            factor: request.factor.type,
            deviceKeyThumbprint: session.keyThumbprint,
            transactionData,
            operation: operation && {
              reference: operation.reference,
              payload: operation.payload ?? null,
            },
            lifeSeconds: settings.keyless.jwtLifetimeSeconds,
            nowMs: this.#clock(),
          })
    const claimed = { request, signed, proof, userId, signedJwt, settings }
    const atMs = await this.#storage.transaction((stores) => this.#record(stores, session, claimed))
    return {
      userId,
      factor: request.factor.type,
      atMs,
      reference: operation?.reference,
      signedJwt: signedJwt?.jwt,
    }
  }

  async #prove(
    session: DeviceSession,
    { factor, operation, transactionData }: SpontaneousRequest,
  ): Promise<{ signed: SignedDecision; proof: Proof; userId: string }> {
    const { caller, tenantId, deviceId } = session
    const { read } = this.#storage
    const link = await findLink(read, session)
    const device = await read.devices.find(tenantId, deviceId)
    if (device === undefined) throw new DeviceRefusal('token_invalid')
    const holder = { tenantId, deviceId, userId: link.userId }
    await this.#factors.requireUnlocked(holder)
    const expected = {
      audience: this.#issuer(),
      userId: link.userId,
      decision: 'accept' as const,
      factor: factor.type,
    }
    const signed = await readDecision(factor.assertion, { device, link }, expected, this.#clock())
    const attempt = {
      factor: factor.type,
      action: 'device.authenticated',
      reference: operation?.reference,
    }
    if (signed === undefined || !this.#nonces.isCurrent(signed.claims.nonce)) {
      throw await this.#factors.refuse(caller, holder, attempt)
    }
    const { approvalId, reference, payloadHash, tdHash } = signed.claims
    const payload = Buffer.from(operation?.payload ?? '')
    const isAbout =
      approvalId === undefined &&
      reference === operation?.reference &&
      (payloadHash === undefined || saysTheSame(payloadHash, contentHash(payload))) &&
      saysTheSame(tdHash, hashOf(transactionData))
    if (!isAbout) throw new DeviceRefusal('content_mismatch')
    const isPin = factor.type === 'pin'
    const pinHash = isPin ? await this.#factors.matchPin(holder, factor.pin ?? '') : undefined
    if (isPin && pinHash === undefined) {
      throw await this.#factors.refuse(caller, holder, attempt)
    }
    const proof = await proofOf(this.#judge, signed, { device, link }, factor.type)
    return { signed, proof: { ...proof, pinHash }, userId: link.userId }
  }

  async #record(stores: Stores, session: DeviceSession, claimed: Claimed): Promise<number> {
    const { caller, tenantId, deviceId } = session
    const { request, signed, userId } = claimed
    const nowMs = this.#clock()
    const link = await holdStanding(stores, session, nowMs)
    const isFirst = await stores.deviceSessions.remember({
      tenantId,
      keyThumbprint: signed.thumbprint,
      jti: signed.claims.jti,
      untilMs: nowMs + replayMemoryMs,
    })
    if (!isFirst) throw new DeviceRefusal('replayed')
    await passFactor(stores, { tenantId, userId }, claimed.proof, nowMs)
    await stores.deviceLinks.recordSuccess(
      { tenantId, deviceId, userId },
      { epoch: link.epoch, factor: request.factor.type, nowMs },
    )
    if (request.operation !== undefined) {
      await this.#approve(stores, session, claimed, request.operation, nowMs)
      return nowMs
    }
    await stores.journal.append(caller, tenantId, {
      action: 'device.authenticated',
      target: deviceTarget(deviceId),
      userId,
      detail: { factor: request.factor.type },
    })
    return nowMs
  }

  /** The approval that the application made for itself: asked and answered in one step. */
  async #approve(
    stores: Stores,
    { caller, tenantId, deviceId }: DeviceSession,
    { request, proof, userId, signedJwt, settings }: Claimed,
    operation: NonNullable<SpontaneousRequest['operation']>,
    nowMs: number,
  ): Promise<void> {
    const { reference, payload = null, externalUserId = null } = operation
    const factor = request.factor.type
    const approval: Approval = {
      tenantId,
      id: this.#nextId(),
      reference,
      kind: 'TRANSACTION',
      evidence: 'FACTOR',
      userId,
      status: 'APPROVED',
      text: payload,
      templateKey: null,
      data: null,
      timeouts: { retrievalSeconds: null, decisionSeconds: null, totalSeconds: null },
      authentication: { factor: null, explicitScope: null, maxAgeSeconds: null },
      devices: null,
      push: null,
      externalUserId,
      surface: 'keyless',
      createdBy: deviceId,
      createdAtMs: nowMs,
      retrievedAtMs: nowMs,
      expiresAtMs: null,
      completedAtMs: nowMs,
      decision: { deviceId, factor, atMs: nowMs },
      failureReason: null,
      failureMessage: null,
    }
    if (!(await stores.approvals.takeReference(tenantId, reference, approval.id))) {
      throw new DeviceRefusal('reference_used')
    }
    await stores.approvals.insert(approval)
    await stores.approvals.setEraseAt(approval, nowMs + settings.retention.approvalDays * dayMs)
    const { mediaType, bytes } = contentOf(approval)
    const journalId = await stores.journal.append(caller, tenantId, {
      action: 'approval.approved',
      target: approvalTarget(approval.id),
      userId,
      detail: {
        reference,
        deviceId,
        factor: nativeFactor(factor),
        contentSha256: sha256Hex(bytes),
        reason: 'SPONTANEOUS',
      },
    })
    const attested =
      signedJwt === undefined ? [] : [serverSignature(signedJwt.jwt, signedJwt.publicKey)]
    await stores.approvals.evidence.insert(
      { tenantId, approvalId: approval.id },
      {
        deviceId,
        mediaType,
        bytes,
        signatures: [...proof.signatures, ...attested],
        transactionData: request.transactionData ?? null,
        keyStatement: proof.keyStatement,
        journalId,
      },
      nowMs,
    )
    await stores.events.append(tenantId, approvalEvent('approval.approved', approval))
  }
}
