import type { PinHasher } from '#custody/pin-hasher.ts'
import type { Randomness } from '#custody/randomness.ts'
import type { Vault } from '#custody/vault.ts'
import type { AppRules } from '../apps/app-rules.ts'
import { FailureLimiter } from '../callers/failure-limiter.ts'
import type { CertificateParts } from '../certificates/certificate-parts.ts'
import type { Clock } from '../clock.ts'
import type { Storage } from '../storage.ts'
import type { SettingsService } from '../tenants/settings-service.ts'
import type { IdSource } from '../ulid.ts'
import type { UserSchemeService } from '../users/user-scheme-service.ts'
import { DeviceEnding } from './device-ending.ts'
import { DeviceEnrolmentService } from './device-enrolment-service.ts'
import { DeviceExpiry } from './device-expiry.ts'
import { DeviceGate } from './device-gate.ts'
import { DeviceService } from './device-service.ts'
import type { DeviceWakeups } from './device-wakeups.ts'
import { EnrolmentCodeService } from './enrolment-code-service.ts'
import { FactorCheck } from './factor-check.ts'
import { LoginService } from './login-service.ts'
import { OwnDeviceService } from './own-device-service.ts'
import { RequestLimiter } from './request-limiter.ts'
import { ServerNonces } from './server-nonces.ts'
import { UserDeviceService } from './user-device-service.ts'

/** Codes that nobody made, from one address. */
const codeFailuresPerMinute = 10
/** A login is worth that many other requests. */
const requestsPerLogin = 4

/** Everything of devices. */
export interface DeviceParts {
  /** Issuer of the device protocol, and audience of whatever a device signs: `{server}/device/v1`. */
  readonly deviceIssuer: () => string
  readonly serverNonces: ServerNonces
  readonly deviceFactors: FactorCheck
  readonly deviceGate: DeviceGate
  readonly deviceLogins: LoginService
  readonly enrolmentCodes: EnrolmentCodeService
  readonly deviceEnrolments: DeviceEnrolmentService
  readonly devices: DeviceService
  readonly ownDevice: OwnDeviceService
  readonly deviceEnding: DeviceEnding
  /** As AST callers deal with them. */
  readonly userDevices: UserDeviceService
  readonly deviceWakeups: DeviceWakeups
  readonly deviceExpiry: DeviceExpiry
}

/** Builds what devices need by plain constructors. */
export function composeDevices(dependencies: {
  storage: Storage
  vault: Vault
  pins: PinHasher
  clock: Clock
  nextId: IdSource
  randomness: Randomness
  settings: SettingsService
  userSchemes: UserSchemeService
  /** Which apps may be used. */
  rules: AppRules
  pki: CertificateParts
  wakeups: DeviceWakeups
  publicUrl: () => string
  /** Of one device; 0: no limit. */
  requestsPerMinute: number
  limitsFailures: boolean
}): DeviceParts {
  const { pki, publicUrl, clock, requestsPerMinute } = dependencies
  const failures = dependencies.limitsFailures ? codeFailuresPerMinute : 0
  const issuer = () => `${publicUrl()}/device/v1`
  const nonces = new ServerNonces(dependencies)
  const factors = new FactorCheck(dependencies)
  const ending = new DeviceEnding({ ...dependencies, certificates: pki.certificates })
  const base = { ...dependencies, issuer, nonces, factors, ending }
  const devices = new DeviceService(base)
  return {
    deviceIssuer: issuer,
    serverNonces: nonces,
    deviceFactors: factors,
    deviceGate: new DeviceGate({ ...base, limiter: new RequestLimiter(requestsPerMinute, clock) }),
    deviceLogins: new LoginService({
      ...base,
      limiter: new RequestLimiter(Math.ceil(requestsPerMinute / requestsPerLogin), clock),
    }),
    enrolmentCodes: new EnrolmentCodeService({ ...base, anchors: pki.roots }),
    deviceEnrolments: new DeviceEnrolmentService({
      ...base,
      authority: pki.signers,
      limiter: new FailureLimiter(failures, clock),
    }),
    devices,
    ownDevice: new OwnDeviceService(base),
    deviceEnding: ending,
    userDevices: new UserDeviceService({ ...base, devices }),
    deviceWakeups: dependencies.wakeups,
    deviceExpiry: new DeviceExpiry(dependencies),
  }
}
