import type { ClientAssertionClaims } from '@countersign/protocol/message/device-jws.ts'
import { readDeviceJws } from '@countersign/protocol/message/device-jws.ts'
import type { Randomness } from '#custody/randomness.ts'
import { newTicket, sha256Hex } from '#custody/secrets.ts'
import { type AppRules, type AppVerdict, appRefusals } from '../apps/app-rules.ts'
import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import type { Storage, Stores } from '../storage.ts'
import type { SettingsService } from '../tenants/settings-service.ts'
import { parseAppFacts } from './app-facts.ts'
import { type AppFacts, type Device, type DeviceLink, deviceTarget, type Factor } from './device.ts'
import { type DeviceOrigin, deviceCaller, deviceLocked } from './device-gate.ts'
import { DeviceRefusal } from './device-refusal.ts'
import { type FactorCheck, type FactorHolder, type HeldFactor, passFactor } from './factor-check.ts'
import type { Login, LoginRequest } from './login-request.ts'
import type { RequestLimiter } from './request-limiter.ts'
import type { ServerNonces } from './server-nonces.ts'
import {
  clockSkewSeconds,
  isSignedBy,
  readSelfSigned,
  replayMemoryMs,
  requireCloseTime,
} from './signed-by-device.ts'

interface Presented {
  readonly claims: ClientAssertionClaims
  readonly device: Device
  readonly dpopJti: string
}

export const baseScope = 'device'
const tokenLifeSeconds = 300
const tokenLifeWithScopeSeconds = 120
const carryMs = 900_000
/** Longest life of a client assertion. */
const assertionLifeSeconds = 120
const scopesMax = 20

/** Logins of devices: a key, the app's facts, and at times a factor. */
export class LoginService {
  readonly #storage: Storage
  readonly #settings: SettingsService
  readonly #factors: FactorCheck
  readonly #rules: AppRules
  readonly #nonces: ServerNonces
  readonly #limiter: RequestLimiter
  readonly #issuer: () => string
  readonly #clock: Clock
  readonly #randomness: Randomness

  constructor(dependencies: {
    storage: Storage
    settings: SettingsService
    factors: FactorCheck
    rules: AppRules
    nonces: ServerNonces
    limiter: RequestLimiter
    /** `{server}/device/v1`. */
    issuer: () => string
    clock: Clock
    randomness: Randomness
  }) {
    this.#storage = dependencies.storage
    this.#settings = dependencies.settings
    this.#factors = dependencies.factors
    this.#rules = dependencies.rules
    this.#nonces = dependencies.nonces
    this.#limiter = dependencies.limiter
    this.#issuer = dependencies.issuer
    this.#clock = dependencies.clock
    this.#randomness = dependencies.randomness
  }

  /**
   * @throws DeviceRefusal `dpop_invalid`, `use_dpop_nonce`, `client_invalid`, `clock_skew`, `replayed`; `device_locked`,
   *   `not_linked`, `tenant_disabled`, `user_disabled`; what {@link AppRules.judge} refuses; `invalid_scope`,
   *   `factor_rejected`, `factor_locked`.
   *   DomainError `too_many_requests` when too many PINs wait, or the device logs in too often.
   */
  async login(request: LoginRequest, origin: DeviceOrigin): Promise<Login> {
    await this.#nonces.ready()
    const nowMs = this.#clock()
    const { claims, device, dpopJti } = await this.#identify(request, nowMs)
    const { tenantId, id: deviceId } = device
    const caller = deviceCaller(tenantId, deviceId, origin)
    const remember = (stores: Stores) => rememberAll(stores, device, [claims.jti, dpopJti], nowMs)

    const link = await this.#standingLink(device, request.userId)
    const app = factsOf(claims, device)
    const running = { caller, device, link, app, remember }
    const settle = await this.#recordingRefusal(running, () =>
      this.#rules.judge({ tenantId, deviceId, userId: link?.userId ?? null, app }),
    )
    const scopes = await this.#scopesOf(caller, tenantId, request)
    const open = (held: HeldFactor | null) =>
      this.#recordingRefusal(running, () => this.#open({ ...running, settle, scopes, held, nowMs }))
    if (link === undefined) return open(null)

