import { hash } from 'node:crypto'
import { secretsEqual, sha256Hex } from '#custody/secrets.ts'
import { Caller, type SurfaceName } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import type { Storage } from '../storage.ts'
import type { Factor } from './device.ts'
import { DeviceRefusal } from './device-refusal.ts'
import type { Session, Standing } from './device-session-store.ts'
import type { RequestLimiter } from './request-limiter.ts'
import type { ServerNonces } from './server-nonces.ts'
import { readSelfSigned, replayMemoryMs, requireCloseTime } from './signed-by-device.ts'

/** Where a call of a device came from. */
export interface DeviceOrigin {
  readonly surface: SurfaceName
  readonly address: string | null
  readonly requestId: string | null
}

/** A call as it says who makes it. */
export interface DeviceCall {
  /** What followed `Authorization: DPoP`; undefined: nothing did. */
  readonly accessToken: string | undefined
  /** The header DPoP. */
  readonly proof: string | undefined
  readonly method: string
  /** The URL without query and fragment, as the device had to write it. */
  readonly url: string
}

/** Who a call of the device API comes from: a device, and the user whom it speaks for. */
export interface DeviceSession {
  readonly caller: Caller
  readonly tenantId: string
  readonly deviceId: string
  /** Null: a device without users. */
  readonly userId: string | null
  readonly scopes: readonly string[]
  /** The factor of the verification that the token carries. */
  readonly factor: Factor | null
  readonly verifiedAtMs: number | null
  readonly issuedAtMs: number
  readonly keyThumbprint: string
  readonly linkEpoch: number | null
  readonly sessionEpoch: number
}

const accessTokenLengthMax = 512

/**
 * Says which device calls (RFC 9449): one indexed read, one signature, one row that remembers the proof. Lock, deletion,
 * disconnection and unlinking show at the next call.
 */
export class DeviceGate {
  readonly #storage: Storage
  readonly #nonces: ServerNonces
  readonly #limiter: RequestLimiter
  readonly #clock: Clock

  constructor(dependencies: {
    storage: Storage
    nonces: ServerNonces
    limiter: RequestLimiter
    clock: Clock
  }) {
    this.#storage = dependencies.storage
    this.#nonces = dependencies.nonces
    this.#limiter = dependencies.limiter
    this.#clock = dependencies.clock
  }

  /**
   * @throws DeviceRefusal `token_invalid`, `dpop_invalid`, `use_dpop_nonce`, `clock_skew`, `replayed`; then
   *   `tenant_disabled`, `device_locked`, `not_linked`, `user_disabled`. DomainError `too_many_requests`.
   */
  async enter(call: DeviceCall, origin: DeviceOrigin): Promise<DeviceSession> {
    await this.#nonces.ready()
    const nowMs = this.#clock()
    const session = await this.#findSession(call.accessToken, nowMs)
    await this.#checkProof(call, session, nowMs)
    requireStanding(session)
    return sessionOf(session, origin)
  }

  /**
   * Looks again at a session that outlives its access token, such as an event stream; the row of the token may be gone.
   *
   * @throws DeviceRefusal as {@link enter}, time and proof aside.
   */
  async lookAgain(
    session: Pick<DeviceSession, 'tenantId' | 'deviceId' | 'userId' | 'sessionEpoch' | 'linkEpoch'>,
  ): Promise<void> {
    const { tenantId, deviceId, userId, sessionEpoch, linkEpoch } = session
    const of = { tenantId, deviceId, userId }
    const standing = await this.#storage.read.deviceSessions.findStanding(of)
    if (standing === undefined) throw tokenInvalid()
    const looked = { ...standing, userId, sessionEpoch, linkEpoch }
    if (!isCurrent(looked)) throw tokenInvalid()
    requireStanding(looked)
  }

