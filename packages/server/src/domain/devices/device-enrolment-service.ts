import type { Randomness } from '#custody/randomness.ts'
import type { AppRules, AppVerdict } from '../apps/app-rules.ts'
import type { Caller } from '../callers/caller.ts'
import type { FailureLimiter } from '../callers/failure-limiter.ts'
import type { Clock } from '../clock.ts'
import { requireUsable } from '../push/push-token.ts'
import type { Storage, Stores } from '../storage.ts'
import type { SettingsService } from '../tenants/settings-service.ts'
import type { IdSource } from '../ulid.ts'
import { deviceTarget, type EnrolledVia } from './device.ts'
import { getDevice } from './device-ending.ts'
import { type DeviceOrigin, type DeviceSession, deviceCaller } from './device-gate.ts'
import { DeviceRefusal } from './device-refusal.ts'
import { deviceView } from './device-view.ts'
import { holdCodeUser } from './enrolled-user.ts'
import { EnrolmentCodeDesk } from './enrolment-code-desk.ts'
import type { EnrolmentCode } from './enrolment-code-store.ts'
import type { EnrolledDevice, EnrolmentRequest, LinkRequest } from './enrolment-request.ts'
import { type FactorCheck, type HeldFactor, passFactor } from './factor-check.ts'
import { checkKeyStatement, type ProvenKeys } from './key-statement.ts'
import { movePushToken } from './push-token-move.ts'
import { requireCloseTime } from './signed-by-device.ts'

/** What the certificate authority does for a tenant whose first device comes. */
export interface FirstEnrolment {
  /** Makes the signer `default` in the running transaction, if the tenant never had one. */
  ensureSigner(stores: Stores, caller: Caller, tenantId: string): Promise<void>
}

interface CheckedCode {
  readonly code: EnrolmentCode
  readonly keys: ProvenKeys
  readonly caller: Caller
}

/** For how long the device that used a code may ask for the answer again. */
const repeatMs = 600_000

/** Spends codes: devices come, and users are linked to them. */
export class DeviceEnrolmentService {
  readonly #storage: Storage
  readonly #desk: EnrolmentCodeDesk
  readonly #settings: SettingsService
  readonly #factors: FactorCheck
  readonly #rules: AppRules
  readonly #authority: FirstEnrolment
  readonly #issuer: () => string
  readonly #clock: Clock
  readonly #nextId: IdSource
  readonly #randomness: Randomness

  constructor(dependencies: {
    storage: Storage
    settings: SettingsService
    factors: FactorCheck
    rules: AppRules
    authority: FirstEnrolment
    limiter: FailureLimiter
    issuer: () => string
    clock: Clock
    nextId: IdSource
    randomness: Randomness
  }) {
    this.#storage = dependencies.storage
    this.#desk = new EnrolmentCodeDesk(dependencies)
    this.#settings = dependencies.settings
    this.#factors = dependencies.factors
    this.#rules = dependencies.rules
    this.#authority = dependencies.authority
    this.#issuer = dependencies.issuer
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
    this.#randomness = dependencies.randomness
  }