    const holder: FactorHolder = { tenantId, deviceId, userId: link.userId }
    const brought = await this.#bring(request, holder, link, nowMs)
    if (brought?.holds === false) {
      throw await this.#factors.refuse(
        caller,
        holder,
        { factor: brought.factor, action: 'device.logged-in' },
        remember,
      )
    }
    return open(brought ?? null)
  }

  /** Proof, then assertion, then the device that both must be of. */
  async #identify(request: LoginRequest, nowMs: number): Promise<Presented> {
    const dpop = await readSelfSigned('dpop', request.proof)
    const { htm, htu, nonce } = dpop?.jws.claims ?? {}
    if (dpop === undefined || htm !== 'POST' || htu !== request.url) {
      throw new DeviceRefusal('dpop_invalid')
    }
    if (nonce === undefined || !this.#nonces.isCurrent(nonce)) {
      throw new DeviceRefusal('use_dpop_nonce')
    }
    requireCloseTime(dpop.jws.claims.iat, nowMs)

    const assertion = readDeviceJws('client', request.clientAssertion)
    const claims = assertion?.claims
    if (assertion?.kid === undefined || claims === undefined || claims.sub !== claims.iss) {
      throw new DeviceRefusal('client_invalid')
    }
    const device = await this.#findDevice(assertion.kid, claims.iss)
    const isWhole =
      device !== undefined &&
      (await isSignedBy(assertion, device.publicKey)) &&
      claims.aud === this.#issuer() &&
      claims.exp > claims.iat &&
      claims.exp - claims.iat <= assertionLifeSeconds &&
      (request.clientId === undefined || request.clientId === claims.iss)
    if (!isWhole) throw new DeviceRefusal('client_invalid')
    if (dpop.thumbprint !== device.keyThumbprint) throw new DeviceRefusal('dpop_invalid')
    requireCloseTime(claims.iat, nowMs)
    if (claims.exp + clockSkewSeconds <= nowMs / 1000) throw new DeviceRefusal('client_invalid')
    this.#limiter.count(device.id)
    return { claims, device, dpopJti: dpop.jws.claims.jti }
  }

  /** The device of a key; the key says in which tenant. */
  async #findDevice(thumbprint: string, id: string): Promise<Device | undefined> {
    const { read } = this.#storage
    const key = await read.enrolledKeys.find(thumbprint)
    if (key === undefined || key.deviceId !== id) return undefined
    const device = await read.devices.find(key.ownerTenantId, key.deviceId)
    const isIt = device?.status === 'ACTIVE' && device.keyThumbprint === thumbprint
    return isIt ? device : undefined
  }

  /** Link, lock, tenant, user. Undefined for a device without users, unless one was named. */
  async #standingLink(
    { tenantId, id, lock }: Device,
    userId: string | undefined,
  ): Promise<DeviceLink | undefined> {
    const { read } = this.#storage
    const tenant = await read.tenants.find(tenantId)
    if (tenant?.status !== 'ACTIVE') throw new DeviceRefusal('tenant_disabled')
    if (lock.state === 'LOCKED') throw deviceLocked(lock.reason)
    const links = await read.deviceLinks.listOfDevice(tenantId, id, 2)
    const link =
      userId === undefined
        ? links[0]
        : await read.deviceLinks.find({ tenantId, deviceId: id, userId })
    // Without a name it must be clear who is meant.
    if (userId === undefined ? links.length > 1 : link === undefined) {
      throw new DeviceRefusal('not_linked')
    }
    if (link === undefined) return undefined
    const user = await read.userViews.find(tenantId, link.userId, this.#clock())
    if (user?.status !== 'ACTIVE') throw new DeviceRefusal('user_disabled')
    return link
  }

  /** What the app's rules refuse is recorded: the device has proven who it is. */
  async #recordingRefusal<T>(
    { caller, device: { tenantId, id: deviceId }, link, app, remember }: Running,
    work: () => Promise<T>,
  ): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof DeviceRefusal) || !appRefusals.has(error.code)) throw error
      await this.#storage.transaction(async (stores) => {
        await remember(stores)
        await stores.journal.append(caller, tenantId, {
          action: 'device.logged-in',
          outcome: 'FAILURE',
          target: deviceTarget(deviceId),
          ...(link === undefined ? {} : { userId: link.userId }),
          detail: {
            reason: error.code.toUpperCase(),
            appName: app.name,
            appVersion: app.versionStr,
          },
        })
      })
      throw error
    }
  }

  async #scopesOf(
    caller: Caller,
    tenantId: string,
    { scope, pin, bioAssertion }: LoginRequest,
  ): Promise<readonly string[]> {
    const wanted = [...new Set((scope ?? '').split(' ').filter((one) => one !== ''))]
    const extra = wanted.filter((one) => one !== baseScope)
    if (extra.length === 0) return [baseScope]
    const { explicitScope } = (await this.#settings.settingsFor(caller, tenantId)).ast
    const isKnown = extra.length <= scopesMax && extra.every((one) => one === explicitScope)
    // Explicit authentication is one that is made for it.
    const isMade = pin !== undefined || bioAssertion !== undefined
    if (!isKnown || !isMade) throw new DeviceRefusal('invalid_scope')
    return [baseScope, ...extra]
  }

  async #bring(
    { pin, bioAssertion }: LoginRequest,
    holder: FactorHolder,
    link: DeviceLink,
    nowMs: number,
  ): Promise<BroughtFactor | undefined> {
    if (pin === undefined && bioAssertion === undefined) return undefined
    await this.#factors.requireUnlocked(holder)
    if (pin !== undefined) {
      const pinHash = await this.#factors.matchPin(holder, pin)
      return { factor: 'pin', pinHash, holds: pinHash !== undefined }
    }
    const holds = await this.#bioHolds(bioAssertion ?? '', holder, link, nowMs)
    return { factor: 'bio', holds }
  }

  async #bioHolds(
    compact: string,
    { tenantId, deviceId, userId }: FactorHolder,
    link: DeviceLink,
    nowMs: number,
  ): Promise<boolean> {
    const assertion = readDeviceJws('login', compact)
    if (assertion === undefined || link.bioKey === null) return false
    const { claims } = assertion
    const fits =
      assertion.kid === link.bioThumbprint &&
      claims.iss === deviceId &&
      claims.sub === userId &&
      claims.aud === this.#issuer() &&
      (await isSignedBy(assertion, link.bioKey)) &&
      this.#nonces.isCurrent(claims.nonce)
    if (!fits) return false
    requireCloseTime(claims.iat, nowMs)
    const isFirst = await this.#storage.transaction(({ deviceSessions }) =>
      deviceSessions.remember({
        tenantId,
        keyThumbprint: assertion.kid ?? '',
        jti: claims.jti,
        untilMs: nowMs + replayMemoryMs,
      }),
    )
    // Seen before is not wrong: it says nothing about who guesses.
    if (!isFirst) throw new DeviceRefusal('replayed')
    return true
  }

  /** Gives the token out, if device and link still stand as they were read. */
  async #open(opening: Opening): Promise<Login> {
    const { caller, device, link, app, settle, scopes, remember, held, nowMs } = opening
    const { tenantId, id: deviceId } = device
    const accessToken = `dat_${newTicket(this.#randomness)}`
    const lifeSeconds = scopes.length > 1 ? tokenLifeWithScopeSeconds : tokenLifeSeconds
    const verified = await this.#storage.transaction(async (stores) => {
      await remember(stores)
      if (!(await stores.devices.recordLogin(device, app, nowMs))) {
        throw new DeviceRefusal('client_invalid', {
          detail: 'The device was changed; log in again.',
        })
      }
      const now = link && (await verify(stores, { ...opening, link }))
      await stores.deviceSessions.insert({
        tenantId,
        tokenHash: sha256Hex(accessToken),
        deviceId,
        userId: link?.userId ?? null,
        scope: scopes.join(' '),
        factor: now?.factor ?? null,
        verifiedAtMs: now?.atMs ?? null,
        sessionEpoch: device.sessionEpoch,
        linkEpoch: link?.epoch ?? null,
        issuedAtMs: nowMs,
        expiresAtMs: nowMs + lifeSeconds * 1000,
      })
      await stores.journal.append(caller, tenantId, {
        action: 'device.logged-in',
        target: deviceTarget(deviceId),
        ...(link === undefined ? {} : { userId: link.userId }),
        detail: {
          factor: held?.factor ?? null,
          scope: scopes.join(' '),
          appVersion: app.versionStr,
        },
      })
      await settle(stores, caller, nowMs)
      return now
    })
    return {
      accessToken,
      lifeSeconds,
      scopes,
      userId: link?.userId ?? null,
      factor: verified?.factor ?? null,
      verifiedAtMs: verified?.atMs ?? null,
    }
  }
}