  async #findSession(accessToken: string | undefined, nowMs: number): Promise<Session> {
    if (accessToken === undefined || accessToken.length > accessTokenLengthMax) throw tokenInvalid()
    const session = await this.#storage.read.deviceSessions.find(sha256Hex(accessToken))
    if (session === undefined || session.expiresAtMs <= nowMs) throw tokenInvalid()
    if (!isCurrent(session)) throw tokenInvalid()
    return session
  }

  async #checkProof(call: DeviceCall, session: Session, nowMs: number): Promise<void> {
    const { accessToken = '', proof, method, url } = call
    const read = proof === undefined ? undefined : await readSelfSigned('dpop', proof)
    if (read === undefined) throw new DeviceRefusal('dpop_invalid')
    const { claims } = read.jws
    const fits =
      read.thumbprint === session.keyThumbprint &&
      claims.htm === method &&
      claims.htu === url &&
      claims.ath !== undefined &&
      secretsEqual(claims.ath, hash('sha256', accessToken, 'base64url'))
    if (!fits) throw new DeviceRefusal('dpop_invalid')
    if (claims.nonce !== undefined && !this.#nonces.isCurrent(claims.nonce)) {
      throw new DeviceRefusal('use_dpop_nonce')
    }
    requireCloseTime(claims.iat, nowMs)
    this.#limiter.count(session.deviceId)
    const isFirst = await this.#storage.transaction(
      ({ deviceSessions }) =>
        deviceSessions.remember({
          tenantId: session.tenantId,
          keyThumbprint: session.keyThumbprint,
          jti: claims.jti,
          untilMs: nowMs + replayMemoryMs,
        }),
      { grouped: true },
    )
    if (!isFirst) throw new DeviceRefusal('replayed')
  }
}

type Looked = Standing & Pick<Session, 'userId' | 'sessionEpoch' | 'linkEpoch'>

/** A locked device is told so, not that its token is void. */
function isCurrent(session: Looked): boolean {
  return (
    session.deviceStatus === 'ACTIVE' &&
    (session.sessionEpoch === session.currentSessionEpoch || session.lockState === 'LOCKED')
  )
}

/** @throws DeviceRefusal */
function requireStanding(session: Looked): void {
  if (session.tenantStatus !== 'ACTIVE') throw new DeviceRefusal('tenant_disabled')
  if (session.lockState === 'LOCKED') throw deviceLocked(session.lockReason)
  if (session.userId === null) return
  const isLinked =
    session.currentLinkEpoch !== null && session.currentLinkEpoch === session.linkEpoch
  if (!isLinked) throw new DeviceRefusal('not_linked')
  if (session.userStatus !== 'ACTIVE') throw new DeviceRefusal('user_disabled')
}

export function deviceLocked(reason: string | null): DeviceRefusal {
  return new DeviceRefusal('device_locked', reason === null ? {} : { lockReason: reason })
}

/** The caller that a device is, for the journal; it has no scope of an account. */
export function deviceCaller(
  tenantId: string,
  deviceId: string,
  { surface, address, requestId }: DeviceOrigin,
  settingsVersion?: number,
): Caller {
  return new Caller({
    type: 'DEVICE',
    id: deviceId,
    address,
    surface,
    requestId,
    tenantId,
    scopes: [],
    settingsVersion,
  })
}

function tokenInvalid(): DeviceRefusal {
  return new DeviceRefusal('token_invalid')
}

function sessionOf(session: Session, origin: DeviceOrigin): DeviceSession {
  const { tenantId, deviceId } = session
  return {
    caller: deviceCaller(tenantId, deviceId, origin, session.settingsVersion),
    tenantId,
    deviceId,
    userId: session.userId,
    scopes: session.scope.split(' '),
    factor: session.factor,
    verifiedAtMs: session.verifiedAtMs,
    issuedAtMs: session.issuedAtMs,
    keyThumbprint: session.keyThumbprint,
    linkEpoch: session.linkEpoch,
    sessionEpoch: session.sessionEpoch,
  }
}