  /**
   * Spends a code and makes its device: key, link, factor, record and event, all of them or none.
   *
   * @throws DeviceRefusal `code_invalid`, `proof_invalid`, `clock_skew`, `replayed`, `device_key_known`, `limit_reached`,
   *   `factor_required`, `factor_rejected`, `factor_locked`, `user_disabled`, `tenant_disabled`; what
   *   {@link AppRules.judge} refuses. What fails after the code was found counts against the code; a clock that is wrong
   *   and an app that may not be used do not. DomainError `too_many_requests` for an
   *   address that brings codes which nobody made.
   */
  async enrol(
    request: EnrolmentRequest,
    origin: DeviceOrigin,
    via: EnrolledVia,
  ): Promise<EnrolledDevice> {
    if (request.pushToken !== undefined) requireUsable(request.pushToken)
    const found = await this.#desk.findFor(origin.address, request.code)
    const expected = {
      aud: this.#issuer(),
      codeHash: found.codeHash,
      iss: undefined,
      sub: undefined,
    }
    const repeated = await this.#repeatOf(found, request, expected)
    if (repeated !== undefined) {
      return this.#answerAgain(found, repeated)
    }
    this.#desk.requireOpen(found)
    const deviceId = this.#nextId()
    const caller = deviceCaller(found.tenantId, deviceId, origin)
    return this.#desk.countingFailures(found, caller, async () => {
      const keys = await checkKeyStatement(request, expected)
      requireCloseTime(keys.claims.iat, this.#clock())
      const checked = { code: found, keys, caller }
      const { tenantId, userId } = found
      const settle = await this.#rules.judge({ tenantId, deviceId, userId, app: request.app })
      const factor = await this.#checkFactor(checked, deviceId, request)
      return this.#make(checked, { deviceId, request, factor, settle, via })
    })
  }

  /**
   * Spends a code of the device's tenant to link its user to the device. A user who is linked already gets the new
   * biometric key, or none, and keeps everything else.
   *
   * @throws DeviceRefusal as {@link enrol}.
   */
  async link(session: DeviceSession, request: LinkRequest): Promise<EnrolledDevice> {
    const { tenantId, deviceId, caller } = session
    const found = await this.#desk.find(request.code)
    if (found.tenantId !== tenantId) throw new DeviceRefusal('code_invalid')
    this.#desk.requireOpen(found)
    return this.#desk.countingFailures(found, caller, async () => {
      const keys = await checkKeyStatement(request, {
        aud: this.#issuer(),
        codeHash: found.codeHash,
        iss: deviceId,
        sub: undefined,
      })
      if (keys.device.thumbprint !== session.keyThumbprint) throw new DeviceRefusal('proof_invalid')
      requireCloseTime(keys.claims.iat, this.#clock())
      const checked = { code: found, keys, caller }
      const device = await this.#storage.read.devices.find(tenantId, deviceId)
      if (device === undefined) throw new DeviceRefusal('token_invalid')
      const { userId } = found
      const settle = await this.#rules.judge({ tenantId, deviceId, userId, app: device.app })
      const factor = await this.#checkFactor(checked, deviceId, request)
      return this.#linkTo(checked, { session, factor, settle })
    })
  }

  /** @throws DeviceRefusal `code_invalid` when the device is gone. */
  async #answerAgain(code: EnrolmentCode, deviceId: string): Promise<EnrolledDevice> {
    const { tenantId, userId } = code
    const device = await this.#storage.read.devices.find(tenantId, deviceId)
    if (device?.status !== 'ACTIVE' || userId === null) throw new DeviceRefusal('code_invalid')
    const linked = await getDevice(this.#storage.read, tenantId, deviceId)
    return { device: linked, userId, isRepeat: true }
  }

  /** The device that this very device key made of the code a moment ago. */
  async #repeatOf(
    code: EnrolmentCode,
    proofs: { readonly proof: string; readonly bioProof?: string | undefined },
    expected: Parameters<typeof checkKeyStatement>[1],
  ): Promise<string | undefined> {
    const { stored, deviceId, usedAtMs, keyThumbprint } = code
    if (stored !== 'USED' || deviceId === null || usedAtMs === null) return undefined
    if (this.#clock() - usedAtMs >= repeatMs) return undefined
    const keys = await checkKeyStatement(proofs, expected)
    return keys.device.thumbprint === keyThumbprint ? deviceId : undefined
  }

  /**
   * A user with a PIN brings it; one without sets a PIN, or brings a biometric key.
   *
   * @returns the hash of a PIN to set, or the user's own that was brought.
   */
  async #checkFactor(
    { code, keys, caller }: CheckedCode,
    deviceId: string,
    { pin }: { readonly pin?: string | undefined },
  ): Promise<CheckedFactor> {
    const { tenantId, userId } = code
    const stored =
      userId === null ? undefined : await this.#storage.read.devicePins.find(tenantId, userId)
    if (userId === null || stored?.pinHash == null) {
      if (pin !== undefined) return { newPinHash: await this.#factors.hashPin(pin), brought: null }
      if (keys.bio === null) throw new DeviceRefusal('factor_required')
      return { newPinHash: undefined, brought: null }
    }
    const holder = { tenantId, deviceId, userId }
    await this.#factors.requireUnlocked(holder)
    if (pin === undefined) throw new DeviceRefusal('factor_required')
    const pinHash = await this.#factors.matchPin(holder, pin)
    if (pinHash === undefined) {
      throw await this.#factors.refuse(caller, holder, {
        factor: 'pin',
        action: 'device.enrolled',
      })
    }
    return { newPinHash: undefined, brought: { factor: 'pin', pinHash } }
  }

  async #make(
    checked: CheckedCode,
    making: {
      readonly deviceId: string
      readonly request: EnrolmentRequest
      readonly factor: CheckedFactor
      readonly settle: AppVerdict
      readonly via: EnrolledVia
    },
  ): Promise<EnrolledDevice> {
    const { code, keys, caller } = checked
    const { deviceId, request, factor, settle, via } = making
    const { tenantId } = code
    return movePushToken(this.#storage, { caller, tenantId }, async (stores) => {
      const nowMs = this.#clock()
      const userId = await this.#claim(stores, checked, { deviceId, factor, nowMs })
      if (!(await this.#takeKey(stores, checked, deviceId, 'DEVICE', nowMs))) {
        throw new DeviceRefusal('device_key_known')
      }
      const pushToken = request.pushToken ?? null
      if (pushToken !== null) {
        await stores.devices.pushTokens.dropElsewhere({ tenantId, deviceId, pushToken })
      }
      await stores.devices.insert({
        tenantId,
        id: deviceId,
        keyThumbprint: keys.device.thumbprint,
        publicKey: keys.device.jwk,
        enrolledVia: via,
        name: request.device.name ?? code.deviceName,
        model: request.device.model ?? null,
        osName: request.device.osName ?? null,
        osVersion: request.device.osVersion ?? null,
        app: request.app,
        pushToken,
        locales: request.locales ?? [],
        createdAtMs: nowMs,
      })
      await this.#putLink(stores, checked, { deviceId, userId, nowMs })
      await this.#authority.ensureSigner(stores, caller, tenantId)
      await stores.journal.append(caller, tenantId, {
        action: 'device.enrolled',
        target: deviceTarget(deviceId),
        userId,
        detail: {
          keyThumbprint: keys.device.thumbprint,
          enrolmentCode: code.id,
          appName: request.app.name,
          appVersion: request.app.versionStr,
        },
      })
      const device = await getDevice(stores, tenantId, deviceId)
      const data = { device: deviceView(device, false) }
      await stores.events.append(tenantId, { type: 'device.enrolled', data })
      await settle(stores, caller, nowMs)
      return { device, userId, isRepeat: false }
    })
  }

  async #linkTo(
    checked: CheckedCode,
    linking: {
      readonly session: DeviceSession
      readonly factor: CheckedFactor
      readonly settle: AppVerdict
    },
  ): Promise<EnrolledDevice> {
    const { code, keys, caller } = checked
    const { tenantId } = code
    const { session, factor, settle } = linking
    const { deviceId, sessionEpoch } = session
    return this.#storage.transaction(async (stores) => {
      const nowMs = this.#clock()
      // Nobody deletes the device between a look at its links and the new one.
      if (!(await stores.devices.holdSession({ tenantId, id: deviceId, sessionEpoch, nowMs }))) {
        throw new DeviceRefusal('token_invalid')
      }
      const userId = await this.#claim(stores, checked, { deviceId, factor, nowMs })
      const key = { tenantId, deviceId, userId }
      const isRenewal = (await stores.deviceLinks.find(key)) !== undefined
      if (isRenewal) {
        await this.#takeBioKey(stores, checked, deviceId, nowMs)
        await stores.deviceLinks.setBio(key, keys.bio, keys.statement)
      } else {
        await this.#putLink(stores, checked, { deviceId, userId, nowMs })
      }
      await stores.journal.append(caller, tenantId, {
        action: isRenewal ? 'device.link-renewed' : 'device.linked',
        target: deviceTarget(deviceId),
        userId,
        detail: { enrolmentCode: code.id },
      })
      await settle(stores, caller, nowMs)
      return { device: await getDevice(stores, tenantId, deviceId), userId, isRepeat: false }
    })
  }

  /** The code, the user, the limit and the PIN: in this order, so that whoever loses a race loses it here. */
  async #claim(
    stores: Stores,
    { code, keys, caller }: CheckedCode,
    claim: { readonly deviceId: string; readonly factor: CheckedFactor; readonly nowMs: number },
  ): Promise<string> {
    const { deviceId, factor, nowMs } = claim
    const { tenantId } = code
    const userId = await holdCodeUser(code, {
      stores,
      caller,
      nextId: this.#nextId,
      randomness: this.#randomness,
      nowMs,
    })
    const keyThumbprint = keys.device.thumbprint
    const used = { userId, deviceId, keyThumbprint, nowMs }
    if (!(await stores.enrolmentCodes.spend(code, used))) throw new DeviceRefusal('code_invalid')
    const { jti } = keys.claims
    const proof = { tenantId, keyThumbprint, jti, untilMs: code.expiresAtMs + repeatMs }
    if (!(await stores.deviceSessions.remember(proof))) throw new DeviceRefusal('replayed')

    const { enrolment } = await this.#settings.settingsFor(caller, tenantId)
    const isLinked = (await stores.deviceLinks.find({ tenantId, deviceId, userId })) !== undefined
    const count = await stores.deviceLinks.countOfUser(tenantId, userId)
    if (!isLinked && count >= enrolment.maxDevicesPerUser) throw new DeviceRefusal('limit_reached')

    if (factor.brought !== null) {
      await passFactor(stores, { tenantId, userId }, factor.brought, nowMs)
    }
    const { newPinHash } = factor
    if (newPinHash !== undefined) {
      const isSet = await stores.devicePins.setFirst(tenantId, userId, newPinHash, nowMs)
      // Another device of the user has set one since.
      if (!isSet) throw new DeviceRefusal('factor_required')
    }
    return userId
  }

  async #putLink(
    stores: Stores,
    checked: CheckedCode,
    place: { readonly deviceId: string; readonly userId: string; readonly nowMs: number },
  ): Promise<void> {
    const { code, keys } = checked
    const { deviceId, userId, nowMs } = place
    await this.#takeBioKey(stores, checked, deviceId, nowMs)
    await stores.deviceLinks.put({
      tenantId: code.tenantId,
      deviceId,
      userId,
      bio: keys.bio,
      keyStatement: keys.statement,
      linkedAtMs: nowMs,
    })
  }

  async #takeBioKey(
    stores: Stores,
    checked: CheckedCode,
    deviceId: string,
    nowMs: number,
  ): Promise<void> {
    if (checked.keys.bio === null) return
    if (!(await this.#takeKey(stores, checked, deviceId, 'BIO', nowMs))) {
      throw new DeviceRefusal('device_key_known')
    }
  }

  async #takeKey(
    stores: Stores,
    { code, keys }: CheckedCode,
    deviceId: string,
    purpose: 'DEVICE' | 'BIO',
    nowMs: number,
  ): Promise<boolean> {
    const thumbprint = purpose === 'DEVICE' ? keys.device.thumbprint : keys.bio?.thumbprint
    const key = { thumbprint: thumbprint ?? '', ownerTenantId: code.tenantId, deviceId, purpose }
    return stores.enrolledKeys.take(key, nowMs)
  }
}

interface CheckedFactor {
  /** Of a PIN to set, for a user who has none. */
  readonly newPinHash: string | undefined
  /** The user's PIN, which was brought and holds. */
  readonly brought: HeldFactor | null
}