/** A factor as it came. */
interface BroughtFactor extends HeldFactor {
  readonly holds: boolean
}

interface Running {
  readonly caller: Caller
  readonly device: Device
  readonly link: DeviceLink | undefined
  readonly app: AppFacts
  readonly remember: (stores: Stores) => Promise<void>
}

interface Opening extends Running {
  readonly settle: AppVerdict
  readonly scopes: readonly string[]
  /** The one that was brought, and holds. */
  readonly held: HeldFactor | null
  readonly nowMs: number
}

/**
 * Notes the login on its link, and its factor.
 *
 * @returns the verification that its token has: its own, or what the link carries of the last one. As it stands in this
 *   moment, not as it was read: a PIN that is changed meanwhile has ended it.
 */
async function verify(
  stores: Stores,
  { device, link, held, nowMs }: Opening & { readonly link: DeviceLink },
): Promise<{ factor: Factor; atMs: number } | undefined> {
  const key = { tenantId: device.tenantId, deviceId: device.id, userId: link.userId }
  const factor = held?.factor ?? null
  const noted = await stores.deviceLinks.recordSuccess(key, { epoch: link.epoch, factor, nowMs })
  if (noted === undefined) throw new DeviceRefusal('not_linked')
  if (held !== null) await passFactor(stores, key, held, nowMs)
  const { verified } = noted
  return verified !== null && nowMs - verified.atMs < carryMs ? verified : undefined
}

/** @throws DeviceRefusal `replayed` when one of them was seen before. */
async function rememberAll(
  { deviceSessions }: Stores,
  { tenantId, keyThumbprint }: Device,
  jtis: readonly string[],
  nowMs: number,
): Promise<void> {
  for (const jti of jtis) {
    const untilMs = nowMs + replayMemoryMs
    if (!(await deviceSessions.remember({ tenantId, keyThumbprint, jti, untilMs }))) {
      throw new DeviceRefusal('replayed')
    }
  }
}

/** The facts of the `app` claim; name, platform and architecture stay as they were enrolled. */
function factsOf({ app }: ClientAssertionClaims, device: Device): AppFacts {
  const facts = parseAppFacts(app)
  if (facts === undefined) throw new DeviceRefusal('client_invalid', { detail: 'app is malformed' })
  const isSame =
    facts.name === device.app.name &&
    facts.platform === device.app.platform &&
    facts.architecture === device.app.architecture
  if (!isSame) throw new DeviceRefusal('client_invalid', { detail: 'app is another one' })
  return facts
}
